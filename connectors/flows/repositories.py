"""Repositories: add, change and delete them, and set, make and forget the secrets with which one gets in."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core import net
from connectors.core.actor import Actor
from connectors.core.crypto import fingerprint as hash_of
from connectors.core.errors import Refused
from connectors.core.git import GitError, KeyPair, discard, fingerprint, make_deploy_key, parse_url, read_private_key
from connectors.core.webhooks import new_secret
from connectors.flows.events import changes, record_event
from connectors.flows.placements import forget_readings, remove_placements
from connectors.flows.repository_access import cache_of
from connectors.models import PullRequest, Repository, RepositoryRun, Sealed

FIELDS = [
    "name",
    "workspace",
    "url",
    "branch",
    "host",
    "api_url",
    "is_enabled",
    "token_user",
    "known_hosts",
    "mode",
    "export_when",
    "export_hours",
    "on_drift",
    "read_minutes",
    "author_name",
    "author_email",
    "message_template",
]
"""What a person says of a repository, its secrets aside."""

CHECK_TOKEN_PREFIX = "portal_check_"  # noqa: S105 - by it a scanner of published code knows what it has found

_UNREAD: dict[str, Any] = {
    "state": Repository.State.UNCHECKED,
    "problem": "",
    "failing_since": None,
    "head": "",
    "head_author": "",
    "head_at": None,
    "read_at": None,
}


@transaction.atomic
def save_repository(
    repository: Repository, actor: Actor, *, token: SecretStr | None = None, forget_token: bool = False
) -> None:
    """Stores a new or changed repository; `token` None keeps the one that is set, unless it is to be forgotten.

    Another repository or branch makes everything that was read void. Whatever is changed, the next reading is due at
    once. Raises Refused for what `objections` names.
    """
    if repository.pk is None:
        _plan_export(repository, None)
        repository.save(force_insert=True)
        record_event(actor, "repository.added", repository, after=_values(repository))
    else:
        stored = Repository.objects.select_for_update().get(pk=repository.pk)
        keeps_token = token is None and not forget_token
        if found := objections(stored, repository.url, repository.api_url, keeps_token=keeps_token):
            raise Refused(next(iter(found.values())))
        _store(stored, repository, actor)
    if token is not None or forget_token:
        set_token(repository, None if forget_token else token, actor)


def objections(stored: Repository, url: str, api_url: str, *, keeps_token: bool) -> dict[str, str]:
    """Why a repository may not get this address, by the field to blame; {} when it may.

    Whoever may edit the address must not be able to have the stored token sent to a server of theirs; and what the
    portal has opened at one place it must be able to follow there.
    """
    found: dict[str, str] = {}
    if keeps_token and stored.token and _receivers(url, api_url) - _receivers(stored.url, stored.api_url):
        found |= {"access_token": "Enter the token again: from now on it will be sent to another address."}
    if not _is_same_place(stored.url, url):
        count = stored.pull_requests.filter(state=PullRequest.State.OPEN).count()
        if count:
            said = "A pull request of the portal's is" if count == 1 else f"{count} pull requests of the portal's are"
            found["url"] = f"{said} open there. Merge or close them first, or add another repository."
    return found


def set_token(repository: Repository, token: SecretStr | None, actor: Actor) -> None:
    """Stores an access token, or forgets the one that is set (None)."""
    sealed = Sealed.of(token.get_secret_value()) if token is not None else Sealed()
    was, repository.token = repository.token, sealed
    repository.token_set_at = timezone.now() if sealed else None
    verb = "repository.token_set" if sealed else "repository.token_forgotten"
    _keep(repository, actor, verb, ["token", "token_set_at"], {"token": was}, {"token": sealed})


def make_key(repository: Repository, actor: Actor) -> None:
    """Makes a new deploy key in place of any other. Its public half is to be entered at the host."""
    _set_key(repository, make_deploy_key(f"connector-portal {repository.public_id}"), actor, "repository.key_made")


def set_key(repository: Repository, text: SecretStr, actor: Actor) -> None:
    """Takes over a private key that was made elsewhere. Raises GitError for what is none, or has a passphrase."""
    _set_key(repository, read_private_key(text), actor, "repository.key_set")


def forget_key(repository: Repository, actor: Actor) -> None:
    """Forgets the deploy key. At the host it stays valid: remove it there as well."""
    _set_key(repository, None, actor, "repository.key_forgotten")


def set_known_hosts(repository: Repository, known_hosts: str, actor: Actor) -> None:
    """Stores the host keys that a person has confirmed. Raises GitError for a line that holds none."""
    lines = [line.strip() for line in known_hosts.splitlines() if line.strip()]
    check_known_hosts(known_hosts)
    old, repository.known_hosts = repository.known_hosts, "\n".join(lines)
    before, after = {"known_hosts": old}, {"known_hosts": repository.known_hosts}
    _keep(repository, actor, "repository.host_keys_set", ["known_hosts"], before, after)


def check_known_hosts(known_hosts: str) -> None:
    """Raises GitError when a line is not as in a known_hosts file. Comments are fine."""
    for line in filter(None, map(str.strip, known_hosts.splitlines())):
        if not line.startswith("#"):
            fingerprint(line)


def make_webhook_secret(repository: Repository, actor: Actor) -> SecretStr:
    """A new secret with which the host signs what it sends, shown this once. The old one counts no more."""
    secret = SecretStr(new_secret())  # of the form that GitLab takes for a signing token too; others take any
    repository.webhook_secret, repository.webhook_note = Sealed.of(secret.get_secret_value()), ""
    after = {"webhook_secret": repository.webhook_secret}
    _keep(repository, actor, "repository.webhook_secret_made", ["webhook_secret", "webhook_note"], {}, after)
    return secret


def make_check_token(repository: Repository, actor: Actor) -> SecretStr:
    """A new token with which CI asks for the check, shown this once; only its hash is kept. The old one is void."""
    token = SecretStr(CHECK_TOKEN_PREFIX + secrets.token_urlsafe(32))
    repository.check_token_hash, repository.check_token_at = hash_of(token.get_secret_value()), timezone.now()
    fields = ["check_token_hash", "check_token_at"]
    _keep(repository, actor, "repository.check_token_made", fields, {}, {"check_token": "set"})
    return token


@transaction.atomic
def delete_repository(repository: Repository, actor: Actor) -> None:
    """Forgets the repository with its secrets, places and runs. Nothing happens in git; the record stays.

    Raises Refused while a run is under way: it would write to rows that are gone.
    """
    Repository.objects.select_for_update().get(pk=repository.pk)
    if repository.runs.filter(state=RepositoryRun.State.RUNNING).exists():
        raise Refused(f"{repository} is being read or written just now. Wait for that, then delete it.")
    remove_placements(list(repository.placements.select_related("repository")), actor)
    record_event(actor, "repository.deleted", repository, before=_values(repository))
    folder = cache_of(repository)
    repository.delete()
    transaction.on_commit(lambda: discard(folder))  # what is in use now, or on other hosts, is pruned later


def _store(stored: Repository, repository: Repository, actor: Actor) -> None:
    old, new = changes(_values(stored), _values(repository))
    if not new:
        return
    if {"export_when", "export_hours"} & set(new):
        _plan_export(repository, stored)
    repository.next_read_at = None
    repository.save(update_fields=[*FIELDS, "next_read_at", "next_export_at"])
    if stored.branch != repository.branch or not _is_same_place(stored.url, repository.url):
        _start_anew(stored, repository, actor)
    record_event(actor, "repository.changed", repository, before=old, after=new)


def _start_anew(stored: Repository, repository: Repository, actor: Actor) -> None:
    """Another branch or repository: nothing of what is known is about it."""
    forget_readings(repository.placements.all(), actor, "repository.changed")
    if not _is_same_place(stored.url, repository.url):
        repository.pull_requests.all().delete()  # their numbers mean others there
    for name, value in _UNREAD.items():
        setattr(repository, name, value)
    repository.failures = 0
    repository.save(update_fields=[*_UNREAD, "failures"])


def _plan_export(repository: Repository, stored: Repository | None) -> None:
    """The schedule's first export is a whole interval away: nobody expects that saving a form writes to git."""
    is_scheduled = repository.export_when == Repository.ExportWhen.SCHEDULED
    repository.next_export_at = timezone.now() + dt.timedelta(hours=repository.export_hours) if is_scheduled else None


def _set_key(repository: Repository, pair: KeyPair | None, actor: Actor, verb: str) -> None:
    old = _fingerprint(repository.deploy_public_key)
    repository.deploy_key = Sealed.of(pair.private.get_secret_value()) if pair else Sealed()
    repository.deploy_public_key = pair.public if pair else ""
    new = _fingerprint(repository.deploy_public_key)
    _keep(repository, actor, verb, ["deploy_key", "deploy_public_key"], {"deploy_key": old}, {"deploy_key": new})


def _fingerprint(public: str) -> str:
    return fingerprint(public) if public else "not set"


@transaction.atomic
def _keep(
    repository: Repository, actor: Actor, verb: str, fields: list[str], before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Stores these fields, and lets the repository be read soon: it may fail for what was just put right."""
    repository.next_read_at = None
    repository.save(update_fields=[*fields, "next_read_at"])
    record_event(actor, verb, repository, before=before, after=after)


def _is_same_place(old: str, new: str) -> bool:
    """Whether two addresses are two ways to one repository: https://host/o/r.git and git@host:o/r are."""
    return old == new or _place(old) == _place(new)


def _place(url: str) -> str:
    try:
        return parse_url(url).web_url
    except GitError:
        return url


def _receivers(url: str, api_url: str) -> set[tuple[str, str, int]]:
    """Servers to which a token may be sent: by git, and for pull requests. An ssh host is asked for those by https."""
    found = set()
    for text in filter(None, (_place(url), api_url)):
        try:
            target = net.parse(text)
            found.add((target.scheme, target.host.lower(), target.port))
        except net.AddressRefusedError:
            found.add((text, "", 0))  # no server of the web: whatever it is, it is another one
    return found


def _values(repository: Repository) -> dict[str, Any]:
    own = {name: getattr(repository, name) for name in FIELDS if name != "workspace"}
    return own | {"workspace": repository.workspace.name if repository.workspace else None}

"""Test a repository: what works between it and the portal, what does not, and what to do about that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.contrib.humanize.templatetags.humanize import naturaltime

from connectors.core.actor import Actor
from connectors.core.crypto import UnreadableSecretError
from connectors.core.errors import PortalError, Refused
from connectors.core.git import Fault, Git, GitError, Remote, parse_url
from connectors.core.hosts import PULL_REQUESTS, HostError
from connectors.core.plan_words import listing
from connectors.flows.events import record_event
from connectors.flows.repository_access import PATIENCE, SECONDS, host_of, opened
from connectors.flows.repository_words import is_ssh, place_of, words_of
from connectors.models import Repository

Mode = Repository.Mode


class Level(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Neither good nor bad, such as something that is not used."""
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried: `text` says what came of it, `advice` what to do, "" for nothing.

    `fix` names the page of the repository that helps (`key`, `hostkeys`, `find`, `webhook`, `change`); "" for none.
    """

    level: Level
    title: str
    text: str
    advice: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a test found, in the order in which it was tried."""

    lines: tuple[Finding, ...]

    @property
    def works(self) -> bool:
        """Whether nothing stands in the way of reading and writing."""
        return not any(line.level == Level.BAD for line in self.lines)

    @property
    def summary(self) -> str:
        """All of it in a sentence, for the record."""
        bad = [line.title for line in self.lines if line.level == Level.BAD]
        if bad:
            return f"Does not work: {listing(bad)}."
        unsure = [line.title for line in self.lines if line.level == Level.WARN]
        return f"Works; to be looked at: {listing(unsure)}." if unsure else "Everything works."


def try_repository(repository: Repository, actor: Actor) -> Findings:
    """Tries everything that the portal does with the repository but writing, and says in words what works.

    Nothing is stored but the event. Never raises for what does not work: that is what it tells.
    """
    lines = (*_git(repository), _pull_requests(repository), _webhook(repository))
    findings = Findings(lines)
    record_event(actor, "repository.tested", repository, note=findings.summary)
    if findings.works:
        Repository.objects.filter(pk=repository.pk, state=Repository.State.FAILING).update(next_read_at=None)
    return findings


def main_branch(repository: Repository) -> str:
    """The branch that the server takes for the main one; "" when it cannot be asked, or has none."""
    try:
        with opened(repository, PATIENCE, seconds=SECONDS) as git:
            return git.remote().default
    except PortalError:
        return ""


def _git(repository: Repository) -> Iterator[Finding]:
    try:
        address = parse_url(repository.url, file_urls=True)
    except GitError as error:
        yield Finding(Level.BAD, "Address", str(error), "Correct the URL.", "change")
        return
    plain = address.scheme == "http"
    said = f"{place_of(repository)}, over {address.scheme}"
    yield Finding(
        Level.WARN if plain else Level.OK,
        "Address",
        f"{said}, where anybody on the way can read along." if plain else f"{said}.",
    )
    if missing := _missing_credential(repository, address.scheme):
        yield missing
    try:
        with opened(repository, PATIENCE, seconds=SECONDS) as git:
            yield from _looked(repository, git)
    except PortalError as error:
        yield _failed("Connection", error, repository)


def _missing_credential(repository: Repository, scheme: str) -> Finding | None:
    if scheme == "ssh" and not repository.deploy_key:
        return Finding(
            Level.BAD, "Deploy key", "There is none, and without one nobody gets in over ssh.", "Make one.", "key"
        )
    if scheme in ("http", "https") and not repository.token:
        advice = f"Make one at {words_of(repository).token}. It needs {words_of(repository).rights}."
        text = "There is none: a public repository can be read without, and none can be written to."
        return Finding(Level.WARN, "Token", text, advice, "change")
    return None


def _looked(repository: Repository, git: Git) -> Iterator[Finding]:
    try:
        remote = git.remote()
    except GitError as error:
        yield _failed("Connection", error, repository)
        return
    shown = (
        "The server answers and lets the portal in."
        if repository.token or repository.deploy_key
        else "The server answers."
    )
    yield Finding(Level.OK, "Connection", shown)
    yield _branch(repository, remote)
    if repository.branch not in remote.branches:
        return
    yield _writing(repository, git)
    yield _projects(repository, git)


def _branch(repository: Repository, remote: Remote) -> Finding:
    name = repository.branch
    if name in remote.branches:
        return Finding(Level.OK, "Branch", f"{name} is at the commit {remote.branches[name][:8]}.")
    if not remote.branches:
        text = f"The repository is empty. The first export makes the branch {name}."
        return Finding(Level.NOTE, "Branch", text)
    advice = f"The main branch is called {remote.default}." if remote.default else "Correct the branch."
    return Finding(Level.BAD, "Branch", f"There is no branch {name}.", advice, "change")


def _writing(repository: Repository, git: Git) -> Finding:
    try:
        git.can_push(repository.branch)
    except GitError as error:
        return _failed("Writing", error, repository)
    text = "The portal may write to the repository. Whether rules protect the branch shows at the first export."
    if repository.mode == Mode.PULL_REQUEST:
        text = "The portal may write to the repository, to branches of its own."
    return Finding(Level.OK, "Writing", text)


def _projects(repository: Repository, git: Git) -> Finding:
    placements = list(repository.placements.select_related("project"))
    if not placements:
        text = "None has a place in this repository yet."
        return Finding(Level.WARN, "Projects", text, "Find the projects in the branch.", "find")
    try:
        tree = git.files(git.fetch(repository.branch))
        tree.prefetch([row.path for row in placements])
        lacking = [f"{row.project} ({row})" for row in placements if not tree.entries(row.path)]
    except PortalError as error:
        return _failed("Projects", error, repository)
    if lacking:
        text = f"Nothing is there yet for {listing(lacking)}. If the folder is right, the first export makes it."
        return Finding(Level.WARN, "Projects", text, "Compare it with the projects in the branch.", "find")
    count = len(placements)
    return Finding(
        Level.OK, "Projects", "Its folder is there." if count == 1 else f"The folders of all {count} are there."
    )


def _pull_requests(repository: Repository) -> Finding:
    words, is_needed = words_of(repository), repository.mode == Mode.PULL_REQUEST
    title = words.requests
    advice = f"The token needs {words.rights}, and {words.pull_rights}. It is made at {words.token}."
    try:
        host = host_of(repository)
        name, rights = host.whoami(), host.permissions()
    except (Refused, UnreadableSecretError, HostError) as error:
        if is_needed:
            return Finding(Level.BAD, title, str(error), advice if words.pull_rights else "", "change")
        return Finding(Level.NOTE, title, str(error))
    whose = f"the token is {name}'s" if name else "the token is accepted"
    if PULL_REQUESTS not in rights:
        level = Level.BAD if is_needed else Level.NOTE
        return Finding(level, title, f"{host.name} answers and {whose}, but it may not open any.", advice, "change")
    used = "" if is_needed else " None is opened: changes are committed to the branch."
    return Finding(Level.OK, title, f"{host.name} answers and {whose}.{used}")


def _webhook(repository: Repository) -> Finding:
    title, minutes = "Webhook", repository.read_minutes
    if not repository.webhook_secret:
        if minutes:
            often = "minute" if minutes == 1 else f"{minutes} minutes"
            return Finding(Level.NOTE, title, f"Not set up. The repository is read every {often}.", "", "webhook")
        text = "Not set up, and no interval is set: nothing tells the portal that something changed."
        return Finding(Level.WARN, title, text, "Set up a webhook, or let the portal look by itself.", "webhook")
    if repository.webhook_note:
        return Finding(
            Level.WARN, title, repository.webhook_note, "Compare it with what is set at the host.", "webhook"
        )
    if repository.webhook_at is None:
        text = "A secret is made, and nothing has come yet."
        return Finding(Level.WARN, title, text, "Enter address and secret at the host, then push something.", "webhook")
    return Finding(Level.OK, title, f"The last one came {naturaltime(repository.webhook_at)}.")


def _failed(title: str, error: PortalError, repository: Repository) -> Finding:
    advice, fix = _advice(error, repository)
    return Finding(Level.BAD, title, str(error), advice, fix)


def _advice(error: PortalError, repository: Repository) -> tuple[str, str]:
    """What to do about an error, and the page that helps."""
    words, over_ssh = words_of(repository), is_ssh(repository)
    fault = error.fault if isinstance(error, GitError) else None
    if fault == Fault.HOST_KEY:
        return "Look up the host's key, compare it, and confirm it.", "hostkeys"
    if fault in (Fault.CREDENTIAL, Fault.READ_ONLY):
        if over_ssh:
            return f"Enter the deploy key at the host: {words.key}.", "key"
        return f"The token needs {words.rights}. It is made at {words.token}.", "change"
    if fault == Fault.NO_REPOSITORY:
        return "Correct the URL, or give the credential access: hosts hide what it may not see.", "change"
    if fault == Fault.BUSY:
        return "Try again in a minute.", ""
    return "", "change" if fault == Fault.ADDRESS else ""

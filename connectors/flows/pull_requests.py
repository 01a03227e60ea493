"""Pull requests (GitLab: merge requests) of the portal: one open for each set of projects, and what becomes of them."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable

from django.db import transaction
from django.db.models import F, Q

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.errors import PortalError
from connectors.core.git import GitError, parse_url
from connectors.core.hosts import Host, HostError, HostFault, PullRequestView
from connectors.flows.events import record_event
from connectors.flows.repository_access import host_of
from connectors.models import Project, PullRequest, Repository

LOOK_EVERY = dt.timedelta(minutes=2)
"""How often an open pull request is looked at while it is young."""
YOUNG = dt.timedelta(hours=1)
"""Since it was opened or updated; people act on it then, if they do."""
LOOK_LATER = dt.timedelta(minutes=15)
"""How often an older one is: hosts count calls."""

State = PullRequest.State

logger = logging.getLogger(__name__)


def open_one(repository: Repository, key: str) -> PullRequest | None:
    """The pull request that is open for this set of projects, as far as the portal knows."""
    return PullRequest.objects.open().filter(repository=repository, key=key).first()


def open_or_update(
    repository: Repository,
    key: str,
    projects: Iterable[Project],
    branch: str,
    head: str,
    title: str,
    body: str,
    now: dt.datetime,
    *,
    actor: Actor = SCHEDULER,
) -> PullRequest:
    """Brings the set's open pull request up to date, or opens one; `head` was pushed to `branch` before.

    Doing it twice does no harm: one that is open at the host and unknown here, as after a worker died, is taken over.
    Raises Refused, HostError and UnreadableSecretError.
    """
    host = host_of(repository)
    known = open_one(repository, key)
    number = None if known is None else _usable(known, host, branch, now)
    view = _brought_up_to_date(host, number, repository.branch, branch, title, body)
    values = {
        "key": key,
        "url": view.url,
        "title": view.title,
        "branch": branch,
        "head": head,
        "state": State.OPEN,
        "updated_at": now,
        "ended_at": None,
        "checked_at": now,
    }
    with transaction.atomic():
        row, is_new = PullRequest.objects.update_or_create(
            repository=repository, number=view.number, defaults=values, create_defaults={**values, "opened_at": now}
        )
        row.projects.set(projects)
        _record(actor, "pull_request.opened" if is_new else "pull_request.updated", row, {"head": head})
    return row


def look_at(pull_request: PullRequest, now: dt.datetime) -> PullRequest:
    """Asks the host what became of it, and stores that. Raises Refused, HostError and UnreadableSecretError.

    When it was merged, the repository is read at the next round: its branch holds what was proposed.
    """
    _store_view(pull_request, _view(host_of(pull_request.repository), pull_request), now)
    return pull_request


def look_at_open(now: dt.datetime, limit: int = 20) -> int:
    """Looks at open pull requests whose turn it is, the longest unseen first; gives how many the host told of.

    A failure of one is logged and leaves it for its next turn. A host that wants no more calls, or does not answer,
    gets no more of them in this round.
    """
    due = Q(checked_at=None) | Q(checked_at__lte=now - LOOK_LATER)
    due |= Q(checked_at__lte=now - LOOK_EVERY, updated_at__gte=now - YOUNG)
    rows = PullRequest.objects.open().filter(due, repository__is_enabled=True).select_related("repository")
    resting: set[str] = set()
    seen = 0
    for row in rows.order_by(F("checked_at").asc(nulls_first=True), "pk")[:limit]:
        server = _server(row.repository)
        if server in resting or not _claim(row, now):
            continue
        try:
            look_at(row, now)
            seen += 1
        except PortalError as error:
            logger.warning("Pull request %s of repository %s: %s", row.number, row.repository_id, error)
            if isinstance(error, HostError) and error.fault in (HostFault.RATE, HostFault.UNREACHABLE):
                resting.add(server)
    return seen


def _server(repository: Repository) -> str:
    try:
        return repository.api_url or parse_url(repository.url).host
    except GitError:
        return repository.url


def _claim(row: PullRequest, now: dt.datetime) -> bool:
    """Whether nobody else looks at it in this moment: two workers must not make the same call."""
    return PullRequest.objects.filter(pk=row.pk, checked_at=row.checked_at).update(checked_at=now) == 1


def _usable(known: PullRequest, host: Host, branch: str, now: dt.datetime) -> int | None:
    """Its number when it can be brought up to date, None when another one is needed."""
    _store_view(known, _view(host, known), now)
    if known.state != State.OPEN:
        return None
    if known.branch == branch:
        return known.number
    _store_view(known, host.close(known.number), now)  # the repository's branch is another one now
    return None


def _brought_up_to_date(
    host: Host, number: int | None, base: str, branch: str, title: str, body: str
) -> PullRequestView:
    if number is None:
        found = host.find_open(branch, base)
        number = found.number if found is not None else None
    return host.open(branch, base, title, body) if number is None else host.update(number, title, body)


def _view(host: Host, row: PullRequest) -> PullRequestView | None:
    """What the host shows; None when it shows the repository and no such pull request in it."""
    try:
        return host.get(row.number)
    except HostError as error:
        if error.fault != HostFault.NOT_FOUND:
            raise
        host.find_open(row.branch, row.repository.branch)  # raises where it is the repository that is not shown
        return None


def _store_view(row: PullRequest, view: PullRequestView | None, now: dt.datetime) -> None:
    """Puts down what the host showed. Whoever notices first that it has ended records it."""
    row.checked_at = now
    if view is not None:
        row.url, row.title = view.url, view.title
    state = State.CLOSED if view is None else State(view.state)
    ended = row.state == State.OPEN and state != State.OPEN
    with transaction.atomic():
        stored = PullRequest.objects.filter(pk=row.pk)
        stored.update(url=row.url, title=row.title, checked_at=now)
        if ended and stored.filter(state=State.OPEN).update(state=state, ended_at=now):
            row.ended_at = now
            _record_end(row, state)
    if ended:
        row.state = state


def _record_end(row: PullRequest, state: PullRequest.State) -> None:
    _record(SCHEDULER, f"pull_request.{state}", row, {"state": state}, before={"state": State.OPEN})
    if state == State.MERGED:
        Repository.objects.filter(pk=row.repository_id).update(next_read_at=None)


def _record(
    actor: Actor, verb: str, row: PullRequest, after: dict[str, str], *, before: dict[str, str] | None = None
) -> None:
    about = f"{row.repository}: {row.title}"
    record_event(actor, verb, row, before=before, after={**after, "url": row.url, "branch": row.branch}, note=about)

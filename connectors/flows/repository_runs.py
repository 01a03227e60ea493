"""The life of work on a repository: asked for, claimed by one worker, carried out, tried again, or found dead.

Both kinds of work can be done again without harm: what a worker did before it died is found by reading.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from connectors.core.actor import SCHEDULER, Actor, Door
from connectors.core.errors import PortalError, Refused
from connectors.core.git import GitError
from connectors.core.hosts import HostError
from connectors.flows import run_rows
from connectors.flows.export_choices import Choices
from connectors.flows.repository_work import Outcome, carry_out
from connectors.models import Project, Repository, RepositoryRun
from connectors.models.run import STALE_AFTER

Kind, State = RepositoryRun.Kind, RepositoryRun.State

SCHEDULED = "Asked for by the repository's schedule."
AGAIN = "The worker stopped in the middle; queued again."
KILLER = "The worker stopped in the middle each time. The log of the host where it ran may say why."
STOPPED = "Stopped by an error inside the portal; the log has the details."

TRY_AGAIN_AFTER = tuple(dt.timedelta(minutes=minutes) for minutes in (1, 5, 30))
"""Waits before another try after a failure that may pass; when they are used up, the run has failed."""

MOST_DEATHS = 3
"""Workers that a run may take with it before it is given up."""

AT_ONCE = 200
"""Repositories that one round of the schedule queues."""


def ask_read(repository: Repository, actor: Actor, reason: str) -> tuple[RepositoryRun, bool]:
    """A queued run that will read the repository, and whether it is new: one that waits already does for all."""
    waiting = RepositoryRun.objects.filter(repository=repository, kind=Kind.READ, state=State.QUEUED).first()
    if waiting is not None:
        return _sooner(waiting), False
    return _ask(repository, Kind.READ, actor, reason), True


def ask_export(
    repository: Repository, actor: Actor, reason: str, choices: Choices | None = None, fingerprint: str = ""
) -> RepositoryRun:
    """A queued run that will export; the one that waits already when it was asked for exactly the same.

    `fingerprint` is that of the plan which was shown: with another one the run is refused and writes nothing.
    """
    stored = (choices or Choices()).as_json()
    queued = RepositoryRun.objects.filter(repository=repository, kind=Kind.EXPORT, state=State.QUEUED)
    for waiting in queued.filter(fingerprint=fingerprint):
        if waiting.choices == stored:
            return _sooner(waiting)
    return _ask(repository, Kind.EXPORT, actor, reason, choices=stored, fingerprint=fingerprint)


def after_apply(project: Project, actor: Actor, reason: str) -> RepositoryRun | None:
    """Asks for an export of the project alone where its repository exports after each apply; else None."""
    asks = Repository.objects.in_use().filter(export_when=Repository.ExportWhen.AFTER_APPLY)
    repository = asks.filter(placements__project=project).first()
    if repository is None:
        return None
    return ask_export(repository, actor, reason, Choices.of([project.pk]))


def queue_due(now: dt.datetime) -> int:
    """Asks for the reads and exports that schedules want now; how many. Schedulers at once ask once.

    The next time is set at once, so that a run which fails or waits is not asked for again with each round.
    """
    return _queue_due_reads(now) + _queue_due_exports(now)


def run(run_id: int) -> RepositoryRun | None:
    """Carries out a queued run; None when somebody else has it, it is over, or another of its repository is at work."""
    claimed = claim(run_id)
    if claimed is None:
        return None
    actor = Actor(claimed.actor_label, Door.TASK, claimed.user_id)
    with run_rows.heartbeat(RepositoryRun.objects.filter(pk=run_id)):
        try:
            _finish(claimed, carry_out(claimed, actor))
        except Refused as error:
            _finish(claimed, Outcome(State.REFUSED, str(error)))
        except PortalError as error:
            _fail(claimed, error)
        except BaseException:
            # A bug, or the worker being told to stop: the row must not claim for ever that somebody is at work.
            _finish(claimed, Outcome(State.FAILED, STOPPED))
            raise
    return claimed


def claim(run_id: int) -> RepositoryRun | None:
    """The run, now running and ours; None as `run` says."""
    row = RepositoryRun.objects.filter(pk=run_id)
    bury_dead(timezone.now(), RepositoryRun.objects.filter(repository__runs=run_id))
    try:
        with transaction.atomic():
            claimed = run_rows.claim(row)
    except IntegrityError:
        return None  # another run of this repository is at work; whoever ends it sends the next one
    return row.select_related("repository").get() if claimed else None


def next_after(run_id: int, now: dt.datetime) -> RepositoryRun | None:
    """The oldest run that waits for its turn at the repository of this one; None while another one is at work."""
    rows = RepositoryRun.objects.filter(repository__runs=run_id)
    if rows.filter(state=State.RUNNING).exists():
        return None
    ready = Q(dispatched_at=None) | Q(dispatched_at__lte=now)
    return rows.filter(ready, state=State.QUEUED).order_by("pk").first()


def bury_dead(now: dt.datetime, rows: run_rows.Rows | None = None) -> int:
    """Queues runs again whose worker died; how many. One that has killed `MOST_DEATHS` workers has failed."""
    found = run_rows.dead(RepositoryRun.objects.all() if rows is None else rows, now)
    for dead in RepositoryRun.objects.filter(pk__in=found):
        deaths = dead.detail.get("deaths", 0) + 1
        dead.detail["deaths"] = deaths
        if deaths >= MOST_DEATHS:
            _finish(dead, Outcome(State.FAILED, KILLER))
        else:
            _queue_again(dead, AGAIN, None)
    return len(found)


def redeliver(now: dt.datetime, send: Callable[[RepositoryRun], None]) -> int:
    """Sends queued runs that nobody has sent yet, whose message was lost, or whose wait is over; how many."""
    return run_rows.redeliver(RepositoryRun.objects.undelivered(now), now, send)


def send_once(run_id: int, send: Callable[[RepositoryRun], None]) -> None:
    """Sends a run that was just asked for, unless a round of the sweep was quicker."""
    run_rows.redeliver(RepositoryRun.objects.filter(pk=run_id, dispatched_at=None), timezone.now(), send)


def prune(now: dt.datetime, *, keep_days: int) -> int:
    """Deletes reads, and exports that found nothing to do, which were over `keep_days` ago; how many rows."""
    old = RepositoryRun.objects.filter(created_at__lt=now - dt.timedelta(days=keep_days)).exclude(
        state__in=RepositoryRun.OPEN_STATES
    )
    return old.filter(Q(kind=Kind.READ) | Q(state=State.UNCHANGED)).delete()[0]


def _ask(
    repository: Repository,
    kind: RepositoryRun.Kind,
    actor: Actor,
    reason: str,
    *,
    choices: dict[str, object] | None = None,
    fingerprint: str = "",
) -> RepositoryRun:
    return RepositoryRun.objects.create(
        repository=repository,
        kind=kind,
        reason=reason[:200],
        choices=choices or {},
        fingerprint=fingerprint,
        user_id=actor.user_id,
        actor_label=actor.label[:200],
        door=actor.door,
    )


def _sooner(waiting: RepositoryRun) -> RepositoryRun:
    """The run, no longer waiting for its next try: somebody asks for it now, so whatever failed may be put right."""
    resting = RepositoryRun.objects.filter(pk=waiting.pk, state=State.QUEUED, dispatched_at__gt=timezone.now())
    if resting.update(dispatched_at=None):
        waiting.dispatched_at = None
    return waiting


def _queue_due_reads(now: dt.datetime) -> int:
    asked = 0
    for row in Repository.objects.due_to_read(now).order_by("next_read_at")[:AT_ONCE]:
        mine = Repository.objects.filter(pk=row.pk, next_read_at=row.next_read_at)
        if mine.update(next_read_at=now + dt.timedelta(minutes=row.read_minutes)):
            asked += ask_read(row, SCHEDULER, SCHEDULED)[1]
    return asked


def _queue_due_exports(now: dt.datetime) -> int:
    asked = 0
    for row in Repository.objects.due_to_export(now).order_by("next_export_at")[:AT_ONCE]:
        mine = Repository.objects.filter(pk=row.pk, next_export_at=row.next_export_at)
        if mine.update(next_export_at=now + dt.timedelta(hours=max(row.export_hours, 1))):
            ask_export(row, SCHEDULER, SCHEDULED)
            asked += 1
    return asked


def _finish(row: RepositoryRun, outcome: Outcome) -> None:
    """Ends a run that is still ours; one that was found dead meanwhile, and begun anew, stays as it is."""
    row.state, row.message, row.finished_at = outcome.state, outcome.message, timezone.now()
    row.detail, row.commit = {**row.detail, **outcome.detail}, outcome.commit
    row.pull_request = outcome.pull_request
    _ours(row).update(
        state=row.state,
        message=row.message,
        finished_at=row.finished_at,
        detail=row.detail,
        commit=row.commit,
        pull_request=row.pull_request,
    )


def _fail(row: RepositoryRun, error: PortalError) -> None:
    """Another try later where that may help, as long as there are tries left."""
    tries = row.detail.get("tries", 0)
    may_pass = isinstance(error, (GitError, HostError)) and not error.permanent
    # The schedule asks again by itself, and less and less often while a repository fails.
    if row.reason == SCHEDULED or not may_pass or tries >= len(TRY_AGAIN_AFTER):
        _finish(row, Outcome(State.FAILED, str(error)))
        return
    row.detail["tries"] = tries + 1
    wait = TRY_AGAIN_AFTER[tries]
    _queue_again(row, f"{error} The next try is in {_minutes(wait)}.", wait)


def _queue_again(row: RepositoryRun, message: str, wait: dt.timedelta | None) -> None:
    """Back to the queue, to be sent by `redeliver`: at once, or when the wait is over."""
    ours = _ours(row)
    row.state, row.message, row.started_at = State.QUEUED, message, None
    row.dispatched_at = timezone.now() + wait - STALE_AFTER if wait else None
    ours.update(state=row.state, message=message, started_at=None, dispatched_at=row.dispatched_at, detail=row.detail)


def _ours(row: RepositoryRun) -> models.QuerySet[RepositoryRun]:
    """The row, as long as nobody has taken it for dead and begun it anew."""
    return RepositoryRun.objects.filter(pk=row.pk, state=State.RUNNING, started_at=row.started_at)


def _minutes(wait: dt.timedelta) -> str:
    minutes = int(wait.total_seconds() // 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"

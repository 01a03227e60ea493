"""The life of a run on a project: opened, claimed by exactly one worker, kept alive, finished, or found dead."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows import run_rows
from connectors.models import Project, SyncRun, SyncStep, Workspace
from connectors.models.run import STALE_AFTER

State = SyncRun.State

INTERRUPTED = "The worker stopped in the middle. What it had done is marked; run it again to do the rest."
AGAIN = "The worker stopped in the middle; queued again."


def open_run(
    project: Project,
    kind: SyncRun.Kind,
    actor: Actor,
    *,
    plan: dict[str, Any] | None = None,
    fingerprint: str = "",
    removals: Sequence[str] = (),
) -> SyncRun:
    """A queued run. Raises Refused when the project has an apply under way already."""
    bury_dead_runs(timezone.now(), project=project)
    try:
        with transaction.atomic():
            return SyncRun.objects.create(
                project=project,
                kind=kind,
                plan=plan or {},
                fingerprint=fingerprint,
                removals=sorted(removals),
                user_id=actor.user_id,
                actor_label=actor.label,
                door=actor.door,
                dispatched_at=timezone.now(),
            )
    except IntegrityError:
        busy = SyncRun.objects.open().filter(project=project, kind=kind).first()
        number = f" (run #{busy.pk})" if busy else ""
        raise Refused(f"A plan is being applied to {project} already{number}. Wait for it or cancel it.") from None


def claim_run(run_id: int) -> SyncRun | None:
    """The run, now running and ours; None when somebody else has it or it is over."""
    claimed = run_rows.claim(SyncRun.objects.filter(pk=run_id))
    return SyncRun.objects.select_related("project__workspace").get(pk=run_id) if claimed else None


def claim_runs(run_ids: Sequence[int]) -> list[SyncRun]:
    """Those of the runs that were still queued, now running and ours, oldest first.

    Projects of one workspace share one object for it: a join would read its credential once for each of a fleet.
    """
    with transaction.atomic():
        # On SQLite the transaction itself holds the write lock (transaction_mode IMMEDIATE).
        queued = SyncRun.objects.select_for_update().filter(pk__in=run_ids, state=State.QUEUED)
        ids = list(queued.values_list("pk", flat=True))
        run_rows.claim(SyncRun.objects.filter(pk__in=ids))
    claimed = list(SyncRun.objects.filter(pk__in=ids).select_related("project").order_by("pk"))
    workspaces = Workspace.objects.in_bulk({run.project.workspace_id for run in claimed})
    for run in claimed:
        run.project.workspace = workspaces[run.project.workspace_id]
    return claimed


def finish_run(run: SyncRun, state: SyncRun.State, message: str = "") -> None:
    """Ends a run that is still running; one that a sweep has declared dead meanwhile stays as it is."""
    run.state, run.message, run.finished_at = state, message, timezone.now()
    SyncRun.objects.filter(pk=run.pk, state=State.RUNNING).update(
        state=state, message=message, finished_at=run.finished_at
    )


def cancel_run(run: SyncRun) -> bool:
    """Asks a run to stop; a queued one ends at once. False when it was over already."""
    now = timezone.now()
    waiting = SyncRun.objects.filter(pk=run.pk, state=State.QUEUED)
    if waiting.update(
        state=State.CANCELLED, cancel_requested=True, finished_at=now, message="Cancelled before it began."
    ):
        return True
    return bool(SyncRun.objects.filter(pk=run.pk, state=State.RUNNING).update(cancel_requested=True))


def is_cancelled(run: SyncRun) -> bool:
    return SyncRun.objects.filter(pk=run.pk, cancel_requested=True).exists()


def heartbeat(run_ids: Sequence[int]) -> AbstractContextManager[None]:
    """Keeps the runs' rows fresh from a thread, so that a slow answer of Base44 does not look like a dead worker."""
    return run_rows.heartbeat(SyncRun.objects.filter(pk__in=run_ids))


def bury_dead_runs(now: dt.datetime, *, project: Project | None = None) -> int:
    """Marks runs whose worker died as interrupted, and queues syncs again; returns how many."""
    runs = SyncRun.objects.all() if project is None else SyncRun.objects.filter(project=project)
    return sum(_bury(pk, now) for pk in run_rows.dead(runs, now))


def redeliver(now: dt.datetime, send: Callable[[SyncRun], None]) -> int:
    """Sends queued runs again whose message was lost; returns how many. A run sent twice is claimed once."""
    return run_rows.redeliver(SyncRun.objects.undelivered(now), now, send)


def prune_runs(now: dt.datetime, *, keep_days: int) -> int:
    """Deletes finished sync runs older than `keep_days` that found nothing; those that did something stay."""
    old = SyncRun.objects.filter(
        kind=SyncRun.Kind.SYNC, state=State.DONE, steps=None, created_at__lt=now - dt.timedelta(days=keep_days)
    )
    return old.delete()[0]


def _bury(pk: int, now: dt.datetime) -> int:
    # Reading again does no harm: a sync goes back to the queue, to be sent anew by `redeliver`.
    reading = SyncRun.objects.filter(pk=pk, state=State.RUNNING, kind=SyncRun.Kind.SYNC)
    if reading.update(state=State.QUEUED, started_at=None, dispatched_at=now - 2 * STALE_AFTER, message=AGAIN):
        return 1
    with transaction.atomic():
        buried = SyncRun.objects.filter(pk=pk, state=State.RUNNING).update(
            state=State.INTERRUPTED, finished_at=now, message=INTERRUPTED
        )
        if buried:
            steps = SyncStep.objects.filter(run_id=pk)
            steps.filter(state=SyncStep.State.RUNNING).update(
                state=SyncStep.State.INTERRUPTED,
                finished_at=now,
                message="Whether Base44 carried this out is not known; the next plan will tell.",
            )
            steps.filter(state=SyncStep.State.PLANNED).update(state=SyncStep.State.SKIPPED, message="Not begun.")
    return buried

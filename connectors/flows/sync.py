"""Sync: read what Base44 has registered, for one project or a fleet, within the workspace's rate budget."""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from django.db import connection, transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.base44 import budget as budgets
from connectors.core.base44.client import Base44Client
from connectors.core.errors import ApiError, CredentialError, PortalError
from connectors.core.specs import RegisteredState
from connectors.flows.connect import DatabaseBudget, Prepaid, client_for
from connectors.flows.observe import Observation, observe
from connectors.flows.runs import claim_runs, heartbeat
from connectors.models import Connector, Project, SyncRun, Workspace

log = logging.getLogger(__name__)

THREADS = 32
STORE_AT_ONCE = 100
AUTO_ADDED_EVERY = dt.timedelta(days=1)
Look = RegisteredState | PortalError


@dataclass(slots=True)
class SyncResult:
    """`finished` runs, and those `postponed` because the rate budget wants `wait` seconds first."""

    finished: list[SyncRun] = field(default_factory=list)
    postponed: list[int] = field(default_factory=list)
    wait: float = 0.0


def queue_syncs(projects: Iterable[Project], actor: Actor) -> list[SyncRun]:
    """A queued run for each project that has none waiting or running already."""
    now = timezone.now()
    busy = set(SyncRun.objects.open().filter(kind=SyncRun.Kind.SYNC).values_list("project_id", flat=True))
    return SyncRun.objects.bulk_create(
        SyncRun(
            project=project,
            kind=SyncRun.Kind.SYNC,
            user_id=actor.user_id,
            actor_label=actor.label,
            door=actor.door,
            dispatched_at=now,
        )
        for project in projects
        if project.pk not in busy
    )


def sync_projects(
    projects: Iterable[Project], actor: Actor, *, progress: Callable[[int], None] | None = None
) -> list[SyncRun]:
    """Syncs here and now, waiting for the rate budget when it must. One run each, in the projects' order."""
    runs = queue_syncs(projects, actor)
    result = run_syncs([run.pk for run in runs], actor, progress=progress)
    return sorted(result.finished, key=lambda run: run.pk)


def run_syncs(
    run_ids: Sequence[int],
    actor: Actor,
    *,
    max_wait: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> SyncResult:
    """Carries out queued sync runs. One project's failure is that project's alone.

    With `max_wait` (seconds) runs for which the rate budget wants a longer wait go back to the queue (`postponed`).
    """
    result = SyncResult()
    runs = claim_runs(run_ids)
    by_workspace: dict[Workspace, list[SyncRun]] = defaultdict(list)
    for run in runs:
        by_workspace[run.project.workspace].append(run)
    with heartbeat([run.pk for run in runs]):
        for workspace, its_runs in by_workspace.items():
            _sync_workspace(workspace, its_runs, actor, result, max_wait, progress)
    return result


def claim_due_projects(now: dt.datetime, interval: dt.timedelta, *, limit: int = 500) -> list[Project]:
    """Projects whose periodic sync is due, each now due again about one interval later; nobody else gets them.

    The next time is spread over a fifth of the interval, so that a fleet added at once does not stay in step.
    """
    claimed = []
    for project in Project.objects.due(now).select_related("workspace").order_by("next_sync_at")[:limit]:
        again = now + interval * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        mine = Project.objects.filter(pk=project.pk, next_sync_at=project.next_sync_at).update(next_sync_at=again)
        if mine:
            claimed.append(project)
    return claimed


def _sync_workspace(
    workspace: Workspace,
    runs: list[SyncRun],
    actor: Actor,
    result: SyncResult,
    max_wait: float | None,
    progress: Callable[[int], None] | None,
) -> None:
    budget = DatabaseBudget(workspace)
    size = max(1, budget.burst(budgets.LIST))
    for start in range(0, len(runs), size):
        portion = runs[start : start + size]
        wait = _reserve(budget, len(portion), max_wait)
        if max_wait is not None and wait > max_wait:
            _postpone(runs[start:], wait, result)
            return
        time.sleep(wait)
        prepaid = Prepaid(budget, {budgets.LIST: len(portion), budgets.OTHER: len(portion)})
        for some, looks in _look(workspace, portion, prepaid):
            result.finished += _finish(some, looks, actor)
            if progress:
                progress(len(some))


def _reserve(budget: DatabaseBudget, n: int, max_wait: float | None) -> float:
    """Seconds to wait before `n` projects can be read: one list and one Stripe status each."""
    limit = float("inf") if max_wait is None else max_wait
    wait = budget.acquire(budgets.LIST, n, max_wait=limit)
    return wait if wait > limit else max(wait, budget.acquire(budgets.OTHER, n))


def _postpone(runs: Sequence[SyncRun], wait: float, result: SyncResult) -> None:
    ids = [run.pk for run in runs]
    again = timezone.now() + dt.timedelta(seconds=wait)
    SyncRun.objects.filter(pk__in=ids).update(
        state=SyncRun.State.QUEUED, started_at=None, dispatched_at=again, message="Waiting for Base44's rate limit."
    )
    result.postponed += ids
    result.wait = max(result.wait, wait)


def _look(
    workspace: Workspace, runs: Sequence[SyncRun], budget: Prepaid
) -> Iterator[tuple[Sequence[SyncRun], list[Look]]]:
    """What Base44 says of each run's project, asked for in parallel; an error where it could not be learnt.

    It comes in groups of STORE_AT_ONCE, so that one is stored while the next is asked for.
    """
    try:
        client = client_for(workspace, budget=budget)
        _refresh_auto_added(workspace, client)
    except PortalError as error:
        yield runs, [error] * len(runs)
        return
    refused: list[CredentialError] = []

    def look(run: SyncRun) -> Look:
        if refused:
            return refused[0]  # asking on with a credential that Base44 refuses only fills its logs
        try:
            return client.registered_state(run.project.app_id)
        except CredentialError as error:
            refused.append(error)
            return error
        except ApiError as error:
            return error
        finally:
            connection.close()  # a repeat may have drawn from the budget's row in this thread

    if len(runs) == 1:
        yield runs, [_here(client, runs[0])]
        return
    with ThreadPoolExecutor(min(THREADS, len(runs)), thread_name_prefix="sync") as pool:
        looks = pool.map(look, runs)
        for start in range(0, len(runs), STORE_AT_ONCE):
            some = runs[start : start + STORE_AT_ONCE]
            yield some, list(islice(looks, len(some)))


def _here(client: Base44Client, run: SyncRun) -> Look:
    try:
        return client.registered_state(run.project.app_id)
    except ApiError as error:
        return error


def _refresh_auto_added(workspace: Workspace, client: Base44Client) -> None:
    now = timezone.now()
    if workspace.auto_added_at and now - workspace.auto_added_at < AUTO_ADDED_EVERY:
        return
    try:
        added = {type_: list(scopes) for type_, scopes in client.auto_added_scopes().items()}
        if added != workspace.auto_added_scopes:
            workspace.auto_added_scopes = added
            Connector.objects.filter(project__workspace=workspace).update(ledger_at=None)
    except ApiError as error:
        log.warning("Auto-added scopes of %s stay as they were: %s", workspace, error)
    workspace.auto_added_at = now
    workspace.save(update_fields=["auto_added_scopes", "auto_added_at"])


def _finish(runs: Sequence[SyncRun], looks: Sequence[Look], actor: Actor) -> list[SyncRun]:
    seen = {run.project: look for run, look in zip(runs, looks, strict=True) if isinstance(look, RegisteredState)}
    observations = _observe_all(seen, actor, {run.project_id: run.pk for run in runs})
    now = timezone.now()
    for run, look in zip(runs, looks, strict=True):
        found = look if isinstance(look, PortalError) else observations[run.project_id]
        run.finished_at = now
        if isinstance(found, Observation):
            run.state, run.message = SyncRun.State.DONE, found.in_words()
        else:
            run.state, run.message = SyncRun.State.FAILED, str(found)
            Project.objects.filter(pk=run.project_id).update(sync_error=str(found))
    with transaction.atomic():
        _save_ends(runs, now)
        note_credential(runs[0].project.workspace, looks, now)
    return list(runs)


def _save_ends(runs: Sequence[SyncRun], now: dt.datetime) -> None:
    """Runs that ended alike, as nearly all do, cost one statement together."""
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for run in runs:
        alike[run.state, run.message].append(run.pk)
    for (state, message), ids in alike.items():
        SyncRun.objects.filter(pk__in=ids).update(state=state, message=message, finished_at=now)


def _observe_all(
    states: dict[Project, RegisteredState], actor: Actor, runs: Mapping[int, int]
) -> dict[int, Observation | PortalError]:
    now = timezone.now()
    try:
        return dict(observe(states, actor, now, runs=runs))
    except (ValueError, TypeError):  # one odd answer (a NUL in a scope, say) must not cost the others their sync
        log.exception("Storing %d states at once failed; going on one by one", len(states))
    stored: dict[int, Observation | PortalError] = {}
    for project, state in states.items():
        try:
            stored |= observe({project: state}, actor, now, runs=runs)
        except (ValueError, TypeError):
            stored[project.pk] = PortalError("Base44's answer holds something that cannot be stored.")
    return stored


def note_credential(workspace: Workspace, looks: Iterable[Look], now: dt.datetime) -> None:
    """Keeps the workspace's word on its credential true: accepted when Base44 answered, refused when it said so."""
    if any(isinstance(look, CredentialError) and look.status == 401 for look in looks):
        state = Workspace.CredentialState.REFUSED
    elif any(isinstance(look, RegisteredState) for look in looks):
        state = Workspace.CredentialState.ACCEPTED
    else:
        return
    if state != workspace.credential_state:
        Workspace.objects.filter(pk=workspace.pk).update(credential_state=state, credential_checked_at=now)

"""Runs of workers that died, and messages that were lost."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys

import pytest
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows import runs
from connectors.models import Project, SyncRun, SyncStep
from tests.factories import SHELL, make_project

State = SyncRun.State
Kind = SyncRun.Kind
pytestmark = pytest.mark.django_db


@pytest.fixture
def dead_worker() -> str:
    """The name of a worker whose process has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{socket.gethostname()}:{process.pid}"


def claimed(project: Project, kind: SyncRun.Kind = Kind.APPLY) -> SyncRun:
    run = runs.claim_run(runs.open_run(project, kind, SHELL).pk)
    assert run is not None
    return run


def test_a_run_of_a_dead_process_is_interrupted_and_its_steps_say_so(project: Project, dead_worker: str) -> None:
    run = claimed(project)
    SyncRun.objects.update(worker=dead_worker)
    for place, state in enumerate([SyncStep.State.DONE, SyncStep.State.RUNNING, SyncStep.State.PLANNED]):
        SyncStep.objects.create(run=run, position=place, type=f"t{place}", action="set", state=state)
    assert runs.bury_dead_runs(timezone.now()) == 1
    run.refresh_from_db()
    assert run.state == State.INTERRUPTED
    assert [step.state for step in run.steps.all()] == ["done", "interrupted", "skipped"]


def test_a_worker_elsewhere_is_given_up_when_its_heartbeat_stops(project: Project) -> None:
    claimed(project)
    SyncRun.objects.update(worker="other-host:1", heartbeat_at=timezone.now() - dt.timedelta(seconds=31))
    assert runs.bury_dead_runs(timezone.now()) == 1


def test_a_living_worker_is_left_alone(project: Project) -> None:
    claimed(project)
    SyncRun.objects.update(worker=f"{socket.gethostname()}:{os.getpid()}")
    assert runs.bury_dead_runs(timezone.now()) == 0


def test_a_dead_workers_project_can_be_applied_again_at_once(project: Project, dead_worker: str) -> None:
    claimed(project)
    SyncRun.objects.update(worker=dead_worker)
    assert runs.open_run(project, Kind.APPLY, SHELL).state == State.QUEUED


def test_a_living_workers_project_can_not(project: Project) -> None:
    claimed(project)
    with pytest.raises(Refused, match="already"):
        runs.open_run(project, Kind.APPLY, SHELL)


def test_two_projects_can_be_applied_at_once(project: Project) -> None:
    claimed(project)
    assert runs.open_run(make_project(), Kind.APPLY, SHELL).state == State.QUEUED


def test_a_dead_workers_sync_is_queued_again_and_redelivered(project: Project, dead_worker: str) -> None:
    run = claimed(project, Kind.SYNC)
    SyncRun.objects.update(worker=dead_worker)
    runs.bury_dead_runs(timezone.now())
    sent: list[int] = []
    runs.redeliver(timezone.now(), lambda lost: sent.append(lost.pk))
    assert sent == [run.pk]


def test_a_queued_run_is_redelivered_once_per_interval(project: Project) -> None:
    run = runs.open_run(project, Kind.APPLY, SHELL)
    SyncRun.objects.update(dispatched_at=timezone.now() - dt.timedelta(minutes=5))
    sent: list[int] = []
    now = timezone.now()
    runs.redeliver(now, lambda lost: sent.append(lost.pk))
    runs.redeliver(now, lambda lost: sent.append(lost.pk))
    assert sent == [run.pk]


def test_what_a_buried_run_reports_later_does_not_revive_it(project: Project, dead_worker: str) -> None:
    run = claimed(project)
    SyncRun.objects.update(worker=dead_worker)
    runs.bury_dead_runs(timezone.now())
    runs.finish_run(run, State.DONE)
    assert SyncRun.objects.get().state == State.INTERRUPTED


def test_cancelling_a_queued_run_ends_it(project: Project) -> None:
    run = runs.open_run(project, Kind.APPLY, SHELL)
    assert runs.cancel_run(run)
    assert runs.claim_run(run.pk) is None


def test_old_syncs_that_found_nothing_are_pruned_and_applies_stay(project: Project) -> None:
    runs.finish_run(claimed(project, Kind.SYNC), State.DONE)
    runs.finish_run(claimed(project, Kind.APPLY), State.DONE)
    SyncRun.objects.update(created_at=timezone.now() - dt.timedelta(days=40))
    runs.prune_runs(timezone.now(), keep_days=30)
    assert [run.kind for run in SyncRun.objects.all()] == [Kind.APPLY]

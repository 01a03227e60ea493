"""A real worker on the real broker: it does the work, and survives being killed."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.flows import consent, plan
from connectors.flows.connect import client_for
from connectors.models import Connector, Project, SyncRun, SyncStep, Workspace
from tests.factories import SHELL, make_connector, make_project
from tests.servers.worker import Worker, eventually, worker

State = SyncRun.State


def start_apply(project: Project) -> SyncRun:
    client = client_for(project.workspace)
    return tasks.start_apply(project, plan.show_plan(project, client, SHELL), [], SHELL)


def is_in(run: SyncRun, *states: str) -> bool:
    run.refresh_from_db()
    return run.state in states


def forget_messages() -> None:
    """Turns the clock on: what was sent to a worker that is dead now counts as lost."""
    SyncRun.objects.filter(state=State.QUEUED).update(dispatched_at=timezone.now() - dt.timedelta(minutes=5))


def kill_in_the_middle(base44: Emulator, victim: Worker, run: SyncRun) -> None:
    hanging = run.steps.filter(type="slackbot", state=SyncStep.State.RUNNING)
    eventually("the worker waits for Base44's answer", hanging.exists)
    victim.kill()
    base44.faults.clear()


def test_a_worker_syncs_and_applies(base44: Emulator, live_project: Project) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    with worker():
        (sync,) = tasks.start_sync([live_project], SHELL)
        eventually("the sync is done", lambda: is_in(sync, State.DONE))
        run = start_apply(live_project)
        eventually("the apply is done", lambda: is_in(run, State.DONE))
    assert base44.count("PUT", "/slackbot") == 1


def test_a_worker_watches_a_consent_until_it_is_given(base44: Emulator, live_project: Project) -> None:
    connector = make_connector(live_project, "slackbot", ["chat:write"])
    with worker():
        consent.ask_consent(connector, client_for(live_project.workspace), SHELL)
        tasks.watch_consent(connector)
        base44.consent("app-crm", "slackbot")
        in_sync = Connector.objects.filter(pk=connector.pk, sync_state=Connector.SyncState.IN_SYNC)
        eventually("the connector is in sync", in_sync.exists)


def test_after_kill_9_the_run_is_interrupted_and_the_next_one_ends_right(
    base44: Emulator, live_project: Project
) -> None:
    make_connector(live_project, "gmail", ["https://www.googleapis.com/auth/gmail.send"])
    make_connector(live_project, "slackbot", ["chat:write"])
    base44.fail("PUT", "/integrations/slackbot", "hang", seconds=60)
    with worker() as victim:
        broken = start_apply(live_project)
        kill_in_the_middle(base44, victim, broken)
    with worker():
        again = start_apply(live_project)
        eventually("the second apply is done", lambda: is_in(again, State.DONE))
    assert is_in(broken, State.INTERRUPTED)
    assert [step.state for step in broken.steps.all()] == ["consent", "interrupted"]


def test_queued_work_survives_kill_9(base44: Emulator, live_workspace: Workspace, live_project: Project) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    others = [make_project(f"p{number}", workspace=live_workspace, app_id=f"app-{number}") for number in range(3)]
    for other in others:
        base44.add_app(other.app_id)
        make_connector(other, "slackbot", ["chat:write"])
    base44.fail("PUT", "/app-crm/external-auth/integrations/slackbot", "hang", seconds=60)
    with worker(concurrency=1) as victim:
        stuck = start_apply(live_project)
        waiting = [start_apply(other) for other in others]
        kill_in_the_middle(base44, victim, stuck)
    forget_messages()
    with worker():
        tasks.sweep.delay()
        for run in waiting:
            eventually(f"{run} is done", lambda run=run: is_in(run, State.DONE))  # type: ignore[misc]
    assert is_in(stuck, State.INTERRUPTED)
    assert [base44.count("PUT", f"/{p.app_id}/external-auth/integrations/slackbot") for p in others] == [1, 1, 1]


def test_a_sync_that_was_under_way_is_done_by_the_next_worker(base44: Emulator, live_project: Project) -> None:
    base44.fail("GET", "/external-auth/list", "hang", seconds=60)
    with worker() as victim:
        (run,) = tasks.start_sync([live_project], SHELL)
        eventually("the worker asks Base44", lambda: base44.count("GET", "/external-auth/list") > 0)
        victim.kill()
        base44.faults.clear()
    with worker():
        tasks.sweep.delay()
        eventually("the sync is done", lambda: is_in(run, State.DONE))


def test_two_workers_carry_out_each_run_once(
    base44: Emulator, live_workspace: Workspace, transactional_db: None
) -> None:
    projects = [make_project(f"p{number}", workspace=live_workspace, app_id=f"app-{number}") for number in range(6)]
    for project in projects:
        base44.add_app(project.app_id)
        make_connector(project, "slackbot", ["chat:write"])
    with worker(), worker():
        started = [start_apply(project) for project in projects]
        for run in started:
            tasks.apply_run.delay(run.pk)  # a message that comes twice
        for run in started:
            eventually(f"{run} is done", lambda run=run: is_in(run, State.DONE))  # type: ignore[misc]
    assert base44.count("PUT", "/integrations/slackbot") == len(projects)

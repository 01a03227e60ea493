"""What a worker does stands on record, and in its log, under the name of the request that asked for it."""

from __future__ import annotations

import json

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.core.trace import Trace, traced
from connectors.flows import plan
from connectors.flows.connect import client_for
from connectors.models import Event, Project, SyncRun
from tests.factories import SHELL, make_connector
from tests.servers.worker import eventually, worker


def test_what_a_worker_does_belongs_to_the_request_that_asked(base44: Emulator, live_project: Project) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client_for(live_project.workspace), SHELL)
    with worker(), traced(Trace("the-request", "192.0.2.7")):
        run = tasks.start_apply(live_project, shown, [], SHELL)
        done = SyncRun.objects.filter(pk=run.pk, state=SyncRun.State.DONE)
        eventually("the apply is done", done.exists)
    written = Event.objects.filter(door="task", project=live_project)
    assert {(event.request_id, event.address) for event in written} == {("the-request", "192.0.2.7")}


def test_a_workers_log_names_request_and_task(transactional_db: None) -> None:
    with worker(environment={"LOG_FORMAT": "json"}) as running:
        with traced(Trace("the-request")):
            sent = tasks.apply_run.delay(0)  # there is no such run: the task fails, and says so
        eventually(
            "the failure is in the log", lambda: any(sent.id in line and '"error"' in line for line in running.log)
        )
    failures = [json.loads(line) for line in running.log if sent.id in line and '"error"' in line]
    assert {(entry["request_id"], entry["task_id"]) for entry in failures} == {("the-request", sent.id)}

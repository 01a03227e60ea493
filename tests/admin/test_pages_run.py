"""The page of a run: it follows the work, ends with it, stops it, and leads to consent."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.core.plan import Plan
from connectors.flows.apply import queue_apply
from connectors.flows.connect import client_for
from connectors.flows.plan import show_plan
from connectors.models import Connector, Project, SyncRun, SyncStep
from tests.factories import SHELL, make_connector
from tests.flows.conftest import APP

State = SyncRun.State


def make_run(project: Project, **values: Any) -> SyncRun:
    return SyncRun.objects.create(
        project=project, actor_label="ada", door="admin", **{"kind": SyncRun.Kind.APPLY, **values}
    )


def page(run: SyncRun) -> str:
    return reverse("admin:connectors_syncrun_live", args=[run.pk])


def steps(run: SyncRun) -> str:
    return reverse("admin:connectors_syncrun_live_steps", args=[run.pk])


def cancel(run: SyncRun) -> str:
    return reverse("admin:connectors_syncrun_cancel", args=[run.pk])


@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING])
def test_an_open_run_asks_for_itself(browser: Client, project: Project, state: str) -> None:
    run = make_run(project, state=state, started_at=timezone.now())
    assert f'hx-get="{steps(run)}"' in browser.get(page(run)).content.decode()
    assert f'hx-get="{steps(run)}"' in browser.get(steps(run)).content.decode()


@pytest.mark.parametrize("state", [state for state in State if state not in SyncRun.OPEN_STATES])
def test_a_run_that_is_over_is_asked_for_no_more(browser: Client, project: Project, state: str) -> None:
    run = make_run(project, state=state, message="What came of it")
    answer = browser.get(steps(run)).content.decode()
    assert "hx-get" not in answer
    assert "What came of it" in answer


def test_a_queued_run_shows_what_it_will_do(browser: Client, project: Project) -> None:
    actions = [
        {"type": "gmail", "action": "set", "reason": "New", "added": ["mail.read"], "removed": []},
        {"type": "slack", "action": "remove", "reason": "Gone", "destructive": True},
    ]
    answer = browser.get(page(make_run(project, plan={"actions": actions})))
    assert [(step.type, step.state) for step in answer.context["steps"]] == [
        ("gmail", SyncStep.State.PLANNED),
        ("slack", SyncStep.State.SKIPPED),
    ]


def test_cancelling_a_queued_run_ends_it(browser: Client, project: Project) -> None:
    run = make_run(project)
    assert browser.post(cancel(run))["Location"] == page(run)
    run.refresh_from_db()
    assert run.state == State.CANCELLED


def test_cancelling_a_running_run_asks_it_to_stop(browser: Client, project: Project) -> None:
    run = make_run(project, state=State.RUNNING, started_at=timezone.now())
    browser.post(cancel(run))
    run.refresh_from_db()
    assert (run.state, run.cancel_requested) == (State.RUNNING, True)


def test_cancelling_what_is_over_changes_nothing(browser: Client, project: Project) -> None:
    run = make_run(project, state=State.DONE)
    browser.post(cancel(run))
    run.refresh_from_db()
    assert (run.state, run.cancel_requested) == (State.DONE, False)


def test_there_is_no_cancel_button_on_a_run_that_is_over(browser: Client, project: Project) -> None:
    assert cancel(run := make_run(project, state=State.DONE)) not in browser.get(page(run)).content.decode()


@pytest.fixture
def applied(live_project: Project, base44: Emulator) -> SyncRun:
    """A run that set gmail, which waits for consent now."""
    make_connector(live_project, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    plan: Plan = show_plan(live_project, client_for(live_project.workspace), SHELL)
    run = queue_apply(live_project, plan, [], SHELL)
    tasks.apply_run(run.pk)
    run.refresh_from_db()
    return run


def test_a_step_that_needs_consent_can_be_authorised(browser: Client, applied: SyncRun) -> None:
    gmail = Connector.objects.get(integration_type="gmail")
    answer = browser.get(page(applied)).content.decode()
    assert f'action="{reverse("admin:connectors_connector_authorise", args=[gmail.pk])}"' in answer


def test_a_step_whose_consent_was_given_needs_nobody(browser: Client, base44: Emulator, applied: SyncRun) -> None:
    base44.consent(APP, "gmail")
    show_plan(applied.project, client_for(applied.project.workspace), SHELL)
    (step,) = browser.get(page(applied)).context["steps"]
    assert (step.connector, step.state) == (None, SyncStep.State.DONE)


def test_who_may_not_change_connectors_gets_no_authorise_button(reader: Any, applied: SyncRun) -> None:
    client = Client()
    client.force_login(reader)
    assert "authorise/" not in client.get(page(applied)).content.decode()


def test_the_number_of_queries_does_not_grow_with_the_steps(
    browser: Client, project: Project, django_assert_max_num_queries: Any
) -> None:
    run = make_run(project, state=State.DONE)
    for position in range(40):
        make_connector(project, f"type-{position}", consent=Connector.Consent.NEEDED)
        SyncStep.objects.create(
            run=run, position=position, type=f"type-{position}", action="set", state=SyncStep.State.CONSENT
        )
    with django_assert_max_num_queries(6):
        assert len(browser.get(steps(run)).context["steps"]) == 40

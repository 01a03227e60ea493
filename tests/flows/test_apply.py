"""Plan and apply: what happens at Base44, and what is on record afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from pydantic import SecretStr

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.errors import Refused
from connectors.core.plan import ActionKind
from connectors.flows import apply, plan, runs
from connectors.flows.approvals import ApprovalNeeded
from connectors.flows.consent import refuse_unapproved
from connectors.flows.declare import declare, undeclare
from connectors.models import Connector, Event, Project, SyncRun, SyncStep
from tests.factories import SHELL, make_connector, make_demand, make_token

from .conftest import APP

State = SyncRun.State
StepState = SyncStep.State


def carry_out(project: Project, client: Base44Client, *removals: str) -> SyncRun:
    return apply.apply_now(project, plan.show_plan(project, client, SHELL), removals, client, SHELL)


def steps_of(run: SyncRun) -> dict[str, str]:
    return {step.type: step.state for step in run.steps.all()}


def test_what_agrees_gets_no_call(base44: Emulator, live_project: Project, client: Base44Client) -> None:
    base44.register(APP, "slackbot", ["chat:write"])
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client, SHELL)
    assert shown.is_empty
    assert not any(method == "PUT" for method, _ in base44.requests)


def test_a_new_connector_is_set_and_waits_for_consent(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    run = carry_out(live_project, client)
    assert (run.state, steps_of(run)) == (State.DONE, {"slackbot": StepState.CONSENT})
    assert live_project.connectors.get().consent == Connector.Consent.NEEDED


def test_after_consent_a_new_plan_is_empty(base44: Emulator, live_project: Project, client: Base44Client) -> None:
    make_connector(live_project, "slackbot", ["chat:write", "users:read"])
    carry_out(live_project, client)
    base44.consent(APP, "slackbot")
    assert plan.show_plan(live_project, client, SHELL).is_empty
    assert live_project.connectors.get().consent == Connector.Consent.NONE


def test_the_consent_link_reaches_the_caller_and_no_row(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    links: list[SecretStr] = []
    shown = plan.show_plan(live_project, client, SHELL)
    run = apply.apply_now(live_project, shown, [], client, SHELL, on_link=lambda _type, link: links.append(link))
    link = links[0].get_secret_value()
    rows = [*SyncRun.objects.values(), *SyncStep.objects.values(), *Connector.objects.values(), *Event.objects.values()]
    assert link.startswith("http")
    assert run.state == State.DONE
    assert link not in repr(rows)


def test_nothing_is_removed_that_was_not_ticked(base44: Emulator, live_project: Project, client: Base44Client) -> None:
    base44.register(APP, "notion", [])
    make_connector(live_project, "slackbot", ["chat:write"])
    run = carry_out(live_project, client)
    assert steps_of(run)["notion"] == StepState.SKIPPED
    assert base44.count("DELETE", "/remove") == 0


def test_a_ticked_removal_is_carried_out(base44: Emulator, live_project: Project, client: Base44Client) -> None:
    base44.register(APP, "notion", [])
    run = carry_out(live_project, client, "notion")
    assert (run.state, base44.count("DELETE", "/notion/remove")) == (State.DONE, 1)
    assert not live_project.connectors.exists()


def test_what_a_plan_removed_is_not_set_again_by_asking_for_consent(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    row = make_connector(live_project, "slackbot", ["chat:write"])
    carry_out(live_project, client)
    base44.consent(APP, "slackbot")
    plan.show_plan(live_project, client, SHELL)
    make_token(row)  # so that the row stays when Base44 has it no more
    row.refresh_from_db()
    undeclare(row, SHELL)
    carry_out(live_project, client, "slackbot")
    make_demand("plan", environment=live_project.environment)
    again = declare(live_project, "slackbot", ["chat:write"], {}, SHELL)
    assert again.pk == row.pk
    with pytest.raises(ApprovalNeeded):
        refuse_unapproved(again)


def test_a_failed_set_stops_the_removal_and_the_rest_goes_on(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    base44.register(APP, "notion", [])
    make_connector(live_project, "gmail", ["https://www.googleapis.com/auth/gmail.send"])
    make_connector(live_project, "slackbot", ["chat:write"])
    base44.fail("PUT", "/integrations/gmail", status=400)
    run = carry_out(live_project, client, "notion")
    assert steps_of(run) == {
        "gmail": StepState.FAILED,
        "slackbot": StepState.CONSENT,
        "notion": StepState.SKIPPED,
    }
    assert run.state == State.PARTIAL


def test_a_plan_that_is_stale_is_refused_and_nothing_is_done(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client, SHELL)
    base44.register(APP, "notion", [])
    run = apply.apply_now(live_project, shown, [], client, SHELL)
    assert run.state == State.REFUSED
    assert base44.count("PUT", "/slackbot") == 0


def test_a_declaration_changed_meanwhile_makes_the_plan_stale_too(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client, SHELL)
    declare(live_project, "slackbot", ["chat:write", "users:read"], {}, SHELL)
    assert apply.apply_now(live_project, shown, [], client, SHELL).state == State.REFUSED


def test_a_second_apply_of_a_project_is_refused_while_one_is_open(live_project: Project, client: Base44Client) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client, SHELL)
    apply.queue_apply(live_project, shown, [], SHELL)
    with pytest.raises(Refused, match="already"):
        apply.queue_apply(live_project, shown, [], SHELL)


def test_a_run_is_carried_out_by_one_worker_only(base44: Emulator, live_project: Project, client: Base44Client) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    run = apply.queue_apply(live_project, plan.show_plan(live_project, client, SHELL), [], SHELL)
    assert apply.run_apply(run.pk, client, SHELL) is not None
    assert apply.run_apply(run.pk, client, SHELL) is None
    assert base44.count("PUT", "/slackbot") == 1


def test_a_cancelled_run_leaves_the_steps_that_were_not_begun(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "gmail", ["https://www.googleapis.com/auth/gmail.send"])
    make_connector(live_project, "slackbot", ["chat:write"])
    run = apply.queue_apply(live_project, plan.show_plan(live_project, client, SHELL), [], SHELL)

    def cancel(step: SyncStep) -> None:
        runs.cancel_run(step.run)

    done = apply.run_apply(run.pk, client, SHELL, on_step=cancel)
    assert done is not None
    assert (done.state, steps_of(done)) == (
        State.CANCELLED,
        {"gmail": StepState.CONSENT, "slackbot": StepState.CANCELLED},
    )


def test_a_lost_answer_is_a_failed_step_and_the_next_plan_tells_the_truth(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    base44.fail("PUT", "/integrations/slackbot", "lost")
    run = carry_out(live_project, client)
    assert steps_of(run) == {"slackbot": StepState.FAILED}
    base44.consent(APP, "slackbot")
    assert plan.show_plan(live_project, client, SHELL).is_empty


def test_stripe_is_installed_when_it_is_declared(base44: Emulator, live_project: Project, client: Base44Client) -> None:
    make_connector(live_project, "stripe")
    run = carry_out(live_project, client)
    assert steps_of(run) == {"stripe": StepState.DONE}
    assert plan.show_plan(live_project, client, SHELL).is_empty


def test_an_undeclared_connector_is_planned_for_removal(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    base44.register(APP, "slackbot", ["chat:write"])
    row = make_connector(live_project, "slackbot", ["chat:write"])
    plan.show_plan(live_project, client, SHELL)
    row.refresh_from_db()
    assert undeclare(row, SHELL) is False
    (action,) = plan.show_plan(live_project, client, SHELL).actions
    assert (action.kind, action.destructive) == (ActionKind.REMOVE, True)


def test_unticked_types_that_the_plan_does_not_remove_are_refused(live_project: Project, client: Base44Client) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    shown = plan.show_plan(live_project, client, SHELL)
    with pytest.raises(Refused, match="notion"):
        apply.queue_apply(live_project, shown, ["notion"], SHELL)


def test_each_step_leaves_an_event_with_its_actor(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    carry_out(live_project, client)
    event = Event.objects.get(verb="step.consent")
    assert (event.actor_label, event.after["scopes"]) == ("tests", ["chat:write"])


def test_a_step_whose_event_cannot_be_written_is_not_said_to_be_done(
    base44: Emulator, live_project: Project, client: Base44Client
) -> None:
    """As when the worker is killed, or the database goes, between the two."""
    make_connector(live_project, "slackbot", ["chat:write"])

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "connectors_event"') and "step.consent" in map(str, params):
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        carry_out(live_project, client)
    assert [step.state for step in SyncStep.objects.all()] == [StepState.RUNNING]

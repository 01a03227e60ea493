"""The page of a plan: it shows what was last seen, and starts exactly what was shown and ticked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.core.plan import Plan
from connectors.flows.connect import client_for
from connectors.flows.declare import declare
from connectors.flows.plan import show_plan
from connectors.models import Connector, Project, SyncRun
from tests.factories import SHELL, make_connector, make_project
from tests.flows.conftest import APP

QUERIES = 10
"""Session, user, project, connectors, those that wait, the catalogue, the words on it, open runs, approval rules."""


@pytest.fixture
def project(live_project: Project, base44: Emulator) -> Project:
    """Declares gmail; Base44 has slack and notion."""
    make_connector(live_project, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    base44.register(APP, "slack", ["chat:write"])
    base44.register(APP, "notion", [])
    return live_project


@pytest.fixture
def plan(project: Project) -> Plan:
    """What was shown of the project."""
    return show_plan(project, client_for(project.workspace), SHELL)


def page(project: Project) -> str:
    return reverse("admin:connectors_project_plan", args=[project.pk])


def apply(browser: Client, project: Project, plan: Plan, **values: Any) -> Any:
    return browser.post(page(project), {"action": "apply", "fingerprint": plan.fingerprint, **values})


def test_the_page_shows_the_stored_plan_and_asks_base44_nothing(
    browser: Client, base44: Emulator, project: Project, plan: Plan
) -> None:
    asked = len(base44.requests)
    answer = browser.get(page(project))
    assert answer.context["shown"].plan.fingerprint == plan.fingerprint
    assert len(base44.requests) == asked


def test_no_removal_is_ticked_before_somebody_ticks_it(browser: Client, project: Project, plan: Plan) -> None:
    answer = browser.get(page(project))
    assert answer.content.count(b'name="remove"') == 2
    assert b"checked" not in answer.content.split(b'id="plan-form"')[1].split(b"</form>")[0]


def test_looking_reads_base44_and_comes_back_to_the_page(browser: Client, project: Project) -> None:
    answer = browser.post(page(project), {"action": "look"})
    assert (answer.status_code, answer["Location"]) == (302, page(project))
    assert [row.action.type for row in browser.get(page(project)).context["shown"].rows] == ["gmail", "notion", "slack"]


def test_a_base44_that_cannot_be_read_is_told_on_the_page(browser: Client, base44: Emulator, project: Project) -> None:
    base44.fail("GET", "/list", status=403, message="This token may not read connectors")
    answer = browser.post(page(project), {"action": "look"})
    assert answer.status_code == 200
    assert "may not read connectors" in answer.context["shown"].problem


def test_applying_queues_the_shown_plan_and_leads_to_its_run(browser: Client, project: Project, plan: Plan) -> None:
    answer = apply(browser, project, plan)
    run = SyncRun.objects.get(kind=SyncRun.Kind.APPLY)
    assert answer["Location"] == reverse("admin:connectors_syncrun_live", args=[run.pk])
    assert (run.fingerprint, run.removals, run.actor_label) == (plan.fingerprint, [], "operator")


def test_only_ticked_types_are_removed_at_base44(
    browser: Client, base44: Emulator, project: Project, plan: Plan
) -> None:
    apply(browser, project, plan, remove=["slack"], confirmed="1")
    tasks.apply_run(SyncRun.objects.get(kind=SyncRun.Kind.APPLY).pk)
    assert "slack" not in base44.app(APP).connections
    assert "notion" in base44.app(APP).connections


def test_a_removal_that_was_not_confirmed_is_asked_for_again(browser: Client, project: Project, plan: Plan) -> None:
    answer = apply(browser, project, plan, remove=["slack"])
    assert answer.context["shown"].confirm
    assert answer.context["shown"].chosen == ["slack"]
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).exists()


@pytest.mark.parametrize("forged", ["gmail", "hubspot", "", "../slack", "slack\x00"])
def test_a_removal_that_the_plan_does_not_offer_is_refused(
    browser: Client, project: Project, plan: Plan, forged: str
) -> None:
    answer = apply(browser, project, plan, remove=["slack", forged], confirmed="1")
    assert "does not remove" in answer.context["shown"].problem
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).exists()


def test_a_plan_that_has_changed_since_it_was_shown_is_refused(browser: Client, project: Project, plan: Plan) -> None:
    declare(project, "hubspot", ["oauth"], {}, SHELL)
    answer = apply(browser, project, plan, remove=["slack"], confirmed="1")
    assert "has changed since that plan was shown" in answer.context["shown"].problem
    assert "hubspot" in {row.action.type for row in answer.context["shown"].rows}
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).exists()


@pytest.mark.parametrize("fingerprint", ["", "0" * 64, "x"])
def test_a_made_up_fingerprint_is_refused(browser: Client, project: Project, plan: Plan, fingerprint: str) -> None:
    browser.post(page(project), {"action": "apply", "fingerprint": fingerprint})
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).exists()


def test_a_plan_of_a_look_without_stripe_is_applied_as_it_was_shown(
    browser: Client, base44: Emulator, project: Project, plan: Plan
) -> None:
    base44.fail("GET", "/stripe", status=403, times=None)
    shown = browser.post(page(project), {"action": "look"}).context["shown"].plan
    assert shown.fingerprint != plan.fingerprint
    apply(browser, project, shown)
    run = SyncRun.objects.get(kind=SyncRun.Kind.APPLY)
    tasks.apply_run(run.pk)
    run.refresh_from_db()
    assert run.state == SyncRun.State.DONE


def test_a_second_apply_is_refused_while_the_first_is_open(browser: Client, project: Project, plan: Plan) -> None:
    apply(browser, project, plan)
    answer = apply(browser, project, plan)
    assert "already" in answer.context["shown"].problem
    assert SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).count() == 1


def test_ticks_survive_a_refusal(browser: Client, project: Project, plan: Plan) -> None:
    apply(browser, project, plan)
    answer = apply(browser, project, plan, remove=["slack"], confirmed="1")
    assert answer.context["shown"].chosen == ["slack"]


def test_a_project_that_agrees_is_said_to_be_in_sync(browser: Client, live_project: Project) -> None:
    browser.post(page(live_project), {"action": "look"})
    assert b"In sync" in browser.get(page(live_project)).content


def test_a_project_that_was_never_read_claims_nothing(browser: Client, live_project: Project) -> None:
    answer = browser.get(page(live_project))
    assert answer.context["shown"].plan is None
    assert b"In sync" not in answer.content


def test_a_live_stripe_account_is_marked(browser: Client, base44: Emulator, project: Project) -> None:
    base44.install_stripe(APP, "live")
    browser.post(page(project), {"action": "look"})
    answer = browser.get(page(project))
    assert [row.action.type for row in answer.context["shown"].rows if row.live] == ["stripe"]
    assert b"data-live" in answer.content


def test_what_was_set_and_waits_for_consent_offers_to_authorise_it(
    browser: Client, project: Project, plan: Plan
) -> None:
    apply(browser, project, plan)
    tasks.apply_run(SyncRun.objects.get(kind=SyncRun.Kind.APPLY).pk)
    gmail = Connector.objects.get(project=project, integration_type="gmail")
    answer = browser.get(page(project))
    assert reverse("admin:connectors_connector_authorise", args=[gmail.pk]) in answer.content.decode()


def test_the_session_keeps_few_plans(browser: Client, base44: Emulator, live_project: Project) -> None:
    for number in range(12):
        base44.add_app(f"app-{number}", f"App {number}")
        other = make_project(f"p{number}", workspace=live_project.workspace, app_id=f"app-{number}")
        browser.post(page(other), {"action": "look"})
    assert len(browser.session["shown_plans"]) == 10


def test_the_number_of_queries_does_not_grow_with_the_plan(
    browser: Client, project: Project, plan: Plan, django_assert_num_queries: Any
) -> None:
    browser.get(page(project))  # what is cached for all pages is cached now
    with django_assert_num_queries(QUERIES):
        browser.get(page(project))
    for number in range(30):
        make_connector(project, f"type-{number}", ["a"], consent=Connector.Consent.NEEDED, last_set_scopes=["a"])
    with django_assert_num_queries(QUERIES):
        browser.get(page(project))

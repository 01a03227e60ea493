"""Sync: what the rows say after Base44 was read."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from connectors.core.base44.emulator import Emulator
from connectors.flows import sync
from connectors.models import Connector, Event, Project, SyncRun, Token, Workspace
from tests.factories import SHELL, make_connector, make_project, make_token, make_workspace

from .conftest import APP

SyncState = Connector.SyncState


def state_of(project: Project, type_: str) -> str:
    return Connector.objects.get(project=project, integration_type=type_).sync_state


def test_equal_scopes_are_in_sync_whatever_their_order(base44: Emulator, live_project: Project) -> None:
    base44.register(APP, "slackbot", ["chat:write", "users:read"])
    make_connector(live_project, "slackbot", ["users:read", "chat:write"])
    sync.sync_projects([live_project], SHELL)
    assert state_of(live_project, "slackbot") == SyncState.IN_SYNC


def test_a_missing_scope_is_named_in_the_note(base44: Emulator, live_project: Project) -> None:
    base44.register(APP, "slackbot", ["chat:write"])
    make_connector(live_project, "slackbot", ["chat:write", "users:read"])
    sync.sync_projects([live_project], SHELL)
    row = live_project.connectors.get()
    assert (row.sync_state, row.needs_attention) == (SyncState.DIFFERS, True)
    assert "users:read" in row.sync_note


def test_scopes_that_base44_adds_by_itself_are_no_drift(base44: Emulator, live_project: Project) -> None:
    base44.set_scope_rules("slackbot", auto_added=["team:read"])
    base44.register(APP, "slackbot", ["chat:write", "team:read"])
    make_connector(live_project, "slackbot", ["chat:write"])
    sync.sync_projects([live_project], SHELL)
    assert state_of(live_project, "slackbot") == SyncState.IN_SYNC


def test_a_connector_that_only_base44_has_gets_a_row_that_is_not_declared(
    base44: Emulator, live_project: Project
) -> None:
    base44.register(APP, "notion", [], account="ana@example.com")
    sync.sync_projects([live_project], SHELL)
    row = live_project.connectors.get()
    assert (row.is_declared, row.sync_state, row.registered_account) == (
        False,
        SyncState.NOT_DECLARED,
        "ana@example.com",
    )


def test_that_row_goes_when_base44_no_longer_lists_it(base44: Emulator, live_project: Project) -> None:
    base44.register(APP, "notion", [])
    sync.sync_projects([live_project], SHELL)
    base44.app(APP).connections.clear()
    sync.sync_projects([live_project], SHELL)
    assert not live_project.connectors.exists()


def test_an_expired_connection_is_broken_even_with_the_right_scopes(base44: Emulator, live_project: Project) -> None:
    base44.register(APP, "slackbot", ["chat:write"], status="expired")
    make_connector(live_project, "slackbot", ["chat:write"])
    sync.sync_projects([live_project], SHELL)
    assert state_of(live_project, "slackbot") == SyncState.INACTIVE


def test_a_connector_that_base44_does_not_list_is_not_registered(live_project: Project) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    sync.sync_projects([live_project], SHELL)
    assert state_of(live_project, "slackbot") == SyncState.NOT_REGISTERED


def test_stripe_is_seen_through_its_own_endpoint(base44: Emulator, live_project: Project) -> None:
    base44.install_stripe(APP, "live")
    sync.sync_projects([live_project], SHELL)
    live_project.refresh_from_db()
    assert live_project.stripe_mode == "live"
    assert live_project.connectors.get().integration_type_id == "stripe"


def test_a_failing_stripe_status_leaves_what_was_known(base44: Emulator, live_project: Project) -> None:
    base44.install_stripe(APP, "sandbox")
    make_connector(live_project, "stripe")
    sync.sync_projects([live_project], SHELL)
    base44.fail("GET", "/payments/stripe/status", status=500, times=10)
    sync.sync_projects([live_project], SHELL)
    assert state_of(live_project, "stripe") == SyncState.IN_SYNC


def test_one_projects_failure_is_its_own(base44: Emulator, live_project: Project) -> None:
    gone = make_project("gone", workspace=live_project.workspace, app_id="app-nobody-knows")
    runs = sync.sync_projects([live_project, gone], SHELL)
    states = {run.project.slug: run.state for run in runs}
    assert states == {"crm": SyncRun.State.DONE, "gone": SyncRun.State.FAILED}
    gone.refresh_from_db()
    assert gone.sync_error
    assert gone.synced_at is None


def test_a_failed_sync_says_nothing_of_the_connectors(base44: Emulator, live_project: Project) -> None:
    make_connector(live_project, "slackbot", ["chat:write"])
    base44.fail("GET", "/list", status=500, times=10)
    sync.sync_projects([live_project], SHELL)
    assert state_of(live_project, "slackbot") == SyncState.UNKNOWN


@pytest.mark.django_db
def test_a_refused_credential_is_noted_on_the_workspace(base44: Emulator) -> None:
    workspace = make_workspace("Old", api_url=base44.url, token="withdrawn")
    sync.sync_projects([make_project("old", workspace=workspace, app_id=APP)], SHELL)
    workspace.refresh_from_db()
    assert workspace.credential_state == Workspace.CredentialState.REFUSED


def test_an_event_is_recorded_only_when_something_changed(base44: Emulator, live_project: Project) -> None:
    base44.register(APP, "slackbot", ["chat:write"])
    sync.sync_projects([live_project], SHELL)
    sync.sync_projects([live_project], SHELL)
    assert Event.objects.filter(verb="project.observed").count() == 1


def test_a_project_is_not_queued_twice(live_project: Project) -> None:
    assert len(sync.queue_syncs([live_project], SHELL)) == 1
    assert sync.queue_syncs([live_project], SHELL) == []


def test_runs_that_the_rate_budget_holds_back_go_back_to_the_queue(base44: Emulator, live_project: Project) -> None:
    Workspace.objects.update(plan=Workspace.Plan.STARTER)
    projects = [
        make_project(f"p{number}", workspace=Workspace.objects.get(name="Live"), app_id=f"app-{number}")
        for number in range(40)
    ]
    runs = sync.queue_syncs(projects, SHELL)
    result = sync.run_syncs([run.pk for run in runs], SHELL, max_wait=0.0)
    assert (len(result.finished), len(result.postponed)) == (30, 10)
    assert SyncRun.objects.filter(state=SyncRun.State.QUEUED).count() == 10
    assert base44.count("GET", "/external-auth/list") == 30


def test_a_batch_costs_the_same_number_of_queries_whatever_its_size(
    base44: Emulator, live_workspace: Workspace, django_assert_max_num_queries: object
) -> None:
    projects = [make_project(f"p{n}", workspace=live_workspace, app_id=f"app-{n}") for n in range(60)]
    for project in projects:
        base44.register(project.app_id, "slackbot", ["chat:write"])
    sync.sync_projects(projects, SHELL)
    with django_assert_max_num_queries(45):  # type: ignore[operator]
        sync.sync_projects(projects, SHELL)


@pytest.mark.django_db
class TestDueProjects:
    def test_a_due_project_is_claimed_once(self) -> None:
        make_project(workspace=make_workspace(token="x"))
        now = timezone.now()
        assert len(sync.claim_due_projects(now, dt.timedelta(hours=1))) == 1
        assert sync.claim_due_projects(now, dt.timedelta(hours=1)) == []

    def test_it_is_due_again_after_about_an_interval(self) -> None:
        make_project(workspace=make_workspace(token="x"))
        now, hour = timezone.now(), dt.timedelta(hours=1)
        sync.claim_due_projects(now, hour)
        assert sync.claim_due_projects(now + hour * 0.89, hour) == []
        assert len(sync.claim_due_projects(now + hour * 1.11, hour)) == 1

    def test_projects_without_a_usable_credential_are_left_alone(self) -> None:
        make_project(workspace=make_workspace())
        assert sync.claim_due_projects(timezone.now(), dt.timedelta(hours=1)) == []


def test_a_connector_that_is_gone_everywhere_stays_in_sight_while_the_portal_holds_its_token(
    base44: Emulator, live_project: Project
) -> None:
    token = make_token(make_connector(live_project, "gmail", ["a"], registered=["a"], is_declared=False))
    make_connector(live_project, "notion", [], registered=[], is_declared=False)
    sync.sync_projects([live_project], SHELL)
    row = live_project.connectors.get()
    assert (row.integration_type_id, row.sync_state, row.needs_attention) == ("gmail", SyncState.LEFT_OVER, True)
    assert "revoke" in row.sync_note
    Token.objects.filter(pk=token.pk).update(state=Token.State.REVOKED)
    sync.sync_projects([live_project], SHELL)
    assert not live_project.connectors.exists()

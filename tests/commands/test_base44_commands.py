"""plan_connectors, push_connectors, pull_connectors, sync_projects: against the emulator."""

from __future__ import annotations

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.models import Approval, Connector, Project
from tests.commands.conftest import Run
from tests.factories import make_connector, make_demand, make_project
from tests.flows.approving import approve, member
from tests.flows.conftest import APP

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def crm(live_project: Project, base44: Emulator) -> Project:
    """Declares slackbot, which needs a wider scope, and notion, which agrees; Base44 has linear beside them."""
    make_connector(live_project, "slackbot", ["chat:write", "users:read"])
    make_connector(live_project, "notion")
    base44.register(APP, "slackbot", ["chat:write"])
    base44.register(APP, "notion")
    base44.register(APP, "linear", ["write"])
    return live_project


def test_a_plan_is_shown_and_changes_nothing(run: Run, crm: Project, base44: Emulator) -> None:
    said = run("plan_connectors", "--project", "crm", "--json")
    assert (said.code, said.actions()) == (0, {"slackbot": "set", "linear": "remove", "notion": "keep"})
    assert {method for method, _ in base44.requests} == {"GET"}


def test_a_person_sees_what_would_be_removed_in_capitals(run: Run, crm: Project) -> None:
    lines = run("plan_connectors", "--project", "crm").out.splitlines()
    assert lines[0] == "crm: 1 to set or connect, 1 to REMOVE, 1 kept"
    assert any(line.split()[:2] == ["REMOVE", "linear"] for line in lines)


def test_plans_of_all_projects_survive_one_that_cannot_be_read(run: Run, crm: Project) -> None:
    make_project("gone", workspace=crm.workspace, app_id="no-such-app")
    said = run("plan_connectors", "--all", "--json")
    assert said.code == 1
    assert {found["project"]: bool(found["problem"]) for found in said.document} == {"crm": False, "gone": True}


def test_push_does_not_go_on_without_a_terminal_or_yes(run: Run, crm: Project, base44: Emulator) -> None:
    said = run("push_connectors", "--project", "crm")
    assert (said.code, "--yes" in said.error) == (2, True)
    assert base44.requests == []


def test_push_sets_and_removes_nothing(run: Run, crm: Project, base44: Emulator) -> None:
    said = run("push_connectors", "--project", "crm", "--yes")
    assert said.code == 0
    assert "Not removed at Base44: linear" in said.err
    assert base44.count("PUT", "/slackbot") == 1
    assert base44.count("DELETE", "") == 0


def test_push_says_where_to_authorise_and_prints_no_link(run: Run, crm: Project, base44: Emulator) -> None:
    said = run("push_connectors", "--project", "crm", "--yes", "--json")
    assert "Open the project crm in the portal" in said.err
    assert base44.url not in said.out + said.err
    assert {row["type"]: row.get("state") for row in said.document["results"]} == {
        "slackbot": "consent",
        "linear": "skipped",
        "notion": None,
    }


def test_push_removes_what_was_allowed(run: Run, crm: Project, base44: Emulator) -> None:
    assert run("push_connectors", "--project", "crm", "--yes", "--allow-remove", "linear", "other").code == 0
    assert base44.count("DELETE", "/linear/remove") == 1


def test_push_removes_all_when_all_is_allowed(run: Run, crm: Project, base44: Emulator) -> None:
    Connector.objects.all().delete()
    run("push_connectors", "--project", "crm", "--yes", "--allow-remove", "all")
    assert base44.app(APP).connections == {}


def test_push_with_nothing_to_do_makes_no_call(run: Run, live_project: Project, base44: Emulator) -> None:
    make_connector(live_project, "notion")
    base44.register(APP, "notion")
    said = run("push_connectors", "--project", "crm", "--yes", "--json")
    assert (said.code, said.document["run"]) == (0, None)
    assert {method for method, _ in base44.requests} == {"GET"}


def test_a_push_that_fails_exits_1_and_says_why(run: Run, crm: Project, base44: Emulator) -> None:
    base44.fail("PUT", "/slackbot", status=400, message="No such scope")
    said = run("push_connectors", "--project", "crm", "--yes", "--allow-remove", "all")
    assert (said.code, "No such scope" in said.out) == (1, True)
    assert base44.count("DELETE", "") == 0


def test_consent_links_are_not_printed_into_a_pipe(run: Run, crm: Project, base44: Emulator) -> None:
    said = run("push_connectors", "--project", "crm", "--yes", "--show-links")
    assert (said.code, base44.requests) == (2, [])


def test_pull_shows_what_differs(run: Run, crm: Project) -> None:
    said = run("pull_connectors", "--project", "crm", "--json")
    assert said.actions() == {"slackbot": "changed", "linear": "new"}
    assert not Connector.objects.get(integration_type="linear").is_declared


def test_pull_takes_in_what_is_accepted(run: Run, crm: Project, base44: Emulator) -> None:
    base44.state.data.apps[APP].connections.pop("notion")
    said = run("pull_connectors", "--project", "crm", "--accept")
    assert "still in the portal: notion" in said.err
    declared = {row.integration_type_id: row.scopes for row in crm.connectors.declared()}
    assert declared == {"slackbot": ["chat:write"], "notion": [], "linear": ["write"]}


def test_pull_takes_out_what_was_allowed(run: Run, crm: Project, base44: Emulator) -> None:
    base44.state.data.apps[APP].connections.pop("notion")
    run("pull_connectors", "--project", "crm", "--accept", "--allow-remove", "notion")
    assert not crm.connectors.filter(integration_type="notion").exists()


def test_sync_reads_all_projects(run: Run, crm: Project) -> None:
    said = run("sync_projects", "--all", "--json")
    (document,) = said.document
    assert (said.code, document["project"]) == (0, "crm")
    assert {row["type"]: row["action"] for row in document["results"]} == {
        "slackbot": "differs",
        "notion": "in_sync",
        "linear": "not_declared",
    }


def test_a_project_that_cannot_be_read_fails_alone(run: Run, crm: Project) -> None:
    make_project("gone", workspace=crm.workspace, app_id="no-such-app")
    said = run("sync_projects", "--all")
    assert (said.code, "gone: " in said.err) == (1, True)
    assert "1 projects synced, 1 failed." in said.out


def test_a_workspace_without_a_credential_is_one_line(run: Run, project: Project) -> None:
    said = run("push_connectors", "--project", "crm", "--yes")
    assert (said.code, "no Base44 credential yet" in said.error) == (1, True)


def test_an_unknown_slug_is_answered_with_those_that_are_close(run: Run, crm: Project) -> None:
    said = run("plan_connectors", "--project", "crn")
    assert (said.code, said.error) == (2, "There is no project crn. Did you mean crm?")


def test_a_push_that_needs_approval_is_refused_and_asked_for(run: Run, crm: Project, base44: Emulator) -> None:
    make_demand("plan", environment=crm.environment)
    said = run("push_connectors", "--project", "crm", "--yes")
    assert (said.code, "needs another person's approval" in said.error) == (1, True)
    said = run("push_connectors", "--project", "crm", "--ask", "The bot reads names.", "--json")
    row = Approval.objects.get()
    assert (said.code, said.document["approval"], row.reason) == (0, row.pk, "The bot reads names.")
    assert {method for method, _ in base44.requests} == {"GET"}


def test_an_approved_push_goes_on_from_the_shell(run: Run, crm: Project, base44: Emulator) -> None:
    make_demand("plan", environment=crm.environment)
    run("push_connectors", "--project", "crm", "--ask", "The bot reads names.")
    approve(Approval.objects.get(), member("bob", "approver", crm))
    assert run("push_connectors", "--project", "crm", "--yes").code == 0
    assert any(method == "PUT" for method, _ in base44.requests)

"""Forget a project or a workspace: what goes, what stays, when not."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db.models import ProtectedError

from connectors.core.errors import Refused
from connectors.flows.forget import forget_project, forget_workspace
from connectors.models import Connector, Event, Project, Subject, SyncRun, Token, Workspace
from tests.factories import (
    SHELL,
    make_connector,
    make_demand,
    make_exception,
    make_invitation,
    make_membership,
    make_rule,
    make_token,
    make_user,
)


def test_forgetting_a_project_takes_its_connectors_and_runs(project: Project) -> None:
    make_connector(project, "gmail", ["a"], registered=["a"])
    SyncRun.objects.create(project=project, kind="sync", state="done", actor_label="x", door="task")
    forget_project(project, SHELL)
    assert not Project.objects.exists()
    assert not Connector.objects.exists()
    assert not SyncRun.objects.exists()


def test_the_event_keeps_what_was_declared(project: Project) -> None:
    make_connector(project, "gmail", ["a", "b"])
    make_connector(project, "notion", registered=[], is_declared=False)
    forget_project(project, SHELL)
    event = Event.objects.get()
    assert (event.verb, event.target_label) == ("project.deleted", "Crm")
    assert event.before["connectors"] == {"gmail": ["a", "b"]}


def test_a_project_with_a_run_under_way_stays(project: Project) -> None:
    SyncRun.objects.create(project=project, kind="apply", actor_label="x", door="admin")
    with pytest.raises(Refused, match="under way"):
        forget_project(project, SHELL)
    assert Project.objects.filter(pk=project.pk).exists()


def test_tokens_that_go_with_a_project_are_on_record(project: Project) -> None:
    make_token(make_connector(project, "gmail", ["a"]), account="bea@acme.example")
    make_token(make_connector(project, "slack", ["a"]), state=Token.State.REVOKED)
    forget_project(project, SHELL)
    event = Event.objects.get(verb="token.forgotten")
    assert event.before == {"account": "bea@acme.example"}
    assert "stays valid" in event.note


def test_the_event_says_whose_access_and_which_exceptions_ended_with_a_project(project: Project) -> None:
    make_membership(make_user("ann"), "editor", project=project)
    make_invitation("bea@acme.example", role="viewer", project=project)
    make_exception(make_rule("No mail"), project, state="granted")
    forget_project(project, SHELL)
    before = Event.objects.get(verb="project.deleted").before
    assert before["roles"] == ["ann: editor of the project Crm"]
    assert before["invitations"] == ["bea@acme.example: viewer"]
    assert before["exceptions"] == ["No mail: granted"]


def test_the_event_says_what_ended_with_a_workspace(workspace: Workspace) -> None:
    group = Group.objects.create(name="Sales")
    make_membership(group=group, role="owner", workspace=workspace)
    make_invitation("bea@acme.example", role="viewer", workspace=workspace)
    make_demand(Subject.PLAN, workspace=workspace)
    forget_workspace(workspace, SHELL)
    assert not Workspace.objects.exists()
    before = Event.objects.get(verb="workspace.deleted").before
    assert before["roles"] == [f"group Sales: owner of the workspace {workspace}"]
    assert before["invitations"] == ["bea@acme.example: viewer"]
    assert [rule["subjects"] for rule in before["approval_rules"]] == [["plan"]]


def test_a_workspace_with_projects_stays(project: Project) -> None:
    with pytest.raises(ProtectedError):
        forget_workspace(project.workspace, SHELL)
    assert not Event.objects.exists()

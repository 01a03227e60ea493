"""Forget a project: what goes, what stays, when not."""

from __future__ import annotations

import pytest

from connectors.core.errors import Refused
from connectors.flows.forget import forget_project
from connectors.models import Connector, Event, Project, SyncRun, Token
from tests.factories import SHELL, make_connector, make_token


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

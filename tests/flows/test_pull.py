"""Pull: what differs at Base44 comes into the portal when somebody says so."""

from __future__ import annotations

import pytest

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.errors import Refused
from connectors.flows import plan, pull
from connectors.flows.catalogue import load_catalogue
from connectors.models import Project
from tests.factories import SHELL, make_connector

from .conftest import APP


@pytest.fixture
def drifted(base44: Emulator, live_project: Project) -> Project:
    """slackbot has another scope at Base44, notion is only there, gmail only here."""
    base44.register(APP, "slackbot", ["chat:write", "users:read"])
    base44.register(APP, "notion", [])
    make_connector(live_project, "slackbot", ["chat:write"])
    make_connector(live_project, "gmail", ["https://www.googleapis.com/auth/gmail.send"])
    return live_project


def declared(project: Project) -> dict[str, list[str]]:
    return {row.integration_type_id: row.scopes for row in project.connectors.declared()}


def test_all_changes_but_losses_are_taken_in(drifted: Project, client: Base44Client) -> None:
    changes = pull.show_pull(drifted, client, SHELL)
    run = pull.accept_pull(drifted, changes, None, SHELL)
    assert declared(drifted)["slackbot"] == ["chat:write", "users:read"]
    assert set(declared(drifted)) == {"slackbot", "notion", "gmail"}
    assert "1 left as they are" in run.message


def test_after_taking_in_everything_the_plan_is_empty(drifted: Project, client: Base44Client) -> None:
    changes = pull.show_pull(drifted, client, SHELL)
    pull.accept_pull(drifted, changes, [change.type for change in changes], SHELL)
    assert plan.show_plan(drifted, client, SHELL).is_empty


def test_one_by_one(drifted: Project, client: Base44Client) -> None:
    pull.accept_pull(drifted, pull.show_pull(drifted, client, SHELL), ["notion"], SHELL)
    assert declared(drifted)["slackbot"] == ["chat:write"]
    assert "notion" in declared(drifted)


def test_what_changed_since_it_was_shown_is_refused(drifted: Project, client: Base44Client, base44: Emulator) -> None:
    shown = pull.show_pull(drifted, client, SHELL)
    base44.register(APP, "slackbot", ["chat:write", "users:read", "channels:read"])
    pull.show_pull(drifted, client, SHELL)
    with pytest.raises(Refused, match="changed since"):
        pull.accept_pull(drifted, shown, None, SHELL)
    assert declared(drifted)["slackbot"] == ["chat:write"]


def test_nothing_is_set_at_base44(drifted: Project, client: Base44Client, base44: Emulator) -> None:
    pull.accept_pull(drifted, pull.show_pull(drifted, client, SHELL), None, SHELL)
    assert {method for method, _ in base44.requests} == {"GET"}


def test_a_type_with_required_settings_is_taken_in_though_base44_does_not_list_them(
    live_project: Project, client: Base44Client, base44: Emulator
) -> None:
    load_catalogue(SHELL)
    base44.register(APP, "share_point", ["Sites.Read.All"])
    pull.accept_pull(live_project, pull.show_pull(live_project, client, SHELL), None, SHELL)
    assert declared(live_project) == {"share_point": ["Sites.Read.All"]}

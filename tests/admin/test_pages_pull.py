"""Pull: what is shown and ticked is taken in, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.core.base44.emulator import Emulator
from connectors.flows.declare import declare
from connectors.models import Connector, Project, SyncRun
from tests.factories import SHELL, make_connector
from tests.flows.conftest import APP


@pytest.fixture
def project(browser: Client, live_project: Project, base44: Emulator) -> Project:
    """slack differs at Base44, notion is new there, hubspot is missing; all of it was looked at."""
    make_connector(live_project, "slack", ["chat:write"])
    make_connector(live_project, "hubspot", ["oauth"])
    base44.register(APP, "slack", ["chat:write", "files:write"])
    base44.register(APP, "notion", [])
    browser.post(page(live_project), {"action": "look"})
    return live_project


def page(project: Project) -> str:
    return reverse("admin:connectors_project_pull", args=[project.pk])


def accept(browser: Client, project: Project, *types: str, fingerprint: str = "") -> Any:
    shown = browser.get(page(project)).context["fingerprint"]
    return browser.post(page(project), {"action": "accept", "fingerprint": fingerprint or shown, "take": list(types)})


def declared(project: Project) -> dict[str, list[str]]:
    rows = Connector.objects.filter(project=project, is_declared=True)
    return {row.integration_type_id: sorted(set(row.scopes) & {"chat:write", "files:write", "oauth"}) for row in rows}


def test_everything_is_ticked_but_what_would_leave_the_portal(browser: Client, project: Project) -> None:
    rows = browser.get(page(project)).context["rows"]
    assert {row.change.type: row.ticked for row in rows} == {"slack": True, "hubspot": False, "notion": True}


def test_what_is_ticked_is_taken_in_and_the_run_shows_it(browser: Client, project: Project) -> None:
    answer = accept(browser, project, "slack")
    run = SyncRun.objects.get(kind=SyncRun.Kind.PULL)
    assert answer["Location"] == reverse("admin:connectors_syncrun_live", args=[run.pk])
    assert declared(project) == {"slack": ["chat:write", "files:write"], "hubspot": ["oauth"]}


def test_a_missing_connector_leaves_the_portal_only_when_ticked(browser: Client, project: Project) -> None:
    accept(browser, project, "hubspot")
    assert declared(project) == {"slack": ["chat:write"]}


def test_nothing_ticked_takes_nothing_in(browser: Client, project: Project) -> None:
    assert "Nothing is ticked" in accept(browser, project).context["problem"]
    assert not SyncRun.objects.filter(kind=SyncRun.Kind.PULL).exists()


def test_a_type_that_does_not_differ_is_refused(browser: Client, project: Project) -> None:
    answer = accept(browser, project, "slack", "gmail")
    assert "Nothing differs for gmail" in answer.context["problem"]
    assert declared(project)["slack"] == ["chat:write"]


def test_what_has_changed_since_it_was_shown_is_refused_and_the_ticks_stay(browser: Client, project: Project) -> None:
    shown = browser.get(page(project)).context["fingerprint"]
    declare(project, "slack", ["chat:write", "users:read"], {}, SHELL)
    answer = accept(browser, project, "slack", fingerprint=shown)
    assert "has changed since it was shown" in answer.context["problem"]
    assert [row.change.type for row in answer.context["rows"] if row.ticked] == ["slack"]


def test_a_base44_that_cannot_be_read_is_told_on_the_page(browser: Client, base44: Emulator, project: Project) -> None:
    base44.fail("GET", "/list", status=403, message="This token may not read connectors")
    assert "may not read" in browser.post(page(project), {"action": "look"}).context["problem"]


def test_a_project_that_was_never_read_claims_nothing(browser: Client, live_project: Project) -> None:
    content = browser.get(page(live_project)).content
    assert b"has not been read yet" in content
    assert b"Nothing to take in" not in content

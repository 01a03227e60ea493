"""The pages of integration types: their scopes, the team's notes, and bringing the catalogue up to date."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from connectors.core.base44.emulator import Emulator
from connectors.flows.catalogue import ensure_types, load_catalogue
from connectors.models import CatalogueScope, Event, IntegrationType, Sensitivity, Workspace
from tests.admin.form_data import errors, save, told
from tests.factories import SHELL, make_workspace

pytestmark = pytest.mark.django_db

SEND = "https://www.googleapis.com/auth/gmail.send"
OFFERED = "/admin/connectors/integrationtype/offered/"


@pytest.fixture
def catalogue(db: None) -> None:
    load_catalogue(SHELL)


def page_of(browser: Client, slug: str) -> str:
    return browser.get(reverse("admin:connectors_integrationtype_change", args=[slug])).content.decode()


# --- A type's page ----------------------------------------------------------------------------------------------------


def test_a_types_scopes_lead_to_their_pages(browser: Client, catalogue: None) -> None:
    page, scope = page_of(browser, "gmail"), CatalogueScope.objects.get(name=SEND)
    assert reverse("admin:connectors_cataloguescope_change", args=[scope.pk]) in page
    assert "/admin/connectors/cataloguescope/?type=gmail" in page
    assert "Google's class" in page


def test_what_the_team_says_of_scopes_stands_on_the_types_page(browser: Client, catalogue: None) -> None:
    CatalogueScope.objects.filter(name=SEND).update(team_sensitivity=Sensitivity.LOW, team_note="Ask Ada first.")
    CatalogueScope.objects.create(provider="google", name="brand:new", title="Do a new thing", is_shipped=False)
    page = page_of(browser, "gmail")
    assert "Your team: Ask Ada first." in page
    assert "your team's" in page
    assert "added by your team" in page


def test_a_type_whose_scopes_were_never_loaded_shows_what_is_shipped(browser: Client) -> None:
    ensure_types(["gmail", "brand-new"])
    assert SEND in page_of(browser, "gmail")
    assert "knows no scopes" in page_of(browser, "brand-new")


def test_a_type_with_many_scopes_costs_no_query_more(browser: Client, catalogue: None) -> None:
    def cost(slug: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            page_of(browser, slug)
        return len(seen)

    cost("notion")  # from here on the numbers in the sidebar come from the cache
    assert cost("hubspot") == cost("contentful")


def test_a_note_on_a_type_is_saved_and_nothing_else(browser: Client, catalogue: None) -> None:
    answer = save(browser, "integrationtype", "slack", team_note="Ask Ada first.", display_name="Forged")
    assert errors(answer) == {}
    row = IntegrationType.objects.get(pk="slack")
    assert (row.team_note, row.display_name) == ("Ask Ada first.", "Slack User")
    assert Event.objects.get(verb="catalogue.type_noted").after == {"note": "Ask Ada first."}


# --- Bringing it up to date -------------------------------------------------------------------------------------------


def test_the_page_says_that_base44_was_never_asked(browser: Client, catalogue: None) -> None:
    page = browser.get(OFFERED).content.decode()
    assert "never" in page
    assert "Add a workspace first" in page


def test_base44_is_asked_and_the_page_says_when(
    browser: Client, catalogue: None, live_workspace: Workspace, base44: Emulator
) -> None:
    base44.state.integrations.pop("slack")
    answer = browser.post(OFFERED, {"action": "ask", "workspace": live_workspace.pk}, follow=True)
    assert answer.context["asked_at"] is not None
    assert answer.context["offered"] == len(base44.state.integrations)
    again = browser.post(OFFERED, {"action": "ask", "workspace": live_workspace.pk}, follow=True)
    assert told(again) == "Base44 offers what is in the catalogue already."


@pytest.mark.parametrize("typed", ["", "987654", "abc"])
def test_without_a_workspace_nobody_is_asked(typed: str, browser: Client, catalogue: None) -> None:
    answer = browser.post(OFFERED, {"action": "ask", "workspace": typed})
    assert answer.context["problem"] == "Choose the workspace for which Base44 is to be asked."


def test_what_base44_does_not_answer_is_said_on_the_page(browser: Client, catalogue: None) -> None:
    workspace = make_workspace()
    answer = browser.post(OFFERED, {"action": "ask", "workspace": workspace.pk})
    assert "no Base44 credential yet" in answer.context["problem"]
    assert answer.context["chosen"] == str(workspace.pk)


def test_the_shipped_catalogue_is_loaded_and_then_is_as_it_was(browser: Client) -> None:
    assert "Brought up to date: 47 types and " in told(browser.post(OFFERED, {"action": "load"}, follow=True))
    assert "as it was shipped" in told(browser.post(OFFERED, {"action": "load"}, follow=True))


def test_looking_is_not_enough_to_refresh(reader: User) -> None:
    looking = Client()
    looking.force_login(reader)
    assert looking.get(OFFERED).status_code == 200
    assert looking.post(OFFERED, {"action": "load"}).status_code == 403
    assert not IntegrationType.objects.exists()

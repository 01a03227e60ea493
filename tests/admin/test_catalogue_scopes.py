"""The catalogue of scopes in the admin: what its list and pages show, and what the team can say."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.flows.catalogue import load_catalogue
from connectors.models import CatalogueScope, Connector, LedgerEntry, Project, Sensitivity
from connectors.oauth.consent_links import _in_words
from tests.admin.form_data import errors, save, told
from tests.factories import SHELL, keep_ledger, make_connector, make_project

pytestmark = pytest.mark.django_db

LIST = "/admin/connectors/cataloguescope/"
SEND = "https://www.googleapis.com/auth/gmail.send"
QUERIES = 9
"""Session, user, the sidebar's three counts, the number of scopes, those of one page, and who uses them."""


@pytest.fixture(autouse=True)
def catalogue(db: None) -> None:
    load_catalogue(SHELL)


@pytest.fixture
def gmail(project: Project) -> Connector:
    """A connector that may send mail."""
    connector = make_connector(project, "gmail", [SEND])
    keep_ledger()
    return connector


def scope_of(provider: str, name: str) -> CatalogueScope:
    return CatalogueScope.objects.get(provider=provider, name=name)


def listed(browser: Client, **asked: str) -> list[str]:
    return [row.name for row in browser.get(LIST, asked).context["cl"].result_list]


def page_of(browser: Client, scope: CatalogueScope) -> str:
    return browser.get(reverse("admin:connectors_cataloguescope_change", args=[scope.pk])).content.decode()


def queries(browser: Client) -> int:
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(LIST, {"provider": "google"}).status_code == 200
    return len(seen)


# --- The list -------------------------------------------------------------------------------------------------------


def test_a_page_of_the_list_costs_the_same_whoever_uses_the_scopes(browser: Client) -> None:
    few = queries(browser)
    for _ in range(5):
        make_connector(make_project(), "gmail", [SEND, "email", "openid"])
    keep_ledger()
    assert (few, queries(browser)) == (QUERIES, QUERIES)


def test_a_row_says_in_how_many_connectors_it_is(browser: Client, gmail: Connector) -> None:
    make_connector(make_project(), "googlecalendar", [SEND])
    keep_ledger()
    (row,) = browser.get(LIST, {"q": SEND}).context["cl"].result_list
    assert row.use_count == 2


def test_a_scope_of_another_provider_with_the_same_name_is_not_counted(browser: Client, project: Project) -> None:
    make_connector(project, "linkedin", ["openid"])
    keep_ledger()
    rows = browser.get(LIST, {"q": "openid"}).context["cl"].result_list
    counts = {row.provider: row.use_count for row in rows if row.name == "openid"}
    assert (counts["linkedin"], counts["google"]) == (1, 0)


def test_a_name_that_stands_for_many_counts_them_all(browser: Client, project: Project) -> None:
    make_connector(project, "snowflake", ["session:role:ANALYST"])
    keep_ledger()
    rows = browser.get(LIST, {"provider": "snowflake"}).context["cl"].result_list
    assert {row.name: row.use_count for row in rows}["session:role:*"] == 1


@pytest.mark.parametrize(("asked", "shown", "hidden"), [
    ({"provider": "slack"}, "chat:write", "repo"),
    ({"type": "gmail"}, SEND, "https://www.googleapis.com/auth/calendar"),
    ({"level": "critical", "provider": "github"}, "repo", "read:user"),
    ({"access": "write", "provider": "slack"}, "chat:write", "channels:read"),
    ({"provider_class": "restricted"}, "https://mail.google.com/", "openid"),
    ({"confidence": "low", "provider": "dropbox"}, "contacts.read", "files.content.read"),
    ({"q": "manually added contacts"}, "contacts.read", "repo"),
])  # fmt: skip
def test_a_filter_lets_through_what_it_says(asked: dict[str, str], shown: str, hidden: str, browser: Client) -> None:
    found = listed(browser, **asked)
    assert shown in found
    assert hidden not in found


@pytest.mark.parametrize(("team", "level", "note", "found"), [
    ("graver", Sensitivity.CRITICAL, "", True),
    ("milder", Sensitivity.LOW, "", True),
    ("milder", Sensitivity.CRITICAL, "", False),
    ("judged", Sensitivity.LOW, "", True),
    ("judged", None, "Careful.", False),
    ("noted", None, "Careful.", True),
    ("added", Sensitivity.LOW, "", False),
])  # fmt: skip
def test_the_teams_words_can_be_listed(team: str, level: Any, note: str, found: bool, browser: Client) -> None:
    CatalogueScope.objects.filter(provider="slack", name="chat:write").update(team_sensitivity=level, team_note=note)
    assert ("chat:write" in listed(browser, team=team)) is found


def test_the_sensitivity_filter_goes_by_the_teams_word(browser: Client) -> None:
    CatalogueScope.objects.filter(provider="slack", name="reactions:read").update(team_sensitivity=Sensitivity.CRITICAL)
    assert "reactions:read" in listed(browser, provider="slack", level="critical")
    assert "your team&#x27;s; shipped: medium" in browser.get(LIST, {"q": "reactions:read"}).content.decode()


def test_scopes_in_use_are_told_from_others(browser: Client, gmail: Connector) -> None:
    assert listed(browser, used="yes") == [SEND]
    assert SEND not in listed(browser, used="no", type="gmail")


def test_another_spelling_finds_its_scope(browser: Client) -> None:
    assert "https://www.googleapis.com/auth/userinfo.email" in listed(browser, q="email", provider="google")
    assert listed(browser, q="https://graph.microsoft.com/Mail.Send") == ["Mail.Send"]


# --- The page of a scope ----------------------------------------------------------------------------------------------


def test_the_page_says_what_is_known_and_from_where(browser: Client, gmail: Connector) -> None:
    page = page_of(browser, scope_of("google", SEND))
    assert "Google&#x27;s API discovery documents (October 2026)" in page
    assert "High: the provider publishes it" in page
    assert f"{reverse('admin:connectors_ledgerentry_changelist')}?scope=" in page
    assert ">1 connector</a>" in page


def test_the_page_names_what_a_scope_contains_and_its_other_names(browser: Client) -> None:
    assert "repo:status" in page_of(browser, scope_of("github", "repo"))
    assert "https://graph.microsoft.com/Mail.Send" in page_of(browser, scope_of("microsoft", "Mail.Send"))


def test_saving_stores_the_teams_word_alone(browser: Client, gmail: Connector) -> None:
    scope = scope_of("google", SEND)
    answer = save(
        browser, "cataloguescope", scope.pk, team_sensitivity="3", team_note="Ask Ada.", title="Forged", sensitivity="0"
    )
    assert errors(answer) == {}
    row = scope_of("google", SEND)
    assert (row.team_sensitivity, row.team_note) == (Sensitivity.CRITICAL, "Ask Ada.")
    assert (row.title, row.sensitivity) == (scope.title, scope.sensitivity)
    assert LedgerEntry.objects.get(scope=SEND).sensitivity == Sensitivity.CRITICAL
    assert row.team_changed_by is not None
    assert row.team_changed_by.username == "operator"


def test_a_colleagues_change_in_between_is_not_overwritten(browser: Client) -> None:
    scope = scope_of("google", SEND)
    answer = save(browser, "cataloguescope", scope.pk, team_sensitivity="3", version="of-an-hour-ago")
    assert "Somebody has changed this scope" in str(errors(answer))
    assert scope_of("google", SEND).team_sensitivity is None


def test_back_to_shipped_keeps_the_note(browser: Client, gmail: Connector) -> None:
    CatalogueScope.objects.filter(name=SEND).update(team_sensitivity=Sensitivity.LOW, team_note="Ask Ada.")
    scope = scope_of("google", SEND)
    answer = browser.post(reverse("admin:connectors_cataloguescope_shipped", args=[scope.pk]), follow=True)
    assert told(answer) == "The shipped sensitivity counts again."
    row = scope_of("google", SEND)
    assert (row.team_sensitivity, row.team_note) == (None, "Ask Ada.")
    assert LedgerEntry.objects.get(scope=SEND).sensitivity == scope.sensitivity


def test_going_back_is_a_post_by_somebody_who_may(browser: Client, reader: User) -> None:
    path = reverse("admin:connectors_cataloguescope_shipped", args=[scope_of("google", SEND).pk])
    assert browser.get(path).status_code == 405
    looking = Client()
    looking.force_login(reader)
    assert looking.post(path).status_code == 403


# --- Scopes that only the team knows ----------------------------------------------------------------------------------


NEW = {"provider": "slack", "name": "brand:new", "title": "Do a new thing", "team_sensitivity": "2"}


def test_a_scope_that_the_catalogue_lacks_can_be_added_and_deleted(browser: Client, project: Project) -> None:
    make_connector(project, "slack", ["brand:new"])
    keep_ledger()
    assert errors(save(browser, "cataloguescope", **NEW)) == {}
    row = scope_of("slack", "brand:new")
    assert (row.is_shipped, row.types) == (False, ["slack", "slackbot"])
    assert LedgerEntry.objects.get().sensitivity == Sensitivity.HIGH
    assert "Not in the catalogue." in page_of(browser, row)
    browser.post(reverse("admin:connectors_cataloguescope_delete", args=[row.pk]), {"post": "yes"})
    assert not CatalogueScope.objects.filter(name="brand:new").exists()
    assert LedgerEntry.objects.get().sensitivity is None


@pytest.mark.parametrize(("typed", "field", "reason"), [
    ({"name": "chat:write"}, "name", "knows chat:write already"),
    ({"provider": "google", "name": "email"}, "name", "another name of"),
    ({"name": "two words"}, "name", "no spaces"),
    ({"team_sensitivity": ""}, "team_sensitivity", "required"),
    ({"title": ""}, "title", "required"),
    ({"provider": "nobody"}, "provider", "valid choice"),
])  # fmt: skip
def test_a_scope_that_cannot_be_added_is_refused_at_its_field(
    typed: dict[str, str], field: str, reason: str, browser: Client
) -> None:
    assert reason in str(errors(save(browser, "cataloguescope", **{**NEW, **typed}))[field])


def test_the_same_scope_is_not_added_twice(browser: Client) -> None:
    save(browser, "cataloguescope", **NEW)
    assert "This provider has a scope of this name already." in str(errors(save(browser, "cataloguescope", **NEW)))


def test_a_shipped_scope_cannot_be_deleted(browser: Client) -> None:
    scope = scope_of("google", SEND)
    path = reverse("admin:connectors_cataloguescope_delete", args=[scope.pk])
    assert browser.post(path, {"post": "yes"}).status_code == 403
    assert scope_of("google", SEND) == scope


# --- Wherever scopes are shown ----------------------------------------------------------------------------------------


@pytest.fixture
def judged(gmail: Connector) -> Connector:
    """The scope is low by the team's word, high by the catalogue's, and has a note."""
    CatalogueScope.objects.filter(name=SEND).update(team_sensitivity=Sensitivity.LOW, team_note="Ask Ada first.")
    return gmail


def test_the_list_of_connectors_goes_by_the_teams_word(browser: Client, judged: Connector) -> None:
    (row,) = browser.get("/admin/connectors/connector/").context["cl"].result_list
    assert row.level == Sensitivity.LOW


@pytest.mark.parametrize("page", ["connector_change", "connector_authorise", "project_plan", "project_consents"])
def test_the_teams_note_stands_beside_the_scope(page: str, browser: Client, judged: Connector) -> None:
    Connector.objects.update(consent="needed", registered_scopes=[], registered_status="active")
    Project.objects.update(synced_at=timezone.now())
    pk = judged.pk if page.startswith("connector") else judged.project_id
    content = browser.get(reverse(f"admin:connectors_{page}", args=[pk])).content.decode()
    assert f"{SEND}</span>: Ask Ada first." in content


def test_the_picker_offers_what_the_team_says_and_has_added(browser: Client, judged: Connector) -> None:
    new = {"provider": "google", "name": "brand:new", "title": "Do a new thing"}
    CatalogueScope.objects.create(**new, team_sensitivity=Sensitivity.HIGH, is_shipped=False)
    answer = browser.get(reverse("admin:connectors_connector_catalogue"), {"type": "gmail"}).json()["catalogue"]
    known = {entry["name"]: entry for entry in answer}
    assert (known[SEND]["sensitivity"], known[SEND]["note"]) == ("low", "Ask Ada first.")
    assert (known["brand:new"]["title"], known["brand:new"]["sensitivity"]) == ("Do a new thing", "high")


def test_an_added_scope_is_not_called_a_slip_of_spelling(browser: Client, gmail: Connector) -> None:
    CatalogueScope.objects.create(provider="google", name="brand:new", title="New", is_shipped=False)
    answer = save(browser, "connector", gmail.pk, scopes="brand:new\nbrand:newer")
    assert "saved as typed: brand:newer." in told(answer)


def test_a_colleague_with_a_consent_link_reads_the_teams_word(judged: Connector) -> None:
    shown = _in_words(judged.integration_type_id, judged.scopes)
    assert [(scope.level, scope.note) for scope in shown] == [("low", "Ask Ada first.")]

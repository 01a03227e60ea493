"""The fleet's ledger: what a row says, whom each filter and search lets through, and what the list costs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.admin import ledger_list
from connectors.admin.ledger import Capped
from connectors.flows.catalogue import load_catalogue
from connectors.models import Connector, LedgerEntry, Project
from connectors.models.ledger_search import scopes_in_use
from tests.admin.html import Element, parse
from tests.factories import SHELL, keep_ledger, make_connector, make_fleet, make_project, make_token, make_workspace

pytestmark = pytest.mark.django_db

PATH = "/admin/connectors/ledgerentry/"
READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"
QUERIES = 11
"""Session, user, the sidebar's three counts, saved views, connectors that wait, the number of entries, those of one
page, and the team's words on scopes."""


@pytest.fixture
def fleet(db: None) -> dict[str, Connector]:
    """Four connectors whose scopes stand in different ways."""
    load_catalogue(SHELL)
    acme, other = make_workspace("Acme"), make_workspace("Other")
    shop = make_project("shop", workspace=acme, environment="production")
    blog = make_project("blog", workspace=other, environment="staging")
    gmail = make_connector(shop, "gmail", [READ, SEND], registered=[READ, SEND], registered_account="ops@acme.example")
    slack = make_connector(shop, "slackbot", ["chat:write"], registered=["chat:write", "channels:read"])
    github = make_connector(blog, "github", ["repo", "read:user"], registered=["repo"])
    notion = make_connector(blog, "notion", ["made-up"])
    make_token(gmail, granted_scopes=[READ], account="ops@acme.example", authorised_by_label="ada")
    keep_ledger()
    return {"gmail": gmail, "slack": slack, "github": github, "notion": notion}


def listed(browser: Client, **asked: Any) -> list[LedgerEntry]:
    return list(browser.get(PATH, asked).context["cl"].result_list)


def scopes(browser: Client, **asked: Any) -> set[str]:
    return {entry.scope for entry in listed(browser, **asked)}


def row_of(browser: Client, scope: str) -> Element:
    page = parse(browser.get(PATH, {"scope": scope}).content)
    (row,) = [row for row in page.walk() if row.tag == "tr" and "data-row" in row.attributes.get("class", "")]
    return row


def cell(row: Element, name: str) -> str:
    (found,) = row.having("class", f"field-{name}")
    return " ".join(found.text.split())


def test_a_row_says_what_the_scope_allows_where_it_is_listed_and_what_follows(
    fleet: dict[str, Connector], browser: Client
) -> None:
    row = row_of(browser, SEND)
    assert "Send mail as the user" in cell(row, "head")
    assert SEND in cell(row, "head")
    assert "Shop · Production" in cell(row, "connector_")
    marks = [cell(row, name) for name in ("declared_", "repository_", "registered_", "granted_")]
    assert marks == ["✓Yes", "?Not known", "✓Yes", "–No"]
    assert cell(row, "verdict_") == "Missing"
    assert cell(row, "sensitivity_") == "Sensitivity: High"
    assert "ops@acme.example" in cell(row, "account_")
    assert "by ada" in cell(row, "account_")


def test_a_row_leads_to_its_connectors_ledger(fleet: dict[str, Connector], browser: Client) -> None:
    matrix = reverse("admin:connectors_connector_ledger", args=[fleet["gmail"].pk])
    links = [one.attributes["href"].split("?")[0] for one in row_of(browser, SEND).walk() if one.tag == "a"]
    assert matrix in links
    entry = LedgerEntry.objects.get(scope=SEND)
    assert browser.get(f"{PATH}{entry.pk}/change/").headers["Location"] == matrix


@pytest.mark.parametrize("number", ["987654", "abc", "9" * 30])
def test_an_entry_that_does_not_exist_is_not_found(number: str, browser: Client) -> None:
    assert browser.get(f"{PATH}{number}/change/").status_code == 404


def test_what_nothing_was_compared_with_is_not_called_in_agreement(
    fleet: dict[str, Connector], browser: Client
) -> None:
    assert cell(row_of(browser, "made-up"), "verdict_") == "Not compared yet"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"verdict": "differs"}, {SEND, "channels:read", "read:user"}),
        ({"verdict": "missing"}, {SEND, "read:user"}),
        ({"verdict": "excess"}, {"channels:read"}),
        ({"verdict": "unknowable"}, {"made-up"}),
        ({"verdict": "nonsense"}, {READ, SEND, "chat:write", "channels:read", "repo", "read:user", "made-up"}),
        ({"sensitivity": "critical"}, {"repo"}),
        ({"sensitivity": "high"}, {READ, SEND, "chat:write", "repo"}),
        ({"sensitivity": "unknown"}, {"made-up"}),
        ({"provider": "google"}, {READ, SEND}),
        ({"environment__exact": "staging"}, {"repo", "read:user", "made-up"}),
        ({"account": "ops@acme.example"}, {READ, SEND}),
        ({"person": "ada"}, {READ, SEND}),
        ({"person": "-", "provider": "github"}, {"repo", "read:user"}),
        ({"scope": "repo"}, {"repo"}),
        ({"policy": "none", "scope": "repo"}, {"repo"}),
        ({"policy": "broken"}, set()),
        ({"integration_type__slug__exact": "github"}, {"repo", "read:user"}),
        ({"verdict": "differs", "provider": "google"}, {SEND}),
    ],
)
def test_filters_let_through_what_they_name(
    asked: dict[str, str], expected: set[str], fleet: dict[str, Connector], browser: Client
) -> None:
    assert scopes(browser, **asked) == expected


def test_by_project_and_workspace(fleet: dict[str, Connector], browser: Client) -> None:
    project = fleet["github"].project
    assert scopes(browser, project__id__exact=project.pk) == {"repo", "read:user", "made-up"}
    assert scopes(browser, project__workspace__id__exact=project.workspace_id) == {"repo", "read:user", "made-up"}


def test_by_what_the_teams_rules_say(fleet: dict[str, Connector], browser: Client) -> None:
    LedgerEntry.objects.filter(scope="repo").update(policy="block")
    LedgerEntry.objects.filter(scope=READ).update(policy="excepted")
    assert scopes(browser, policy="broken") == scopes(browser, policy="block") == {"repo"}
    assert scopes(browser, policy="excepted") == {READ}
    assert "repo" not in scopes(browser, policy="none")


@pytest.mark.parametrize(
    ("age", "days"), [("new-7", {2}), ("new-30", {2, 20}), ("old-30", {60, 120, 500}), ("old-365", {500})]
)
def test_by_age(age: str, days: set[int], fleet: dict[str, Connector], browser: Client) -> None:
    now, found = timezone.now(), {}
    LedgerEntry.objects.filter(scope="made-up").delete()
    LedgerEntry.objects.filter(scope="chat:write").delete()
    for back, entry in zip((2, 20, 60, 120, 500), LedgerEntry.objects.order_by("pk"), strict=True):
        LedgerEntry.objects.filter(pk=entry.pk).update(since=now - dt.timedelta(days=back))
        found[entry.pk] = back
    assert {found[entry.pk] for entry in listed(browser, age=age)} == days


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("send mail", {SEND}),
        ("SEND Mail", {SEND}),
        ("gmail.send", {SEND}),
        ("shop", {READ, SEND, "chat:write", "channels:read"}),
        ("blog repo", {"repo"}),
        ("made-up", {"made-up"}),
        ("zzzz", set()),
        ("100%_", set()),
    ],
)
def test_the_search_finds_scopes_by_what_they_allow(
    words: str, expected: set[str], fleet: dict[str, Connector], browser: Client
) -> None:
    assert scopes(browser, q=words) == expected


def test_a_name_that_means_something_else_elsewhere_is_not_found_by_that_meaning(browser: Client) -> None:
    load_catalogue(SHELL)
    project = make_project("crm")
    make_connector(project, "hubspot", ["content"])
    make_connector(project, "salesforce", ["content"])
    keep_ledger()
    assert [entry.integration_type_id for entry in listed(browser, q="emails")] == ["hubspot"]


def test_the_scopes_in_use_are_each_named_once(fleet: dict[str, Connector]) -> None:
    make_connector(make_project("third"), "github", ["repo"])
    keep_ledger()
    assert scopes_in_use(100) == sorted({READ, SEND, "chat:write", "channels:read", "repo", "read:user", "made-up"})
    assert len(scopes_in_use(3)) == 3


def test_thousands_of_entries_cost_no_query_more(browser: Client) -> None:
    make_fleet(400, 5)
    keep_ledger()
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        answer = browser.get(PATH)
    assert len(seen) == QUERIES
    assert len(answer.context["cl"].result_list) == 50


def test_counting_ends_at_a_limit_and_the_list_says_so(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    make_fleet(40, 2)
    keep_ledger()
    monkeypatch.setattr("connectors.admin.ledger.COUNTED", 100)
    monkeypatch.setattr(ledger_list, "COUNTED", 100)
    pages = Capped(LedgerEntry.objects.order_by("pk"), 50)
    assert (pages.count, pages.num_pages, pages.is_capped) == (100, 2, True)
    assert b"More than 100 scopes" in browser.get(PATH).content
    assert b"more than 100 found" in browser.get(PATH, {"q": "fleet"}).content
    assert len(listed(browser, p=2)) == 50


def test_connectors_that_are_not_in_the_ledger_yet_are_said_to_be_absent(browser: Client, project: Project) -> None:
    make_connector(project, "github", ["repo"])
    assert b"1 connector is not in the ledger yet" in browser.get(PATH).content
    keep_ledger()
    assert b"not in the ledger yet" not in browser.get(PATH).content


@pytest.mark.parametrize("value", ["nonsense", "' OR 1=1 --", "\x00"])
@pytest.mark.parametrize("key", ["verdict", "sensitivity", "age", "account", "project__id__exact", "q", "p", "nothing"])
def test_a_senseless_filter_breaks_neither_list_nor_groups(
    key: str, value: str, fleet: dict[str, Connector], browser: Client
) -> None:
    for path in (PATH, f"{PATH}by/scopes/", f"{PATH}by/accounts/"):
        assert browser.get(path, {key: value}).status_code in (200, 302)


def test_names_and_scopes_are_escaped(browser: Client) -> None:
    make_connector(make_project("x", name="<script>alert(1)</script>"), "github", ["<b>scope</b>"])
    keep_ledger()
    for path in (PATH, f"{PATH}by/scopes/"):
        content = browser.get(path).content
        assert b"<script>alert" not in content
        assert b"<b>scope" not in content


def test_staff_without_the_permission_see_no_way_to_the_ledger(viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(PATH).status_code == 403
    assert PATH.encode() not in client.get("/admin/").content

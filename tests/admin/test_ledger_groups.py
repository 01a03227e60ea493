"""The pages of groups: who can do what, what an account reaches, who authorised what."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connectors.flows.catalogue import load_catalogue
from connectors.models import LedgerEntry
from tests.admin.html import parse
from tests.factories import SHELL, keep_ledger, make_connector, make_fleet, make_project, make_token

pytestmark = pytest.mark.django_db

PATH = "/admin/connectors/ledgerentry/"
READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"
QUERIES = 10
"""Session, user, the sidebar's three counts, saved views, connectors that wait, which groups there are,
and what is in them."""


@pytest.fixture
def fleet(db: None) -> None:
    """Mail of two projects in one mailbox, and code of a third."""
    load_catalogue(SHELL)
    for slug in ("shop", "crm"):
        gmail = make_connector(make_project(slug), "gmail", [READ, SEND], registered=[READ, SEND])
        make_token(gmail, granted_scopes=[READ, SEND], account="ops@acme.example", authorised_by_label="ada")
    make_connector(make_project("lab", environment="production"), "github", ["repo"])
    keep_ledger()


def lines(browser: Client, page: str, **asked: Any) -> list[Any]:
    found: list[Any] = browser.get(f"{PATH}by/{page}/", asked).context["lines"]
    return found


def test_who_can_send_mail(fleet: None, browser: Client) -> None:
    (line,) = lines(browser, "scopes", q="send mail")
    assert (line.main, line.sub) == ("Send mail as the user", f"{SEND} · Google")
    assert (line.group.connectors, line.group.projects, line.group.accounts) == (2, 2, 1)


@pytest.mark.parametrize(
    ("page", "counted"), [("scopes", "connectors"), ("accounts", "entries"), ("people", "entries")]
)
def test_each_group_leads_to_exactly_its_entries(page: str, counted: str, fleet: None, browser: Client) -> None:
    for line in lines(browser, page, environment__exact="development"):
        found = browser.get(line.entries_href).context["cl"].result_count
        assert found == getattr(line.group, counted) > 0


def test_an_account_that_is_not_known_leads_to_its_entries_too(fleet: None, browser: Client) -> None:
    (nameless,) = (line for line in lines(browser, "accounts") if not line.group.name)
    assert nameless.main == "Account not known"
    found = browser.get(nameless.entries_href).context["cl"].result_list
    assert [entry.scope for entry in found] == ["repo"]


def test_an_account_names_the_types_that_it_reaches(fleet: None, browser: Client) -> None:
    (ops,) = (line for line in lines(browser, "accounts") if line.group.name)
    assert (ops.main, ops.types) == ("ops@acme.example", ("Gmail",))


def test_a_person_leads_to_all_that_they_authorised(fleet: None, browser: Client) -> None:
    hrefs = {line.main: line.person_href for line in lines(browser, "people")}
    assert hrefs == {"ada": f"{PATH}person/?name=ada", "Not known who": ""}
    assert b"ada" in browser.get(hrefs["ada"]).content


def test_filters_stay_when_one_goes_from_one_page_to_the_other(fleet: None, browser: Client) -> None:
    page = parse(browser.get(f"{PATH}by/scopes/", {"provider": "google", "q": "mail", "p": "1"}).content)
    tabs = [one.attributes["href"] for one in page.having("class", "ledger-tab")]
    assert [tab.partition("?")[2] for tab in tabs] == ["provider=google&q=mail"] * 4
    assert [browser.get(tab).status_code for tab in tabs] == [200] * 4


def test_filters_choose_the_entries_that_are_grouped(fleet: None, browser: Client) -> None:
    assert [line.group.name for line in lines(browser, "scopes", environment__exact="production")] == ["repo"]


def test_the_head_of_a_page_of_groups_says_nothing_of_a_count(fleet: None, browser: Client) -> None:
    assert b"pc-found" not in browser.get(f"{PATH}by/scopes/", {"q": "mail"}).content


def test_groups_are_turned_over_page_by_page(browser: Client) -> None:
    names = [f"scope:{number:03}" for number in range(60)]
    make_connector(make_project("shop"), "github", names)
    keep_ledger()
    first = browser.get(f"{PATH}by/scopes/", {"provider": "github"})
    assert (len(first.context["lines"]), first.context["before"]) == (50, "")
    second = browser.get(f"{PATH}by/scopes/{first.context['after']}")
    assert [line.group.name for line in second.context["lines"]] == names[50:]
    assert second.context["after"] == ""
    assert second.context["before"] == "?provider=github&p=1"


@pytest.mark.parametrize(
    ("page", "more"),
    [
        ("scopes", 1),  # the team's words on scopes
        ("accounts", 2),  # the types of each account, and their names
        ("people", 2),
    ],
)
def test_many_entries_cost_no_query_more(page: str, more: int, browser: Client) -> None:
    make_fleet(300, 4)
    keep_ledger()
    LedgerEntry.objects.update(account="ops@acme.example", person="ada")
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        assert browser.get(f"{PATH}by/{page}/").status_code == 200
    assert len(seen) == QUERIES + more

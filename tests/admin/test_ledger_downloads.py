"""Every page of the ledger as a file: the rows of the page, however many, and on record."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from connectors.models import Event
from tests.factories import keep_ledger, make_connector, make_fleet, make_project

pytestmark = pytest.mark.django_db

PATH = "/admin/connectors/ledgerentry/"


@pytest.fixture
def fleet(db: None) -> None:
    make_connector(make_project("shop"), "github", ["repo", "read:user"], registered=["repo"])
    make_connector(make_project("blog"), "slackbot", ["chat:write"], registered=["chat:write"])
    keep_ledger()


def body_of(answer: Any) -> bytes:
    """All that was sent: reading a file to its end closes it."""
    body: bytes = answer.getvalue()
    return body


def rows(browser: Client, path: str, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(body_of(browser.get(path, {"download": "json", **asked})))["rows"]
    return found


def test_the_list_gives_all_that_its_filters_let_through(fleet: None, browser: Client) -> None:
    assert [row["scope"] for row in rows(browser, PATH)] == ["read:user", "repo", "chat:write"]
    assert [row["scope"] for row in rows(browser, PATH, verdict="differs")] == ["read:user"]
    assert [row["scope"] for row in rows(browser, PATH, q="blog")] == ["chat:write"]


def test_a_file_holds_more_than_a_page(browser: Client) -> None:
    make_fleet(60, 1)
    keep_ledger()
    assert len(rows(browser, PATH)) == 120


@pytest.mark.parametrize(("page", "key"), [("scopes", "scope"), ("accounts", "account"), ("people", "person")])
def test_groups_are_given_as_the_page_shows_them(page: str, key: str, fleet: None, browser: Client) -> None:
    shown = [line.group.name or None for line in browser.get(f"{PATH}by/{page}/").context["lines"]]
    assert [row[key] for row in rows(browser, f"{PATH}by/{page}/")] == shown


def test_connector_and_project_give_their_own_rows(fleet: None, browser: Client) -> None:
    shop = make_project("third")
    connector = make_connector(shop, "github", ["repo"], registered=[])
    make_connector(shop, "slackbot", ["chat:write"], registered=["chat:write"])
    keep_ledger()
    one = reverse("admin:connectors_connector_ledger", args=[connector.pk])
    every = reverse("admin:connectors_project_ledger", args=[shop.pk])
    assert [row["scope"] for row in rows(browser, one)] == ["repo"]
    assert [row["scope"] for row in rows(browser, every)] == ["repo", "chat:write"]
    assert [row["scope"] for row in rows(browser, every, only="differences")] == ["repo"]


def test_a_download_goes_on_record_with_its_filters(fleet: None, browser: Client) -> None:
    text = body_of(browser.get(PATH, {"download": "csv", "verdict": "missing"})).decode("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(text)))) == 2
    after = Event.objects.get(verb="report.downloaded").after
    assert (after["report"], after["rows"], after["chosen"]) == ("ledger", 1, "Verdict: Missing")


@pytest.mark.parametrize("path", [PATH, f"{PATH}by/scopes/"])
def test_every_page_offers_its_downloads_with_its_filters(path: str, fleet: None, browser: Client) -> None:
    page = browser.get(path, {"verdict": "differs"}).content.decode()
    assert "verdict=differs&amp;download=xlsx" in page


@pytest.mark.parametrize("path", [PATH, f"{PATH}by/scopes/", f"{PATH}by/people/"])
def test_nobody_downloads_what_they_may_not_see(path: str, fleet: None, viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(path, {"download": "csv"}).status_code == 403
    assert not Event.objects.filter(verb="report.downloaded").exists()


@pytest.mark.parametrize("value", ["nonsense", "\x00"])
def test_a_senseless_filter_gives_no_file_and_no_error(value: str, fleet: None, browser: Client) -> None:
    for path in (PATH, f"{PATH}by/scopes/"):
        for key in ("nothing", "q", "project__id__exact"):
            answer = browser.get(path, {"download": "csv", key: value})
            assert answer.status_code in (200, 302)
            body_of(answer)

"""Lists at their limits: thousands of rows, senseless filters, times."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.models import Project
from tests.admin.asking import path_of
from tests.admin.html import parse
from tests.factories import make_fleet

QUERIES = {"project": 8, "connector": 9}
"""Session, user, the sidebar's three badges (four counts), the number of rows, the rows of one page, and for connectors
what the team says of scopes."""


def names(client: Client, model: str, **filters: str) -> list[str]:
    """First lines of the first column."""
    page = parse(client.get(path_of(model), filters).content)
    rows = [row for row in page.walk() if row.tag == "tr" and "data-row" in row.attributes.get("class", "")]
    return [row.having("class", "pc-cell__main")[0].text for row in rows]


def queries(client: Client, model: str, query: str = "") -> int:
    cache.clear()
    with CaptureQueriesContext(connection) as seen:
        assert client.get(path_of(model) + query).status_code == 200
    return len(seen)


def test_thousands_of_rows_cost_no_query_more(browser: Client) -> None:
    make_fleet(1000, 5)
    for model, count in QUERIES.items():
        assert queries(browser, model) == count
        assert len(names(browser, model)) == 50
    for query in ("?p=99", "?agrees=unknown&project__environment__exact=development"):
        assert queries(browser, "connector", query) == QUERIES["connector"]


@pytest.mark.parametrize("value", ["nonsense", "' OR 1=1 --", "\x00"])
@pytest.mark.parametrize("key", ["agrees", "status", "sync_state__exact", "project__id__exact", "q", "p", "o"])
def test_a_senseless_filter_does_not_break_the_list(key: str, value: str, project: Project, browser: Client) -> None:
    assert browser.get(path_of("connector"), {key: value}).status_code in (200, 302)


def test_a_senseless_term_does_not_break_the_autocomplete(browser: Client, project: Project) -> None:
    query = {"app_label": "connectors", "model_name": "connector", "field_name": "project", "term": "c\0rm"}
    answer = browser.get(reverse("admin:autocomplete"), query)
    assert [row["text"] for row in answer.json()["results"]] == ["Crm"]


def test_a_time_shows_how_long_ago_and_on_hover_exactly(browser: Client, project: Project) -> None:
    Project.objects.update(synced_at=timezone.now())
    page = parse(browser.get(path_of("project")).content)
    (when,) = [one for one in page.walk() if one.tag == "time"]
    assert when.text.strip() in ("now", "a second ago") or "second" in when.text
    assert str(timezone.now().year) in when.attributes["title"]

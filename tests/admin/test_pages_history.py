"""The pages of the ledger's history: what they show, to whom, and what they make of nonsense."""

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

from connectors.models import Connector, Project, ScopePeriod
from tests.admin.html import parse
from tests.factories import make_connector, make_period, make_project, make_workspace

NOW = timezone.now()
MAY, JUNE, JULY = (NOW - dt.timedelta(days=days) for days in (90, 60, 30))
STATE, CHANGES = "admin:connectors_ledgerentry_history", "admin:connectors_ledgerentry_changes"


@pytest.fixture
def slack(project: Project) -> Connector:
    made = make_connector(project, "slack", ["channels:read", "chat:write"])
    make_period(made, "declared", "", MAY, begun_by="ada", begun_through="project.imported")
    make_period(made, "declared", "channels:read", MAY, begun_by="ada", begun_through="project.imported")
    make_period(made, "declared", "chat:write", JUNE, begun_by="grace", begun_through="connector.changed")
    return made


def day(moment: dt.datetime) -> str:
    return timezone.localtime(moment + dt.timedelta(days=1)).strftime("%Y-%m-%d")


def open_page(browser: Client, name: str, **query: str) -> Any:
    answer = browser.get(reverse(name), query)
    assert answer.status_code == 200
    return answer


def text_of(answer: Any) -> str:
    return " ".join(parse(answer.content).text.split())


def scopes(answer: Any) -> list[str]:
    return [line.scope for block in answer.context["blocks"] for line in block.lines]


def test_the_page_shows_what_was_listed_on_that_day(slack: Connector, browser: Client) -> None:
    assert scopes(open_page(browser, STATE, at=day(MAY))) == ["channels:read"]
    assert scopes(open_page(browser, STATE, at=day(JUNE))) == ["channels:read", "chat:write"]


def test_before_the_history_begins_the_page_says_when_it_does(slack: Connector, browser: Client) -> None:
    answer = open_page(browser, STATE, at="2001-01-01")
    assert "That is before the history begins" in text_of(answer)


def test_a_day_in_the_future_shows_today_and_says_so(slack: Connector, browser: Client) -> None:
    answer = open_page(browser, STATE, at="2999-01-01T00:00")
    assert scopes(answer) == ["channels:read", "chat:write"]
    assert "Nobody knows the future" in text_of(answer)


@pytest.mark.parametrize("at", ["nonsense", "2026-02-31", "0001-01-01", "9999-12-31T23:59", "\0", "2026-05-05T25:00"])
@pytest.mark.parametrize("page", [STATE, CHANGES])
def test_a_senseless_date_breaks_no_page(page: str, at: str, slack: Connector, browser: Client) -> None:
    open_page(browser, page, at=at, **{"from": at, "to": at})


@pytest.mark.parametrize("value", ["nonsense", "' OR 1=1 --", "\0", "9" * 40, ":", "a:b:c:d"])
@pytest.mark.parametrize("key", ["project", "workspace", "type", "scope", "side", "after"])
def test_a_senseless_filter_breaks_no_page(key: str, value: str, slack: Connector, browser: Client) -> None:
    for page in (STATE, CHANGES):
        open_page(browser, page, **{key: value})


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"project": "cr"}, True),
        ({"project": "elsewhere"}, False),
        ({"type": "slack"}, True),
        ({"type": "gmail"}, False),
        ({"scope": "chat:write"}, True),
        ({"scope": "chat:write", "side": "granted"}, False),
        ({"side": "declared"}, True),
    ],
    ids=str,
)
def test_filters_narrow_both_pages(chosen: dict[str, str], found: bool, slack: Connector, browser: Client) -> None:
    assert bool(open_page(browser, STATE, at=day(JUNE), **chosen).context["blocks"]) == found
    assert bool(open_page(browser, CHANGES, **{"from": day(MAY)}, **chosen).context["blocks"]) == found


def test_a_workspace_is_a_filter(slack: Connector, browser: Client) -> None:
    other = make_workspace()
    assert not open_page(browser, STATE, workspace=str(other.pk)).context["blocks"]
    assert open_page(browser, STATE, workspace=str(slack.project.workspace_id)).context["blocks"]


def test_pages_go_on_where_the_last_ended(project: Project, browser: Client) -> None:
    for number in range(52):
        make_period(make_connector(make_project(f"p-{number:02}"), "slack"), "declared", "", MAY)
    first = open_page(browser, STATE, at=day(MAY))
    second = browser.get(reverse(STATE) + first.context["following"])
    names = [block.then.place.project.slug for page in (first, second) for block in page.context["blocks"]]
    assert names == [f"p-{number:02}" for number in range(52)]
    assert second.context["following"] == ""


def test_what_changed_is_told_with_its_cause_and_who_did_it(slack: Connector, browser: Client) -> None:
    answer = open_page(browser, CHANGES, **{"from": day(MAY)})
    said = text_of(answer)
    assert "1 connector changed" in said
    assert "Changed in the portal , by grace" in said or "Changed in the portal, by grace" in said
    assert "Declared" in said
    assert [step.moment.by for step in answer.context["blocks"][0].steps] == ["grace"]


def test_dates_the_wrong_way_round_are_turned_about(slack: Connector, browser: Client) -> None:
    answer = open_page(browser, CHANGES, **{"from": day(JULY), "to": day(MAY)})
    assert [block.place.type_slug for block in answer.context["blocks"]] == ["slack"]


def test_a_timeline_names_each_moment_newest_first(slack: Connector, browser: Client) -> None:
    answer = browser.get(reverse("admin:connectors_connector_timeline", args=[slack.pk]))
    assert [(step.cause, step.moment.by) for step in answer.context["steps"]] == [
        ("Changed in the portal", "grace"),
        ("Files were imported", "ada"),
    ]


@pytest.mark.parametrize("before", ["nonsense", "2026-13-01T00:00:00", "\0", "0001-01-01T00:00:00+14:00"])
def test_a_senseless_start_breaks_no_timeline(before: str, slack: Connector, browser: Client) -> None:
    answer = browser.get(reverse("admin:connectors_connector_timeline", args=[slack.pk]), {"before": before})
    assert answer.status_code == 200


def test_what_is_gone_has_no_link_and_says_so(slack: Connector, browser: Client) -> None:
    ScopePeriod.objects.update(until=JULY)
    project = slack.project
    slack.delete()
    assert "Deleted since" in text_of(open_page(browser, STATE, at=day(JUNE)))
    project.delete()
    assert "Project deleted since" in text_of(open_page(browser, STATE, at=day(JUNE)))


@pytest.mark.parametrize("page", [STATE, CHANGES])
@pytest.mark.parametrize("kind", ["csv", "json", "xlsx", "print"])
def test_each_page_can_be_downloaded(page: str, kind: str, slack: Connector, browser: Client) -> None:
    answer = browser.get(reverse(page), {"download": kind, "at": day(JUNE), "from": day(MAY)})
    body = answer.getvalue()
    answer.close()
    assert answer.status_code == 200
    assert kind == "xlsx" or b"chat:write" in body


def test_names_are_escaped(browser: Client) -> None:
    made = make_connector(make_project("x", name="<script>alert(1)</script>"), "slack")
    make_period(made, "declared", "", MAY, begun_by="<b>ada</b>")
    make_period(made, "declared", "<i>scope</i>", MAY)
    for address in (
        f"{reverse(STATE)}?at={day(MAY)}",
        f"{reverse(CHANGES)}?from=2001-01-01",
        reverse("admin:connectors_connector_timeline", args=[made.pk]),
    ):
        content = browser.get(address).content
        assert not any(text in content for text in (b"<script>alert", b"<i>scope", b"<b>ada"))


def test_queries_do_not_grow_with_the_rows(slack: Connector, browser: Client) -> None:
    def queries() -> list[int]:
        counts = []
        timeline = reverse("admin:connectors_connector_timeline", args=[slack.pk])
        for address in (f"{reverse(STATE)}?at={day(JUNE)}", f"{reverse(CHANGES)}?from={day(MAY)}", timeline):
            cache.clear()
            with CaptureQueriesContext(connection) as seen:
                assert browser.get(address).status_code == 200
            counts.append(len(seen))
        return counts

    before = queries()
    for number in range(30):
        made = make_connector(make_project(), "gmail" if number % 2 else "github")
        make_period(made, "registered", "", JUNE)
        make_period(slack, "registered", f"scope:{number}", JUNE + dt.timedelta(hours=number))
    assert queries() == before


def test_staff_without_the_permission_see_none_of_it(slack: Connector, viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    for name in (STATE, CHANGES):
        assert client.get(reverse(name)).status_code == 403
    assert client.get(reverse("admin:connectors_connector_timeline", args=[slack.pk])).status_code == 404

"""The activity: its filters, its page, and what leaves as a file."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.trace import Trace, traced
from connectors.core.trail.clock import dated_back
from connectors.flows.events import record_event
from connectors.flows.trail_seal import seal
from connectors.models import Event, Project, Sealed
from tests.factories import SHELL, make_membership, make_project, make_user

LIST = "admin:connectors_event_changelist"


# The events that looking itself makes, a login and an export, are left out of what both give.
def listed(client: Client, **filters: Any) -> list[Event]:
    answer = client.get(reverse(LIST), filters)
    assert answer.status_code == 200
    return [event for event in answer.context["cl"].result_list if event.about != "login"]


def exported(client: Client, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get(reverse("admin:connectors_event_export"), filters)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if line["verb"] not in ("login.succeeded", "trail.exported")]


@pytest.fixture
def events(project: Project, operator: User) -> dict[str, Event]:
    """Events that differ in everything that a filter asks for, beside the login of whoever looks."""
    ada = Actor("ada", Door.ADMIN, operator.pk)
    with dated_back(dt.timedelta(days=10)):
        old = record_event(SHELL, "project.added", project)
    with traced(Trace("request-1", "192.0.2.7")):
        asked = record_event(ada, "project.changed", project, before={"name": "a"}, after={"name": "b"}, reason="So.")
    other = record_event(SHELL, "token.revoked", make_project("other"))
    return {"old": old, "asked": asked, "other": other}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"about": "token"}, ["other"]),
        ({"verb": "project.added"}, ["old"]),
        ({"door": "admin"}, ["asked"]),
        ({"person": "OPERATOR"}, ["asked"]),
        ({"person": "operator@example.com"}, ["asked"]),
        ({"person": "tests"}, ["other", "old"]),
        ({"person": "nobody"}, []),
        ({"request": "request-1"}, ["asked"]),
        ({"address": "192.0.2.7"}, ["asked"]),
        ({"q": "other"}, ["other"]),
        ({"object": "project"}, ["other", "asked", "old"]),
        ({"object": "connector:1"}, []),
        ({"at_from_0": "2000-01-01", "at_from_1": "00:00:00"}, ["other", "asked", "old"]),
    ],
)
def test_each_filter_finds_its_events(
    browser: Client, events: dict[str, Event], filters: dict[str, str], names: list[str]
) -> None:
    assert listed(browser, **filters) == [events[name] for name in names]
    assert [line["uid"] for line in exported(browser, **filters)] == [str(events[name].uid) for name in names]


def test_events_between_two_times_come_in_the_order_of_time(browser: Client, events: dict[str, Event]) -> None:
    week_ago = timezone.now() - dt.timedelta(days=7)
    until = {"at_to_0": f"{week_ago:%Y-%m-%d}", "at_to_1": "00:00:00"}
    assert listed(browser, **until) == [events["old"]]


def test_one_object_has_a_filter_by_kind_and_key(browser: Client, events: dict[str, Event], project: Project) -> None:
    assert listed(browser, object=f"project:{project.pk}") == [events["asked"], events["old"]]


def test_no_filter_counts_the_rows(browser: Client, events: dict[str, Event]) -> None:
    with CaptureQueriesContext(connection) as seen:
        listed(browser, about="project")
    statements = [one["sql"] for one in seen.captured_queries if "connectors_event" in one["sql"]]
    assert len(statements) == 1
    assert "COUNT" not in statements[0]


def test_the_page_shows_reason_request_address_and_that_it_is_sealed(browser: Client, events: dict[str, Event]) -> None:
    seal(timezone.now())
    page = browser.get(reverse("admin:connectors_event_change", args=[events["asked"].pk])).content.decode()
    for text in ("So.", "request-1", "192.0.2.7", "As it was written", "Sealed in segment 1", "?request=request-1"):
        assert text in page


def test_the_page_of_a_changed_event_says_so(browser: Client, events: dict[str, Event]) -> None:
    seal(timezone.now())
    Event.objects.filter(pk=events["asked"].pk).update(reason="Another.")
    page = browser.get(reverse("admin:connectors_event_change", args=[events["asked"].pk])).content.decode()
    assert "Not as it was written" in page
    assert "As it was written" not in page


def test_the_page_of_an_event_outlives_its_project(browser: Client, events: dict[str, Event]) -> None:
    Project.objects.filter(slug="other").delete()
    page = browser.get(reverse("admin:connectors_event_change", args=[events["other"].pk]))
    assert page.status_code == 200
    assert listed(browser)[0] == events["other"]


def test_an_export_goes_on_record_with_its_filters(browser: Client, events: dict[str, Event]) -> None:
    exported(browser, about="token")
    event = Event.objects.get(verb="trail.exported")
    assert "What: Tokens" in event.after["chosen"]


def test_exported_lines_carry_the_digest_and_no_secret(browser: Client, project: Project) -> None:
    record_event(SHELL, "project.changed", project, after={"secret": Sealed.of("hunter2")})
    (line,) = exported(browser)
    assert line["after"] == {"secret": "set"}
    assert len(line["digest"]) == 64


def test_an_auditor_gets_the_events_of_their_project_and_no_other(
    client: Client, events: dict[str, Event], project: Project
) -> None:
    auditor = make_user("auditor", staff=True)
    make_membership(auditor, "auditor", project=project)
    client.force_login(auditor)
    mine = {str(events["asked"].uid), str(events["old"].uid)}
    assert {line["uid"] for line in exported(client)} == mine
    assert {str(event.uid) for event in listed(client)} == mine
    assert listed(client, q="other") == []


def test_who_may_not_see_events_gets_no_file(client: Client, events: dict[str, Event], project: Project) -> None:
    viewer = make_user("looker", staff=True)
    make_membership(viewer, "viewer", project=project)
    client.force_login(viewer)
    assert client.get(reverse("admin:connectors_event_export")).status_code == 403
    assert not Event.objects.filter(verb="trail.exported").exists()


@pytest.mark.parametrize("filters", [{"p": "nonsense"}, {"about": "\0"}, {"project__id__exact": "x"}, {"object": ":"}])
def test_senseless_addresses_break_neither_list_nor_export(
    browser: Client, events: dict[str, Event], filters: dict[str, str]
) -> None:
    for name in (LIST, "admin:connectors_event_export"):
        assert browser.get(reverse(name), filters).status_code in (200, 302)

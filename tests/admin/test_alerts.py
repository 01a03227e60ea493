"""Incidents and alert routes in the admin: what the pages say, what the buttons do, and what they never show."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.core.webhooks import PREFIX, new_secret
from connectors.flows.alert_routing import tell_opened, wishes
from connectors.flows.alerts import deliver
from connectors.models import AlertDelivery, AlertRoute, Event, Incident, Severity
from tests.admin.form_data import address, errors, last_event, save, shown, told
from tests.factories import make_connector, make_incident, make_project, make_route
from tests.servers.webhook_receiver import WebhookReceiver

INCIDENTS = "admin:connectors_incident_changelist"


@pytest.fixture(autouse=True)
def _reachable() -> Iterator[None]:
    cache.clear()
    with override_settings(EMAIL_CONFIGURED=True, ALERT_ALLOWED_PRIVATE_HOSTS=["127.0.0.1"]):
        yield


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


# --- Incidents --------------------------------------------------------------------------------------------------


def test_the_list_shows_what_is_open_first(browser: Client) -> None:
    now = timezone.now()
    make_incident(title="Over", opened_at=now, closed_at=now)
    make_incident(title="Open", opened_at=now - dt.timedelta(days=9))
    page = text(browser.get(reverse(INCIDENTS)))
    assert page.index(">Open<") < page.index(">Over<")


@pytest.mark.parametrize(
    ("query", "titles"),
    [({"state": "open"}, ["Open"]), ({"state": "over"}, ["Over"]), ({"severity__exact": 2}, ["Open"])],
)
def test_the_list_can_be_narrowed(query: dict[str, Any], titles: list[str], browser: Client) -> None:
    make_incident(title="Over", closed_at=timezone.now())
    make_incident(title="Open", severity=Severity.CRITICAL)
    answer = browser.get(reverse(INCIDENTS), query)
    assert [row.title for row in answer.context["cl"].result_list] == titles


def test_the_list_says_when_nobody_is_told(browser: Client) -> None:
    warning = "Nobody is told of these incidents."
    make_route(is_enabled=False)
    assert warning in text(browser.get(reverse(INCIDENTS)))
    make_route()
    assert warning not in text(browser.get(reverse(INCIDENTS)))


@pytest.mark.parametrize("count", [1, 30])
def test_the_list_costs_the_same_however_many_there_are(
    count: int, browser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        project = make_project()
        make_incident(project=project, workspace=project.workspace)
    with django_assert_num_queries(9):
        browser.get(reverse(INCIDENTS))


def test_an_incidents_page_says_why_it_matters_what_to_do_and_who_was_told(browser: Client) -> None:
    row = make_connector(make_project("shop"), "gmail", consent="needed")
    incident = make_incident(
        f"consent:{row.pk}", kind="consent", title="Consent needed", connector=row, project=row.project
    )
    make_route("Ops")
    tell_opened([incident], {}, timezone.now(), wishes())
    deliver()
    page = text(browser.get(address("incident", "change", incident.pk)))
    assert "the connector does not work with the scopes that it needs" in page
    assert "Open the consent desk" in page
    assert 'href="/admin/connectors/connector/desk/"' in page
    assert ">Ops</a>" in page
    assert ">Sent</span>" in page


@pytest.mark.parametrize("kind", Incident.Kind.values)
def test_every_kind_has_its_page_even_when_what_it_was_about_is_gone(kind: str, browser: Client) -> None:
    incident = make_incident(f"{kind}:987654", kind=kind)
    assert "What to do" in text(browser.get(address("incident", "change", incident.pk)))


def test_an_incident_cannot_be_edited(browser: Client) -> None:
    incident = make_incident(title="As it was")
    browser.post(address("incident", "change", incident.pk), {"title": "Another"})
    assert Incident.objects.get().title == "As it was"


# --- Routes -----------------------------------------------------------------------------------------------------


def test_a_route_by_mail_is_added_with_an_event(browser: Client) -> None:
    answer = save(browser, "alertroute", name="Ops", emails="a@example.com, b@example.com", kinds=["drift", "policy"])
    assert errors(answer) == {}
    route = AlertRoute.objects.get()
    assert (route.emails, route.kinds, bool(route.secret)) == (
        ["a@example.com", "b@example.com"],
        ["drift", "policy"],
        False,
    )
    assert (last_event().verb, last_event().after["emails"]) == ("alert_route.added", route.emails)


def add_webhook(browser: Client, url: str) -> Any:
    path = address("alertroute", "add")
    return browser.post(path, {**shown(browser, path), "name": "Hooks", "channel": "webhook", "address": url})


def test_a_new_webhook_shows_its_signing_secret_once_and_never_its_address(browser: Client) -> None:
    url = f"https://hooks.example.com/{new_secret().removeprefix(PREFIX)}"
    answer = add_webhook(browser, url)
    route = AlertRoute.objects.get()
    secret = route.secret.reveal()
    assert secret.startswith(PREFIX)
    assert answer.context["secret"] == secret
    assert "no-store" in answer["Cache-Control"]
    for path in (address("alertroute", "change", route.pk), address("alertroute", "changelist")):
        page = browser.get(path).content.decode()
        assert "hooks.example.com" in page
        assert secret not in page
        assert url not in page
    record = repr(list(Event.objects.values_list()))
    assert secret not in record
    assert url not in record


def test_saving_again_keeps_address_and_secret(browser: Client) -> None:
    add_webhook(browser, "https://hooks.example.com/x")
    before = AlertRoute.objects.get()
    answer = save(browser, "alertroute", before.pk, name="Other name")
    assert errors(answer) == {}
    after = AlertRoute.objects.get()
    assert (after.name, after.url, after.secret) == ("Other name", before.url, before.secret)
    assert last_event().after == {"name": "Other name"}


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"emails": ""}, "emails"),
        ({"emails": "nobody"}, "emails"),
        ({"channel": "webhook"}, "address"),
        ({"channel": "webhook", "address": "hooks.example.com"}, "address"),
        ({"channel": "webhook", "address": "https://user@hooks.example.com"}, "address"),
        ({"quiet_from": "22:00"}, "quiet_until"),
        ({"quiet_until": "07:00"}, "quiet_from"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "quiet_until"),
        ({"quiet_timezone": "Mars/Olympus"}, "quiet_timezone"),
        ({"kinds": ["nonsense"]}, "kinds"),
        ({"min_severity": "9"}, "min_severity"),
    ],
)
def test_what_cannot_work_is_said_at_its_field(typed: dict[str, Any], field: str, browser: Client) -> None:
    answer = save(browser, "alertroute", **{"name": "Ops", "emails": "a@example.com", **typed})
    assert list(errors(answer)) == [field]


@override_settings(ALERT_ALLOWED_PRIVATE_HOSTS=[])
def test_a_webhook_without_tls_is_refused_in_the_form(browser: Client) -> None:
    typed = {"channel": "webhook", "address": "http://hooks.example.com/x"}
    assert "https://" in errors(save(browser, "alertroute", name="Ops", **typed))["address"][0]


def test_changing_a_route_lets_it_start_anew(browser: Client) -> None:
    route = make_route(failures=9, is_failing=True, last_error="It is gone.")
    assert errors(save(browser, "alertroute", route.pk, name="Mended", min_severity="1")) == {}
    route.refresh_from_db()
    assert (route.failures, route.is_failing, route.last_error) == (0, False, "")


def test_the_list_says_which_routes_fail(browser: Client) -> None:
    make_route(is_failing=True, last_error="No connection to hooks.example.com could be made.")
    page = text(browser.get(address("alertroute", "changelist")))
    assert ">Failing</span>" in page
    assert "No connection to hooks.example.com could be made." in page


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_of_routes_costs_the_same_however_many_there_are(
    count: int, browser: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        make_route().projects.add(make_project())
    with django_assert_num_queries(10):
        browser.get(address("alertroute", "changelist"))


# --- Test and secret --------------------------------------------------------------------------------------------


def press(browser: Client, name: str, route: AlertRoute) -> Any:
    return browser.post(reverse(f"admin:connectors_alertroute_{name}", args=[route.pk]), follow=True)


def test_the_test_button_sends_a_mail_now(browser: Client) -> None:
    route = make_route("Ops", emails=["ops@example.com"])
    assert "The test was sent. The mail server took it." in told(press(browser, "test", route))
    assert [message.subject for message in mail.outbox] == ["Test: Ops"]
    assert (last_event().verb, AlertDelivery.objects.get().state) == ("alert_route.tested", "sent")


def test_the_test_button_calls_a_webhook_now(browser: Client, receiver: WebhookReceiver) -> None:
    route = make_route(url=receiver.url, failures=3, is_failing=True)
    assert "HTTP 204" in told(press(browser, "test", route))
    assert receiver.calls[0].json["type"] == "test"
    assert receiver.calls[0].is_signed_with(route.secret.reveal())
    route.refresh_from_db()
    assert not route.is_failing


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not take the message (HTTP 404)"), (302, "redirects"), (500, "failed (HTTP 500)")]
)
def test_the_test_button_says_what_came_back(
    status: int, words: str, browser: Client, receiver: WebhookReceiver
) -> None:
    receiver.answer(status)
    answer = press(browser, "test", make_route(url=receiver.url))
    assert "The test did not get through." in told(answer)
    assert words in told(answer)


@override_settings(ALERT_ALLOWED_PRIVATE_HOSTS=[])
def test_the_test_button_cannot_reach_into_the_network(browser: Client, receiver: WebhookReceiver) -> None:
    answer = press(browser, "test", make_route(url=receiver.url))
    assert "private or reserved address" in told(answer)
    assert receiver.calls == []


def test_a_new_secret_is_shown_once_and_the_old_one_counts_for_a_day(browser: Client) -> None:
    route = make_route(url="https://hooks.example.com/x")
    old = route.secret.reveal()
    answer = press(browser, "secret", route)
    route.refresh_from_db()
    assert answer.context["secret"] == route.secret.reveal() != old
    assert "no-store" in answer["Cache-Control"]
    assert route.old_secret.reveal() == old
    assert route.old_secret_until is not None
    assert route.old_secret_until > timezone.now() + dt.timedelta(hours=23)
    assert (last_event().verb, last_event().after) == ("alert_route.secret_replaced", {"secret": "set"})


def test_a_route_by_mail_has_no_secret_to_replace(browser: Client) -> None:
    assert "Only webhooks are signed." in told(press(browser, "secret", make_route()))


def test_deleting_a_route_forgets_what_was_sent_on_it(browser: Client) -> None:
    route = make_route()
    tell_opened([make_incident()], {}, timezone.now(), wishes())
    browser.post(address("alertroute", "delete", route.pk), {"post": "yes"})
    assert not AlertRoute.objects.exists()
    assert (last_event().verb, Incident.objects.count()) == ("alert_route.deleted", 1)


def test_only_what_one_may_see_is_offered_and_taken(browser: Client) -> None:
    project = make_project("shop")
    answer = save(browser, "alertroute", name="Ops", emails="a@example.com", projects=[project.pk])
    assert errors(answer) == {}
    assert list(AlertRoute.objects.get().projects.all()) == [project]

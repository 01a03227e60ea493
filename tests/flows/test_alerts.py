"""Alerts: what is sent to whom and when, by e-mail and by workers; webhooks have a file of their own."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from connectors import tasks
from connectors.flows.alert_routing import take_back_over
from connectors.flows.alerts import deliver
from connectors.models import AlertDelivery, Incident, Severity
from tests.factories import make_connector, make_incident, make_project, make_route
from tests.flows.alerting import HOUR, MINUTE, NOW, begin, end, states
from tests.servers.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.usefixtures("alerts_go_out")


# --- Once at the beginning, once at the end ---------------------------------------------------------------------


def test_an_incident_is_mailed_once_and_once_when_it_is_over(db: None) -> None:
    make_route(emails=["ops@example.com", "bea@example.com"])
    incident = make_incident(title="Shop is broken", opened_at=NOW)
    begin(incident)
    for minutes in range(3):
        deliver(NOW + minutes * MINUTE)
    end(incident, now=NOW + 5 * MINUTE)
    for minutes in range(5, 20):
        deliver(NOW + minutes * MINUTE)
    assert [message.subject for message in mail.outbox] == ["Warning: Shop is broken", "Over: Shop is broken"]
    assert mail.outbox[0].to == ["ops@example.com", "bea@example.com"]


def test_the_mail_says_what_where_since_when_what_to_do_and_leads_there(db: None) -> None:
    make_route()
    row = make_connector(make_project("shop"), "gmail")
    incident = make_incident(
        f"consent:{row.pk}",
        kind="consent",
        title="Consent needed: Gmail in Shop",
        detail="Someone must agree.",
        project=row.project,
        workspace=row.project.workspace,
        connector=row,
        opened_at=NOW,
    )
    begin(incident)
    deliver(NOW)
    body = str(mail.outbox[0].body)
    assert f"Where: {row.project.workspace} › Shop" in body
    assert "Since: " in body
    assert "2030" in body
    assert "What to do: Open the consent desk" in body
    assert "https://portal.example/admin/connectors/connector/desk/" in body
    assert f"https://portal.example/admin/connectors/incident/{incident.pk}/change/" in body


def test_nobody_hears_that_it_is_over_who_was_not_told_that_it_began(db: None) -> None:
    incident = make_incident()
    begin(incident)
    make_route()
    end(incident)
    deliver(NOW + HOUR)
    assert mail.outbox == []


def test_a_route_may_do_without_the_end(db: None) -> None:
    make_route(says_recovery=False)
    incident = make_incident()
    begin(incident)
    deliver(NOW)
    end(incident)
    deliver(NOW + HOUR)
    assert len(mail.outbox) == 1


def test_what_is_over_before_it_was_told_is_never_told(db: None) -> None:
    make_route()
    incident = make_incident()
    begin(incident)
    end(incident)
    deliver(NOW)
    deliver(NOW + HOUR)
    assert mail.outbox == []
    assert states() == [("opened", "dropped"), ("recovered", "dropped")]


def test_what_comes_back_at_once_was_never_over(db: None) -> None:
    make_route()
    incident = make_incident()
    begin(incident)
    deliver(NOW)
    end(incident)
    Incident.objects.update(closed_at=None)
    take_back_over([incident.pk], NOW)
    deliver(NOW + HOUR)
    assert len(mail.outbox) == 1
    end(incident, now=NOW + HOUR)
    deliver(NOW + 2 * HOUR)
    assert len(mail.outbox) == 2


def test_what_was_dropped_and_came_back_is_told_after_all(db: None) -> None:
    make_route()
    incident = make_incident()
    begin(incident)
    end(incident)
    deliver(NOW)
    Incident.objects.update(closed_at=None)
    take_back_over([incident.pk], NOW + MINUTE)
    deliver(NOW + MINUTE)
    assert len(mail.outbox) == 1


# --- Many at once -----------------------------------------------------------------------------------------------


def test_twenty_are_told_one_by_one_and_more_in_one_message(db: None) -> None:
    make_route()
    begin(*(make_incident() for _ in range(20)))
    deliver(NOW)
    assert len(mail.outbox) == 20
    mail.outbox.clear()
    grave = make_incident(title="The gravest", severity=Severity.CRITICAL, kind="drift")
    begin(*(make_incident() for _ in range(20)), grave)
    deliver(NOW)
    (message,) = mail.outbox
    assert message.subject == "21 new incidents"
    lines = [line.split() for line in str(message.body).splitlines()]
    assert ["20", "Sync", "failing"] in lines
    assert ["1", "Scopes", "differ"] in lines
    assert str(message.body).index("Critical: The gravest") < str(message.body).index("Warning: ")
    assert "and 1 more." in str(message.body)
    assert "https://portal.example/admin/connectors/incident/" in str(message.body)


def test_what_was_told_in_a_summary_is_over_in_a_message_too(db: None) -> None:
    make_route()
    many = [make_incident() for _ in range(21)]
    begin(*many)
    deliver(NOW)
    end(many[0])
    deliver(NOW + HOUR)
    end(*many[1:], now=NOW + HOUR)
    deliver(NOW + 2 * HOUR)
    assert [message.subject for message in mail.outbox[:2]] == ["21 new incidents", "Over: Something is wrong"]
    assert len(mail.outbox) == 22


def test_many_that_are_over_at_once_are_told_in_one_message(db: None) -> None:
    make_route()
    many = [make_incident() for _ in range(30)]
    begin(*many)
    deliver(NOW)
    end(*many)
    deliver(NOW + HOUR)
    assert [message.subject for message in mail.outbox] == ["30 new incidents", "30 incidents are over"]


def test_a_first_start_with_thousands_of_incidents_is_one_message(receiver: WebhookReceiver, db: None) -> None:
    make_route(url=receiver.url)
    rows = Incident.objects.bulk_create(
        (Incident(key=f"k{n}", kind="drift", severity=1, title=f"T{n}", opened_at=NOW) for n in range(3_000)),
        batch_size=1_000,
    )
    begin(*rows)
    assert deliver(NOW) == 1
    (call,) = receiver.calls
    assert (call.json["type"], call.json["data"]["count"], call.json["data"]["kinds"]) == (
        "digest.opened",
        3_000,
        {"drift": 3_000},
    )
    assert len(call.json["data"]["first"]) == 20


# --- Quiet hours ------------------------------------------------------------------------------------------------

NIGHT: dict[str, Any] = {"quiet_from": dt.time(22), "quiet_until": dt.time(7), "quiet_timezone": "Europe/Berlin"}
AT_NIGHT = dt.datetime(2030, 3, 5, 23, tzinfo=dt.UTC)
IN_THE_MORNING = dt.datetime(2030, 3, 6, 6, tzinfo=dt.UTC)


def test_in_quiet_hours_a_message_waits_for_their_end(db: None) -> None:
    make_route(**NIGHT)
    begin(make_incident(), now=AT_NIGHT)
    deliver(AT_NIGHT)
    deliver(IN_THE_MORNING - MINUTE)
    assert mail.outbox == []
    deliver(IN_THE_MORNING)
    assert len(mail.outbox) == 1


def test_what_is_over_by_the_morning_disturbs_nobody(db: None) -> None:
    make_route(**NIGHT)
    incident = make_incident()
    begin(incident, now=AT_NIGHT)
    deliver(AT_NIGHT)
    end(incident, now=AT_NIGHT + HOUR)
    for hours in range(1, 24):
        deliver(AT_NIGHT + hours * HOUR)
    assert mail.outbox == []


@pytest.mark.parametrize(("breaks", "sent"), [(True, 1), (False, 0)])
def test_what_is_critical_comes_at_any_time_where_that_is_wanted(breaks: bool, sent: int, db: None) -> None:
    make_route(**NIGHT, critical_breaks_quiet=breaks)
    begin(make_incident(severity=Severity.CRITICAL), make_incident(), now=AT_NIGHT)
    deliver(AT_NIGHT)
    assert len(mail.outbox) == sent


def test_a_night_full_of_incidents_is_one_message_in_the_morning(db: None) -> None:
    make_route(**NIGHT)
    for minutes in range(25):
        begin(make_incident(), now=AT_NIGHT + minutes * MINUTE)
        deliver(AT_NIGHT + minutes * MINUTE)
    deliver(IN_THE_MORNING)
    assert [message.subject for message in mail.outbox] == ["25 new incidents"]


def test_a_zone_that_this_machine_does_not_know_counts_as_utc(db: None) -> None:
    make_route(**{**NIGHT, "quiet_timezone": "Mars/Olympus"})
    begin(make_incident(), now=AT_NIGHT)
    deliver(AT_NIGHT)
    assert mail.outbox == []


# --- E-mail -----------------------------------------------------------------------------------------------------


@override_settings(EMAIL_CONFIGURED=False)
def test_without_a_mail_server_the_message_is_given_up_with_the_reason(db: None) -> None:
    route = make_route()
    begin(make_incident())
    deliver(NOW)
    assert "EMAIL_URL" in route.deliveries.get().error


@override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_HOST="127.0.0.1", EMAIL_PORT=9)
def test_a_mail_server_that_is_down_is_asked_again(db: None) -> None:
    route = make_route()
    begin(make_incident())
    deliver(NOW)
    assert (route.deliveries.get().state, route.deliveries.get().next_attempt_at) == ("queued", NOW + MINUTE)
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        deliver(NOW + MINUTE)
    assert len(mail.outbox) == 1


def test_a_name_with_a_line_break_breaks_no_mail(db: None) -> None:
    make_route()
    begin(make_incident(title="Two\r\nBcc: x@example.com"))
    deliver(NOW)
    assert mail.outbox[0].subject == "Warning: Two Bcc: x@example.com"


# --- Workers ----------------------------------------------------------------------------------------------------


def test_the_task_delivers(receiver: WebhookReceiver, db: None) -> None:
    make_route(url=receiver.url)
    begin(make_incident(), now=timezone.now())
    tasks.deliver_alerts()
    assert len(receiver.calls) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_send_one_message_twice(receiver: WebhookReceiver) -> None:
    make_route(url=receiver.url)
    begin(*(make_incident() for _ in range(20)), now=timezone.now())

    def work() -> None:
        try:
            deliver()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.calls) == len({call.id for call in receiver.calls}) == 20


@pytest.mark.django_db(transaction=True)
def test_while_one_worker_waits_for_an_answer_another_leaves_the_message_alone(receiver: WebhookReceiver) -> None:
    make_route(url=receiver.url)
    begin(make_incident(), now=timezone.now())
    receiver.hold = True

    def work() -> None:
        try:
            deliver()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert receiver.arrived.wait(20)
    assert deliver() == 0
    receiver.released.set()
    thread.join()
    assert len(receiver.calls) == 1


def test_a_message_whose_worker_died_is_sent_by_the_next(receiver: WebhookReceiver, db: None) -> None:
    make_route(url=receiver.url)
    begin(make_incident())
    AlertDelivery.objects.update(lease_until=NOW + MINUTE, attempts=1)
    assert deliver(NOW) == 0
    assert deliver(NOW + 2 * MINUTE) == 1
    assert len(receiver.calls) == 1

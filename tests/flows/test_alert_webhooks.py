"""Alerts by webhook: signed, sent again while there is hope, and kept from those who no longer want them."""

from __future__ import annotations

import pytest
from django.test import override_settings

from connectors.core.webhooks import new_secret
from connectors.flows.alerts import deliver
from connectors.models import AlertDelivery, AlertRoute, Event, Sealed
from tests.factories import make_connector, make_incident, make_project, make_route
from tests.flows.alerting import HOUR, MINUTE, NOW, begin, end, states
from tests.servers.webhook_receiver import WebhookReceiver

pytestmark = pytest.mark.usefixtures("alerts_go_out")


def test_a_webhook_is_signed_and_carries_the_documented_fields(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=receiver.url)
    row = make_connector(make_project("shop", environment="production"), "gmail")
    incident = make_incident(
        "drift:7", kind="drift", title="T", detail="D", connector=row, project=row.project, opened_at=NOW
    )
    begin(incident)
    deliver(NOW)
    (call,) = receiver.calls
    assert call.is_signed_with(route.secret.reveal())
    assert call.id == str(route.deliveries.get().pk)
    assert call.json == {
        "type": "incident.opened",
        "timestamp": NOW.isoformat(),
        "text": "Warning: T",
        "data": {
            "incident": {
                "id": incident.pk,
                "key": "drift:7",
                "kind": "drift",
                "severity": "warning",
                "needs_person": False,
                "title": "T",
                "detail": "D",
                "what_to_do": call.json["data"]["incident"]["what_to_do"],
                "opened_at": NOW.isoformat(),
                "closed_at": None,
                "workspace": None,
                "project": "shop",
                "environment": "production",
                "integration_type": "gmail",
                "url": f"https://portal.example/admin/connectors/incident/{incident.pk}/change/",
            }
        },
    }


def test_the_old_secret_signs_along_until_its_time_is_over(receiver: WebhookReceiver, db: None) -> None:
    old = new_secret()
    route = make_route(url=receiver.url, old_secret=Sealed.of(old), old_secret_until=NOW + HOUR)
    begin(make_incident())
    deliver(NOW)
    begin(make_incident())
    deliver(NOW + HOUR)
    assert [call.is_signed_with(old) for call in receiver.calls] == [True, False]
    assert all(call.is_signed_with(route.secret.reveal()) for call in receiver.calls)


def test_what_may_pass_is_sent_again_later_and_later_with_the_same_id(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=receiver.url)
    begin(make_incident())
    receiver.answer(503)
    at, waits = NOW, []
    for _ in range(6):
        deliver(at)
        due = route.deliveries.get().next_attempt_at
        waits.append(due - at)
        at = due
    assert waits == [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 15 * HOUR]
    assert len({call.id for call in receiver.calls}) == 1
    receiver.answer(200)
    deliver(at)
    assert states() == [("opened", "sent")]
    route.refresh_from_db()
    assert (route.failures, route.is_failing, route.last_error, route.last_sent_at) == (0, False, "", at)


def test_after_a_day_it_is_given_up_and_the_route_is_marked_as_failing(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=receiver.url)
    begin(make_incident())
    receiver.answer(500)
    for hours in range(30):
        for minutes in (0, 1, 6, 36):
            deliver(NOW + hours * HOUR + minutes * MINUTE)
    assert len(receiver.calls) == 7
    assert states() == [("opened", "given_up")]
    route.refresh_from_db()
    assert (route.is_failing, route.is_enabled) == (True, True)
    assert Event.objects.filter(verb="alert_route.failing").count() == 1


def test_nobody_hears_of_the_end_of_what_could_not_be_told(receiver: WebhookReceiver, db: None) -> None:
    make_route(url=receiver.url)
    incident = make_incident()
    begin(incident)
    receiver.answer(404)
    deliver(NOW)
    end(incident)
    receiver.answer(200)
    deliver(NOW + HOUR)
    assert len(receiver.calls) == 1


def test_the_end_waits_for_the_beginning_that_is_still_tried(receiver: WebhookReceiver, db: None) -> None:
    make_route(url=receiver.url)
    incident = make_incident()
    begin(incident)
    receiver.answer(500)
    for minutes in (0, 1, 6):
        deliver(NOW + minutes * MINUTE)
    end(incident, now=NOW + 7 * MINUTE)
    deliver(NOW + 18 * MINUTE)
    receiver.answer(200)
    receiver.calls.clear()
    for minutes in range(36, 60):
        deliver(NOW + minutes * MINUTE)
    assert [call.json["type"] for call in receiver.calls] == ["incident.opened", "incident.recovered"]


def test_a_refusal_for_good_is_not_tried_again(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=receiver.url)
    begin(make_incident())
    receiver.answer(400)
    deliver(NOW)
    deliver(NOW + 9 * HOUR)
    assert len(receiver.calls) == 1
    route.refresh_from_db()
    assert route.last_error == "The receiver does not take the message (HTTP 400)."


def test_a_receiver_that_is_gone_switches_the_route_off(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=receiver.url)
    begin(make_incident())
    receiver.answer(410)
    deliver(NOW)
    begin(make_incident())
    deliver(NOW + MINUTE)
    route.refresh_from_db()
    assert (route.is_enabled, len(receiver.calls)) == (False, 1)
    assert Event.objects.filter(verb="alert_route.switched_off").count() == 1


def test_the_receiver_says_how_long_it_wants_to_be_left_alone(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=receiver.url)
    begin(make_incident())
    receiver.answer(429, Retry_After="900")
    deliver(NOW)
    assert route.deliveries.get().next_attempt_at == NOW + 15 * MINUTE


def test_a_route_that_fails_keeps_its_other_messages_back_and_no_other_routes(
    receiver: WebhookReceiver, db: None
) -> None:
    make_route("dead", url=f"http://127.0.0.1:9/{new_secret()}")
    make_route("alive", url=receiver.url)
    begin(*(make_incident() for _ in range(18)))
    deliver(NOW)
    assert len(receiver.calls) == 18
    dead = AlertDelivery.objects.filter(route__name="dead")
    assert dead.filter(next_attempt_at__gt=NOW, state="queued").count() == 18
    assert dead.filter(attempts=0).exists()


@override_settings(ALERT_ALLOWED_PRIVATE_HOSTS=[])
def test_a_private_address_is_refused_and_its_path_stays_secret(receiver: WebhookReceiver, db: None) -> None:
    route = make_route(url=f"{receiver.url}/hidden?key=hidden")
    begin(make_incident())
    deliver(NOW)
    route.refresh_from_db()
    row = route.deliveries.get()
    assert (row.state, receiver.calls) == ("given_up", [])
    assert "private or reserved" in row.error
    assert "hidden" not in row.error + route.last_error + repr(list(Event.objects.values_list()))


def test_a_route_that_was_switched_off_meanwhile_gets_nothing(receiver: WebhookReceiver, db: None) -> None:
    make_route(url=receiver.url)
    begin(make_incident())
    AlertRoute.objects.update(is_enabled=False)
    deliver(NOW)
    assert receiver.calls == []
    assert states() == [("opened", "dropped")]

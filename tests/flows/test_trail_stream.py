"""Streams: every sealed event reaches a real syslog server or webhook, in order, and none is passed over."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.net import AddressRefusedError, Allowed, NoAnswerError
from connectors.core.trail import checkpoint, syslog
from connectors.flows.events import Change, record_events
from connectors.flows.incidents import watch
from connectors.flows.trail_archive import archive
from connectors.flows.trail_seal import seal
from connectors.flows.trail_stream import BATCH, GIVE_UP, next_batch, send_due
from connectors.flows.trail_streams import save_stream, try_stream
from connectors.models import Event, Incident, Project, TrailSegment, TrailStream
from connectors.models.trail_keys import trail_keys
from tests.factories import SHELL, make_membership
from tests.flows.trail_scene import NOW, SEALED, make_trail
from tests.servers.certificates import certificate_for
from tests.servers.syslog_server import syslog_server
from tests.servers.webhook_receiver import WebhookReceiver

HERE = Allowed.of(["127.0.0.1"])
RFC_5424 = re.compile(r"<\d{1,3}>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+ connector-portal - (\S{1,32}) - (\{.*\})")


@pytest.fixture
def ids(project: Project, settings: Any) -> list[int]:
    settings.ALERT_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    return make_trail(project)


@pytest.fixture
def browser(operator: User) -> Client:
    """Logged in as somebody who may do everything."""
    client = Client()
    client.force_login(operator)
    return client


def to_webhook(receiver: WebhookReceiver, *, from_beginning: bool = True) -> tuple[TrailStream, str]:
    stream = TrailStream(name="SIEM", kind="webhook")
    secret = save_stream(stream, SHELL, url=SecretStr(receiver.url), from_beginning=from_beginning)
    assert secret is not None
    return stream, secret.get_secret_value()


def ids_taken(receiver: WebhookReceiver) -> list[int]:
    return [event["id"] for call in receiver.calls for event in call.json["data"]["events"]]


def fails(stream: TrailStream, receiver: WebhookReceiver) -> TrailStream:
    """One more attempt, which the receiver answers with an error."""
    receiver.answer(503)
    TrailStream.objects.update(next_attempt_at=timezone.now())
    send_due(timezone.now())
    stream.refresh_from_db()
    return stream


def test_every_event_arrives_once_in_order_and_signed(ids: list[int], receiver: WebhookReceiver) -> None:
    _, secret = to_webhook(receiver)
    assert send_due(timezone.now()) == SEALED
    assert ids_taken(receiver) == ids
    assert all(call.is_signed_with(secret) for call in receiver.calls)
    assert send_due(timezone.now()) == 0


def test_each_segment_ends_with_a_checkpoint_that_verifies(ids: list[int], receiver: WebhookReceiver) -> None:
    to_webhook(receiver)
    send_due(timezone.now())
    found = [call.json["data"]["checkpoint"] for call in receiver.calls]
    read = [checkpoint.read(json.dumps(document), "stream")[0] for document in found]
    assert [one.segment for one in read] == [1, 2, 3, 4, 5, 6]
    assert all(one.is_signed_by(checkpoint.public_key(trail_keys().first)) for one in read)


def test_a_new_stream_begins_with_what_happens_now(ids: list[int], receiver: WebhookReceiver) -> None:
    to_webhook(receiver, from_beginning=False)
    assert send_due(timezone.now()) == 0


def test_what_was_refused_is_sent_again_with_the_same_id(ids: list[int], receiver: WebhookReceiver) -> None:
    stream, _ = to_webhook(receiver)
    stream = fails(stream, receiver)
    assert (stream.failures, stream.segment, stream.position) == (1, 1, 0)
    assert stream.next_attempt_at > timezone.now()
    assert send_due(timezone.now()) == 0
    receiver.answer(204)
    TrailStream.objects.update(next_attempt_at=timezone.now())
    send_due(timezone.now())
    assert receiver.calls[0].id == receiver.calls[1].id
    assert ids_taken(receiver)[7:] == ids
    stream.refresh_from_db()
    assert (stream.failures, stream.last_error, stream.failing_since) == (0, "", None)


def test_a_long_segment_goes_in_portions(ids: list[int]) -> None:
    first = next_batch(1, 0, NOW)
    rest = next_batch(1, 3, NOW)
    assert first is not None
    assert rest is not None
    assert [event["id"] for event in rest.events] == ids[3:7]
    assert first.next == rest.next == (2, 0)


@pytest.mark.parametrize("gone", [1, BATCH])
def test_a_stream_goes_on_behind_events_that_somebody_took_out(project: Project, gone: int) -> None:
    record_events(SHELL, "project.changed", [Change(project) for _ in range(BATCH + 5)])
    seal(NOW)
    ids = list(Event.objects.order_by("pk").values_list("pk", flat=True))
    Event.objects.filter(pk__in=ids[:gone]).delete()
    first = next_batch(1, 0, NOW)
    assert first is not None
    assert [event["id"] for event in first.events] == ids[gone:BATCH]
    rest = next_batch(*first.next, NOW)
    assert rest is not None
    assert [event["id"] for event in rest.events] == ids[BATCH:]


def test_a_stream_that_fails_for_days_is_switched_off_and_told_of(ids: list[int], receiver: WebhookReceiver) -> None:
    stream, _ = to_webhook(receiver)
    fails(stream, receiver)
    TrailStream.objects.update(failing_since=timezone.now() - GIVE_UP)
    watch(timezone.now())
    assert Incident.objects.open().get(kind="trail").severity == 1
    assert not fails(stream, receiver).is_enabled
    assert Event.objects.filter(verb="trail_stream.switched_off").exists()


def test_nothing_is_archived_that_a_stream_has_still_to_send(
    ids: list[int], receiver: WebhookReceiver, settings: Any, tmp_path: Any
) -> None:
    settings.TRAIL_ARCHIVE_DIR = str(tmp_path)
    to_webhook(receiver)
    TrailStream.objects.update(segment=4)
    (made,) = archive(NOW + dt.timedelta(days=2), SHELL, keep_days=1)
    assert (made.first, made.last) == (1, 3)


def test_segments_that_were_archived_while_it_was_off_are_passed_over(ids: list[int]) -> None:
    TrailSegment.objects.filter(number__lte=3).update(archived_at=NOW)
    batch = next_batch(1, 4, NOW)
    assert batch is not None
    assert (batch.segment, batch.position) == (4, 0)


def test_a_changed_address_is_not_credited_with_what_the_old_one_took(
    ids: list[int], receiver: WebhookReceiver
) -> None:
    stream, _ = to_webhook(receiver)
    generation = TrailStream.objects.get().generation
    save_stream(stream, SHELL, url=SecretStr(receiver.url + "/other"))
    assert TrailStream.objects.get().generation == generation + 1


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_syslog_gets_messages_as_rfc_5424_says(ids: list[int], protocol: str) -> None:
    with syslog_server(protocol) as server:
        save_stream(
            TrailStream(name="S", host="127.0.0.1", port=server.port, protocol=protocol), SHELL, from_beginning=True
        )
        assert send_due(timezone.now()) == SEALED
        while protocol == "udp" and len(server.messages) < SEALED + 6:
            server.arrived.clear()
            assert server.arrived.wait(5)
        found = [match.groups() for text in server.messages if (match := RFC_5424.fullmatch(text))]
    events = [json.loads(text)["id"] for name, text in found if name == "project.changed"]
    assert sorted(events) == ids
    assert [name for name, _ in found].count("trail.checkpoint") == 6


def test_syslog_over_tls_checks_the_certificate() -> None:
    made, other = certificate_for("127.0.0.1"), certificate_for("127.0.0.1")
    message = syslog.message("portal", "login.failed", NOW, {"text": "grüße\n"})
    with syslog_server("tls", made.server) as server:
        target = syslog.Server("127.0.0.1", server.port, "tls")
        syslog.send(target, [message], allowed=HERE, tls=made.client)
        with pytest.raises(NoAnswerError, match="certificate"):
            syslog.send(target, [message], allowed=HERE, tls=other.client)
    assert [text.startswith("<108>1 ") for text in server.messages] == [True]
    assert "\n" not in server.messages[0]


def test_a_server_that_breaks_off_gets_everything_again(ids: list[int]) -> None:
    with syslog_server("tcp") as server:
        server.breaks_after = 100
        stream = TrailStream(name="S", host="127.0.0.1", port=server.port, protocol="tcp")
        save_stream(stream, SHELL, from_beginning=True)
        assert send_due(timezone.now()) == 0
        stream.refresh_from_db()
        assert (stream.failures, stream.segment) == (1, 1)


def test_no_stream_leads_into_the_private_network(settings: Any, project: Project) -> None:
    settings.ALERT_ALLOWED_PRIVATE_HOSTS = []
    stream = TrailStream(name="S", host="169.254.169.254", port=514, protocol="udp")
    save_stream(stream, SHELL)
    assert "private" in try_stream(stream, SHELL, NOW)
    with pytest.raises(AddressRefusedError):
        syslog.send(syslog.Server("127.0.0.1", 514, "tcp"), [b"x"], allowed=Allowed())


def test_a_long_event_over_udp_goes_without_its_details_and_says_so() -> None:
    cut = syslog.without_details({"id": 1, "after": {"x": "y" * 99_999}, "before": {}, "note": "n"})
    assert (cut["cut"], cut["after"]) == (True, {})


def test_a_stream_is_added_tried_and_deleted_in_the_admin(
    ids: list[int], receiver: WebhookReceiver, browser: Client
) -> None:
    form = {"name": "SIEM", "is_enabled": "on", "kind": "webhook", "address": receiver.url, "port": "6514"}
    answer = browser.post(reverse("admin:connectors_trailstream_add"), {**form, "protocol": "tls", "host": ""})
    assert "whsec_" in answer.content.decode()
    stream = TrailStream.objects.get()
    assert stream.host == "127.0.0.1"
    page = browser.get(reverse("admin:connectors_trailstream_change", args=[stream.pk])).content.decode()
    assert receiver.url not in page
    assert "whsec_" not in page
    browser.post(reverse("admin:connectors_trailstream_test", args=[stream.pk]))
    assert receiver.calls[0].json["data"]["checkpoint"]["segment"] == 6
    browser.post(reverse("admin:connectors_trailstream_delete", args=[stream.pk]), {"post": "yes"})
    assert not TrailStream.objects.exists()
    verbs = Event.objects.filter(about="trail_stream").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["trail_stream.added", "trail_stream.tested", "trail_stream.deleted"]


def test_only_who_may_everywhere_sees_streams(viewer: User, project: Project) -> None:
    client = Client()
    save_stream(TrailStream(name="S", host="siem.example.com"), SHELL)
    make_membership(viewer, "owner", project=project)
    client.force_login(viewer)
    stream = TrailStream.objects.get()
    assert client.get(reverse("admin:connectors_trailstream_changelist")).status_code == 403
    assert client.post(reverse("admin:connectors_trailstream_test", args=[stream.pk])).status_code in (403, 404)
    assert list(TrailStream.objects.visible_to(viewer)) == []

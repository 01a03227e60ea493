"""Signed webhooks: the signature as others check it, and which answers are worth another try."""

from __future__ import annotations

import datetime as dt

import pytest

from connectors.core.net import Allowed
from connectors.core.webhooks import WebhookError, new_secret, send, signature, wait_of
from tests.servers.webhook_receiver import WebhookReceiver

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
LOOPBACK = Allowed.of(["127.0.0.1"])
KEY = new_secret()


def sent(receiver: WebhookReceiver, *keys: str) -> int:
    return send(receiver.url, b'{"a":1}', keys=keys or [KEY], message_id="msg", now=NOW, allowed=LOOPBACK)


def refused(receiver: WebhookReceiver, status: int, **headers: str) -> WebhookError:
    receiver.answer(status, **headers)
    with pytest.raises(WebhookError) as caught:
        sent(receiver)
    return caught.value


def test_the_signature_is_that_of_the_conventions_example() -> None:
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # published in the convention's text, with this result
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == expected


def test_a_receiver_can_check_who_sent_it(receiver: WebhookReceiver) -> None:
    assert sent(receiver) == 204
    (call,) = receiver.calls
    assert call.is_signed_with(KEY)
    assert not call.is_signed_with(new_secret())
    assert (call.id, call.headers["webhook-timestamp"]) == ("msg", str(int(NOW.timestamp())))


def test_while_a_secret_is_replaced_both_are_signed_with(receiver: WebhookReceiver) -> None:
    other = new_secret()
    sent(receiver, other, KEY)
    assert receiver.calls[0].is_signed_with(KEY)
    assert receiver.calls[0].is_signed_with(other)


def test_without_a_secret_nothing_is_sent(receiver: WebhookReceiver) -> None:
    with pytest.raises(WebhookError, match="secret"):
        sent(receiver, "")
    assert receiver.calls == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(receiver: WebhookReceiver, status: int) -> None:
    assert not refused(receiver, status).permanent


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410, 422])
def test_what_cannot_get_better_is_not_tried_again(receiver: WebhookReceiver, status: int) -> None:
    error = refused(receiver, status)
    assert error.permanent
    assert error.gone == (status == 410)


def test_the_receiver_says_how_long_to_wait(receiver: WebhookReceiver) -> None:
    assert refused(receiver, 429, Retry_After="120").retry_after == dt.timedelta(minutes=2)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("30", dt.timedelta(seconds=30)),
        ("Fri, 01 May 2026 12:05:00 GMT", dt.timedelta(minutes=5)),
        ("99999999999999999999", dt.timedelta(days=1)),
        ("0", None),
        ("-5", None),
        ("", None),
        ("soon", None),
        ("Fri, 01 May 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after_in_either_form_and_never_for_more_than_a_day(text: str, wait: dt.timedelta | None) -> None:
    assert wait_of(text, NOW) == wait


def test_a_refused_address_is_for_good() -> None:
    with pytest.raises(WebhookError) as caught:
        send("https://127.0.0.1/x", b"", keys=[KEY], message_id="m", now=NOW, allowed=Allowed())
    assert caught.value.permanent

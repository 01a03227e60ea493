"""Webhooks after the Standard Webhooks convention (standardwebhooks.com): how they are signed and what answers mean."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import email.utils
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Sequence

from connectors.core.errors import PortalError
from connectors.core.net import TIMEOUT, AddressRefusedError, Allowed, NoAnswerError, Reply, Resolver, post, resolve

PREFIX = "whsec_"
USER_AGENT = "connector-portal/0.1.0"
MAX_RETRY_AFTER = dt.timedelta(days=1)
TRANSIENT = frozenset({408, 425, 429})
"""Statuses below 500 that ask for another try."""
GONE = 410
"""The receiver wants nothing more, ever."""


class WebhookError(PortalError):
    """A webhook was not taken.

    `permanent`: the same again cannot help. `gone`: nothing must be sent to this address any more. `retry_after`: for
    how long the receiver wants to be left alone, None when it did not say.
    """

    def __init__(
        self, message: str, *, permanent: bool, gone: bool = False, retry_after: dt.timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.permanent, self.gone, self.retry_after = permanent, gone, retry_after


def new_secret() -> str:
    """A fresh signing secret, as receivers' libraries take it: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, timestamp (seconds since 1970) and body. Raises ValueError for no secret."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("not a signing secret")
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


def headers(keys: Sequence[str], message_id: str, now: dt.datetime, body: bytes) -> dict[str, str]:
    """What goes with a body. While a secret is replaced there are two keys, and a signature with each."""
    timestamp = int(now.timestamp())
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(key, message_id, timestamp, body) for key in keys),
    }


def send(
    url: str,
    body: bytes,
    *,
    keys: Sequence[str],
    message_id: str,
    now: dt.datetime,
    allowed: Allowed,
    resolver: Resolver = resolve,
    timeout: float = TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Sends one signed webhook and gives the status (2xx) with which it was taken. Raises WebhookError."""
    try:
        signed = headers(keys, message_id, now, body)
    except ValueError:
        raise WebhookError("The webhook has no signing secret: make a new one.", permanent=True) from None
    try:
        reply = post(url, body, signed, allowed=allowed, resolver=resolver, timeout=timeout, tls=tls)
    except AddressRefusedError as error:
        raise WebhookError(str(error), permanent=True) from None
    except NoAnswerError as error:
        raise WebhookError(str(error), permanent=False) from None
    if 200 <= reply.status < 300:
        return reply.status
    raise _refusal(reply, now)


def _refusal(reply: Reply, now: dt.datetime) -> WebhookError:
    if reply.status == GONE:
        text = "The receiver says that it is gone (HTTP 410) and wants no more messages."
        return WebhookError(text, permanent=True, gone=True)
    if 300 <= reply.status < 400:
        text = f"The receiver redirects to another address (HTTP {reply.status}), which the portal does not follow."
        return WebhookError(text, permanent=True)
    if reply.status in TRANSIENT or reply.status >= 500:
        said = "has too much to do" if reply.status == 429 else "failed"
        text = f"The receiver {said} (HTTP {reply.status})."
        return WebhookError(text, permanent=False, retry_after=wait_of(reply.retry_after, now))
    return WebhookError(f"The receiver does not take the message (HTTP {reply.status}).", permanent=True)


def wait_of(retry_after: str, now: dt.datetime) -> dt.timedelta | None:
    """The time that a Retry-After header names in seconds or as a date, a day at most; None when it names none."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        wait = dt.timedelta(seconds=min(int(text[:9]), 10**6))
    else:
        try:
            at = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError):
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=dt.UTC)) - now
    return min(wait, MAX_RETRY_AFTER) if wait > dt.timedelta() else None

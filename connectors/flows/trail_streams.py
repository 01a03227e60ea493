"""Where the trail is streamed to: add, change, try and delete streams, and make the secrets that sign webhooks."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.net import parse
from connectors.core.webhooks import new_secret
from connectors.flows.events import changes, record_event
from connectors.flows.trail_stream import Batch, StreamError, transmit
from connectors.flows.trail_verify import checkpoint_now
from connectors.models import Sealed, TrailSegment, TrailStream

FIELDS = ["name", "is_enabled", "kind", "host", "port", "protocol"]


@transaction.atomic
def save_stream(
    stream: TrailStream, actor: Actor, *, url: SecretStr | None = None, from_beginning: bool = False
) -> SecretStr | None:
    """Stores a new or changed stream, and gives the signing secret if one was made: it cannot be read again later.

    A new stream begins with what happens from now on, or with the oldest event that is in the database. Whoever changes
    a stream that failed starts anew with it. Raises AddressRefusedError for an address that cannot be one.
    """
    stored = TrailStream.objects.filter(pk=stream.pk).first() if stream.pk else None
    before = _values(stored) if stored is not None else {}
    is_webhook, secret = stream.kind == TrailStream.Kind.WEBHOOK, None
    if url is not None and is_webhook:
        stream.url, stream.host = Sealed.of(url.get_secret_value()), parse(url.get_secret_value()).host
    if is_webhook and not stream.url:
        raise Refused("A webhook needs an address.")
    if is_webhook and not stream.secret:
        secret = SecretStr(new_secret())
        stream.secret = Sealed.of(secret.get_secret_value())
    stream.next_attempt_at, stream.failures, stream.failing_since, stream.last_error = timezone.now(), 0, None, ""
    if stored is None:
        stream.segment = 1 if from_beginning else _newest() + 1
        stream.save()
    else:
        edited = [*FIELDS, "url", "secret", "next_attempt_at", "failures", "failing_since", "last_error"]
        stream.save(update_fields=edited)
        # A worker that is sending by the old address must not note how far it came for the new one.
        TrailStream.objects.filter(pk=stream.pk).update(generation=F("generation") + 1, lease_until=None)
    old, new = changes(before, _values(stream) | ({"url": stream.url} if url is not None else {}))
    if stored is None:
        record_event(actor, "trail_stream.added", stream, after=new | {"from_beginning": from_beginning})
    elif new:
        record_event(actor, "trail_stream.changed", stream, before=old, after=new)
    return secret


@transaction.atomic
def replace_secret(stream: TrailStream, actor: Actor) -> SecretStr:
    """A new signing secret, shown this once; the old one ends at once. Raises Refused for a stream without webhooks."""
    if stream.kind != TrailStream.Kind.WEBHOOK:
        raise Refused("Only webhooks are signed.")
    secret = SecretStr(new_secret())
    stream.secret = Sealed.of(secret.get_secret_value())
    stream.save(update_fields=["secret"])
    record_event(actor, "trail_stream.secret_replaced", stream, after={"secret": stream.secret})
    return secret


def try_stream(stream: TrailStream, actor: Actor, now: dt.datetime) -> str:
    """Sends a message without events here and now. Empty when it was taken, else what went wrong in words."""
    checkpoint = checkpoint_now(now)
    test = Batch(0, 0, (), checkpoint.document if checkpoint is not None else {"test": stream.name})
    problem = ""
    try:
        transmit(stream, test, now)
    except StreamError as error:
        problem = str(error)
    record_event(actor, "trail_stream.tested", stream, note=problem or "It was taken.")
    return problem


@transaction.atomic
def delete_stream(stream: TrailStream, actor: Actor) -> None:
    """Forgets the stream with its secret. What was sent stays where it is."""
    record_event(actor, "trail_stream.deleted", stream, before=_values(stream))
    stream.delete()


def _newest() -> int:
    return int(TrailSegment.objects.aggregate(last=Max("number"))["last"] or 0)


def _values(stream: TrailStream) -> dict[str, Any]:
    return {name: getattr(stream, name) for name in FIELDS}

"""Stream: send sealed events to the places outside that want them, each in order, at least once.

A stream goes along the segments, so that nothing is passed over whatever was committed late, and each segment's end
carries a signed checkpoint: whoever receives the stream can tell if the trail here is cut off or written anew.
"""

from __future__ import annotations

import datetime as dt
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from connectors.core import webhooks
from connectors.core.actor import SCHEDULER
from connectors.core.crypto import UnreadableSecretError
from connectors.core.net import AddressRefusedError, Allowed, NoAnswerError
from connectors.core.trail import syslog
from connectors.core.trail.segment import ids_of
from connectors.core.webhooks import WebhookError
from connectors.flows.events import record_event
from connectors.flows.lease import LAST_CALL, LEASE, RowLease
from connectors.flows.trail_files import COLUMNS, document_of
from connectors.flows.trail_verify import checkpoint_of
from connectors.models import Event, TrailSegment, TrailStream

STREAMS = RowLease(TrailStream)
BATCH = 200
"""Events of one message to a webhook, or of one connection to a syslog server."""
AT_ONCE = 8
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=15), dt.timedelta(hours=1)
GIVE_UP = dt.timedelta(days=3)
"""After failing for so long a stream is switched off, and somebody has to look."""


class StreamError(Exception):
    """The other side did not take what was sent; the text says why. `wait`: what it asked to be left alone for."""

    def __init__(self, message: str, wait: dt.timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that go out together; `checkpoint` is there when they are the last of their segment.

    `end` is how far in the segment they reach. Somebody may have taken events out of the database: who receives the
    stream sees from the next checkpoint that they lack some, and what follows must not wait for them.
    """

    segment: int
    position: int
    events: Sequence[dict[str, Any]]
    checkpoint: dict[str, Any] | None
    end: int = 0

    @property
    def next(self) -> tuple[int, int]:
        """Where the stream is once this was taken."""
        return (self.segment + 1, 0) if self.checkpoint is not None else (self.segment, self.end)


def send_due(now: dt.datetime) -> int:
    """Sends to every stream that is due, and returns how many events were taken."""
    return sum(_send_one(stream) for stream in STREAMS.take_many(TrailStream.objects.due(now), now, AT_ONCE))


def next_batch(segment: int, position: int, now: dt.datetime) -> Batch | None:
    """What follows; None when everything was sent. Segments that were archived meanwhile are passed over."""
    row = TrailSegment.objects.light().filter(number__gte=segment, archived_at=None).order_by("number").first()
    if row is None:
        return None
    start = position if row.number == segment else 0
    ids = list(islice(ids_of(row.ids), start, start + BATCH))
    events = [document_of(event) for event in Event.objects.filter(pk__in=ids).order_by("pk").values(*COLUMNS)]
    end = start + len(ids)
    checkpoint = checkpoint_of(row, now).document if end >= row.event_count else None
    return Batch(row.number, start, events, checkpoint, end)


def transmit(stream: TrailStream, batch: Batch, now: dt.datetime) -> None:
    """Sends a batch once. Raises StreamError."""
    allowed = Allowed.of(settings.ALERT_ALLOWED_PRIVATE_HOSTS)
    try:
        if stream.kind == TrailStream.Kind.WEBHOOK:
            _call(stream, batch, now, allowed)
        else:
            server = syslog.Server(stream.host, stream.port, stream.protocol)
            syslog.send(server, _messages(stream, batch, now), allowed=allowed)
    except WebhookError as error:
        raise StreamError(str(error), error.retry_after) from None
    except (AddressRefusedError, NoAnswerError) as error:
        raise StreamError(str(error)) from None
    except UnreadableSecretError:
        raise StreamError("The address or secret cannot be read with the portal's keys.") from None


def _send_one(stream: TrailStream) -> int:
    """Everything that waits, until the lease gets short; the next round goes on from there."""
    taken, end = 0, time.monotonic() + (LEASE - LAST_CALL).total_seconds()
    while time.monotonic() < end:
        now = timezone.now()
        batch = next_batch(stream.segment, stream.position, now)
        if batch is None:
            break
        try:
            transmit(stream, batch, now)
        except StreamError as error:
            _note_failure(stream, error, timezone.now())
            return taken
        if not _note_success(stream, batch, timezone.now()):
            return taken  # somebody changed the stream meanwhile
        taken += len(batch.events)
    STREAMS.release(stream.pk, stream.generation)
    return taken


def _note_success(stream: TrailStream, batch: Batch, now: dt.datetime) -> bool:
    stream.segment, stream.position = batch.next
    stream.sent_count += len(batch.events)
    same = TrailStream.objects.filter(pk=stream.pk, generation=stream.generation)
    return bool(
        same.update(
            segment=stream.segment,
            position=stream.position,
            sent_count=stream.sent_count,
            last_sent_at=now,
            last_error="",
            failures=0,
            failing_since=None,
        )
    )


def _note_failure(stream: TrailStream, error: StreamError, now: dt.datetime) -> None:
    since = stream.failing_since or now
    is_over = now - since >= GIVE_UP
    wait = min(FIRST_WAIT * 2 ** min(stream.failures, 20), LONGEST_WAIT)
    with transaction.atomic():
        kept = STREAMS.release(
            stream.pk,
            stream.generation,
            failures=stream.failures + 1,
            failing_since=since,
            last_error=str(error)[:300],
            next_attempt_at=now + max(wait, error.wait or wait),
            is_enabled=not is_over,
        )
        if kept and is_over:
            note = f"It has failed for {GIVE_UP.days} days. {error}"
            record_event(SCHEDULER, "trail_stream.switched_off", stream, note=note)


def _call(stream: TrailStream, batch: Batch, now: dt.datetime, allowed: Allowed) -> None:
    data = {"stream": stream.name, "segment": batch.segment, "position": batch.position}
    body = json.dumps(
        {
            "type": "trail.events",
            "timestamp": now.isoformat(),
            "data": {**data, "events": batch.events, "checkpoint": batch.checkpoint},
        },
        ensure_ascii=False,
    ).encode()
    # The same events have the same id when they are sent again, so that the receiver can tell.
    message_id = f"trail-{stream.pk}-{batch.segment}-{batch.position}"
    keys = [stream.secret.reveal()]
    webhooks.send(stream.url.reveal(), body, keys=keys, message_id=message_id, now=now, allowed=allowed)


def _messages(stream: TrailStream, batch: Batch, now: dt.datetime) -> list[bytes]:
    host = (urlsplit(settings.PORTAL_URL).hostname if settings.PORTAL_URL else None) or socket.gethostname()
    found = [_message(host, event, is_udp=stream.protocol == "udp") for event in batch.events]
    if batch.checkpoint is not None:
        found.append(syslog.message(host, "trail.checkpoint", now, batch.checkpoint))
    return found


def _message(host: str, event: dict[str, Any], *, is_udp: bool) -> bytes:
    at = dt.datetime.fromisoformat(event["at"])
    whole = syslog.message(host, event["verb"], at, event)
    if not is_udp or len(whole) <= syslog.MOST_UDP:
        return whole
    return syslog.message(host, event["verb"], at, syslog.without_details(event))

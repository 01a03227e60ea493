"""Seal: bind the events that were committed into the chain of segments, a thousand at most in each.

Events are written without any lock in common, so on PostgreSQL one with a lower id may be committed after one with a
higher: it is sealed by a later segment. One whose digest does not fit is sealed never.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import QuerySet

from connectors.core.trail.segment import BEGINNING, SegmentFacts, holes_in, leaf, ranges_of
from connectors.models import Event, TrailSegment
from connectors.models.trail_keys import trail_keys

log = logging.getLogger(__name__)

MOST = 1_000
"""Events of one segment."""
LATE = dt.timedelta(hours=2)
"""For how long an id that was passed over may still turn up: far longer than any transaction lasts."""
MOST_HOLES = 20_000
"""Ids that are looked for again at most: those passed over last. What appears among the others a check finds."""
AT_ONCE = 500
SEGMENTS_AT_ONCE = 200
"""Segments of one round: a worker that finds a million unsealed events comes back for the rest."""

_LOCK = 0x7472_6169_6C
"""The number of the advisory lock: only one process seals, and its lock dies with its connection."""


@dataclass(frozen=True, slots=True)
class _End:
    """Where the chain ends: the next segment's number, the digest before it, the highest id that was sealed."""

    number: int = 1
    previous: str = BEGINNING
    last_id: int = 0


def seal(now: dt.datetime, *, late: Sequence[int] = (), most: int = MOST) -> int:
    """Seals every event that is there, and returns how many segments were made.

    `late` are ids that a check found unsealed long after their neighbours.
    """
    made = 0
    while made < SEGMENTS_AT_ONCE:
        segment = seal_one(now, late=late, most=most)
        if segment is None:
            break
        made += 1
    return made


@transaction.atomic
def seal_one(now: dt.datetime, *, late: Sequence[int] = (), most: int = MOST) -> TrailSegment | None:
    """The next segment; None when there is nothing to seal, or somebody else is doing it."""
    if not _alone():
        return None
    end = _end()
    rows = _late(end, now, late, most)
    rows += _genuine(Event.objects.filter(pk__gt=end.last_id), most - len(rows))
    if not rows:
        return None
    key = trail_keys().first
    rows.sort(key=lambda row: row.pk)
    ids = ranges_of(row.pk for row in rows)
    leaves = b"".join(leaf(row.digest) for row in rows)
    newest = max(row.at for row in rows)
    facts = SegmentFacts(end.number, ids, len(rows), leaves, end.previous, key.key_id, now, newest)
    return TrailSegment.objects.create(
        number=end.number,
        first_id=rows[0].pk,
        last_id=rows[-1].pk,
        ids=ids,
        event_count=len(rows),
        leaves=leaves,
        previous=end.previous,
        digest=facts.digest(key),
        key_id=key.key_id,
        sealed_at=now,
        newest_at=newest,
    )


def _alone() -> bool:
    """Whether this transaction is the only one that seals. On SQLite the one writer is alone anyhow."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        return bool(cursor.fetchone()[0])


def wait_for_seal() -> None:
    """Until nobody seals, for a moment at least. On SQLite whoever seals keeps everybody else from writing anyhow."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _end() -> _End:
    row = TrailSegment.objects.order_by("-number").values_list("number", "digest").first()
    if row is None:
        return _End()
    last_id = TrailSegment.objects.order_by("-last_id").values_list("last_id", flat=True).first()
    return _End(row[0] + 1, row[1], last_id or 0)


def _late(end: _End, now: dt.datetime, named: Sequence[int], most: int) -> list[Event]:
    """Events with ids that the chain has passed over, of those that were named or passed over lately."""
    wanted = [*_holes(now), *(pk for pk in named if pk <= end.last_id)]
    found: dict[int, Event] = {}
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        found |= {row.pk: row for row in Event.objects.filter(pk__in=some) if row.is_genuine()}
    sealed = set(_sealed_among(found))
    return [row for pk, row in sorted(found.items()) if pk not in sealed][:most]


def _holes(now: dt.datetime) -> list[int]:
    """Ids that the segments of the last hours passed over, the newest of them when there are many."""
    lately = TrailSegment.objects.filter(sealed_at__gte=now - LATE).order_by("number")
    rows = list(lately.values_list("number", "ids"))
    if not rows:
        return []
    before = TrailSegment.objects.filter(number__lt=rows[0][0]).order_by("-last_id")
    after = before.values_list("last_id", flat=True).first() or 0
    ranges = sorted((pair for _, ids in rows for pair in ids if pair[1] > after), key=lambda pair: pair[0])
    return list(holes_in(ranges, after))[-MOST_HOLES:]


def _sealed_among(ids: Iterable[int]) -> list[int]:
    """Those of the ids that some segment has already."""
    found = []
    for pk in ids:
        around = TrailSegment.objects.around(pk).values_list("ids", flat=True)
        if any(first <= pk <= last for ranges in around for first, last in ranges):
            found.append(pk)
    return found


def _genuine(rows: QuerySet[Event], most: int) -> list[Event]:
    """The first rows whose digests fit; what nobody with the key has written stays outside and is told of."""
    found: list[Event] = []
    after = 0
    while len(found) < most and (batch := list(rows.filter(pk__gt=after).order_by("pk")[: most - len(found)])):
        for row in batch:
            if row.is_genuine():
                found.append(row)
            else:
                log.critical("Event %s is on record with a digest that does not fit; it is not sealed", row.pk)
        after = batch[-1].pk
    return found

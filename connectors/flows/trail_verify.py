"""Verify: whether the trail is as it was written, and where it is not.

Segments and events are read along, never all at once. What the database alone cannot tell, such as that its newest
segments were cut off together with their events, checkpoints tell that were kept elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

from django.db import connection
from django.db.models import Max, Sum

from connectors.core.trail import checkpoint as checkpoints_
from connectors.core.trail.checkpoint import Checkpoint
from connectors.core.trail.faults import Kind
from connectors.core.trail.keys import TrailKeys, UnknownKeyError
from connectors.core.trail.segment import BEGINNING, SegmentFacts
from connectors.flows.trail_archived import Archives
from connectors.flows.trail_findings import Findings
from connectors.flows.trail_rows import Rows
from connectors.flows.trail_seal import wait_for_seal
from connectors.models import Event, TrailSegment, trail_guard
from connectors.models.trail_keys import trail_keys

SEGMENTS = 50
"""Segments that are read at once."""
MOST_NUMBERS = 20_000
"""Numbers that are tried for a segment that may have been put into another one's place."""
INTERRUPTED_WITHIN = dt.timedelta(minutes=5)
"""For how long what an interrupted seal left behind may wait: the next one comes within seconds."""
UNSEALED_FOR = dt.timedelta(hours=1)
"""After this time an event that no segment has is worth a word."""


def verify(
    now: dt.datetime,
    *,
    from_segment: int = 1,
    checkpoints: Sequence[Checkpoint] = (),
    public_key: str = "",
    advance: Callable[[int], None] = lambda segments: None,
) -> Findings:
    """Checks everything from a segment on. With `public_key` checkpoints have to be signed by its private half."""
    keys = trail_keys()
    chain = _Chain(keys, from_segment, advance)
    chain.run()
    findings = chain.findings
    _check_checkpoints(keys, checkpoints, public_key, findings)
    _check_sequences(now, findings)
    if gone := trail_guard.missing(connection):
        text = f"The database no longer refuses changes: {len(gone)} of its guards are gone or switched off."
        findings.add(Kind.GUARDS, text, name=", ".join(gone))
    waiting = Event.objects.filter(pk__gt=chain.rows.reached, at__lt=now - UNSEALED_FOR).count()
    if waiting:
        findings.notes.append(
            f"{waiting} events are older than an hour and not sealed: does the worker run? If it does, "
            "newer segments may have been cut off; a checkpoint tells."
        )
    return findings


def checkpoint_now(now: dt.datetime) -> Checkpoint | None:
    """A signed word about the newest segment; None while there is no segment."""
    last = TrailSegment.objects.light().order_by("-number").first()
    return None if last is None else checkpoint_of(last, now)


def checkpoint_of(segment: TrailSegment, now: dt.datetime) -> Checkpoint:
    """A signed word about a segment and everything before it."""
    return checkpoints_.sign(trail_keys().first, segment.number, segment.digest, sealed_up_to(segment.number), now)


def sealed_up_to(number: int) -> int:
    """How many events the segments up to this one sealed."""
    total = TrailSegment.objects.filter(number__lte=number).aggregate(total=Sum("event_count"))["total"]
    return int(total or 0)


class _Chain:
    """Goes along the segments: each has to follow the one before, and to be what was signed."""

    def __init__(self, keys: TrailKeys, start: int, advance: Callable[[int], None]) -> None:
        self.findings = Findings(from_segment=start, to_segment=start - 1)
        before = TrailSegment.objects.filter(number__lt=start).order_by("-number").values_list("digest", flat=True)
        reached = TrailSegment.objects.filter(number__lt=start).aggregate(last=Max("last_id"))["last"]
        self._keys, self._advance = keys, advance
        self._expected, self._previous = start, before.first() if start > 1 else BEGINNING
        self.rows = Rows(keys, self.findings, reached or 0)
        self._archives = Archives(keys, self.findings)
        self._newest = TrailSegment.objects.aggregate(last=Max("number"))["last"] or 0

    def run(self) -> None:
        """All segments, then what no segment has."""
        after = self._expected - 1
        while found := list(TrailSegment.objects.filter(number__gt=after).order_by("number")[:SEGMENTS]):
            for segment in found:
                self._check(segment)
            after = found[-1].number
            self._advance(len(found))
        self.rows.finish(whole=self.findings.from_segment == 1)
        self._archives.finish()

    def _check(self, segment: TrailSegment) -> None:
        number, after_gap = segment.number, segment.number > self._expected
        if after_gap:
            self._tell_removed(self._expected, number - 1)
        is_genuine = self._is_genuine(segment)
        if is_genuine and not after_gap and segment.previous != self._previous:
            text = f"Segment {number} was sealed after another segment {number - 1} than the one that is there."
            self.findings.add(Kind.SEGMENT_CHANGED, text, segment=number - 1)
        if is_genuine:
            self.rows.check(segment, after_gap=after_gap)
            self._archives.check(segment)
        else:
            self.rows.check_alone(segment)
        self._expected, self._previous = number + 1, segment.digest
        self.findings.segments += 1
        self.findings.to_segment = number

    def _tell_removed(self, first: int, last: int) -> None:
        what = f"Segment {first} is" if first == last else f"Segments {first} to {last} are"
        self.findings.add(Kind.SEGMENT_REMOVED, f"{what} gone.", segment=first)

    def _is_genuine(self, segment: TrailSegment) -> bool:
        facts, number = segment.facts(), segment.number
        try:
            if facts.is_genuine(self._keys, segment.digest) and _says_its_bounds(segment):
                return True
        except UnknownKeyError as error:
            self.findings.add(Kind.KEY, f"Segment {number}: {error}", segment=number)
            return False
        if (other := self._number_of(facts, segment.digest)) is not None:
            text = f"Segment {number} is the one that was sealed as segment {other}."
            self.findings.add(Kind.SEGMENT_MOVED, text, segment=number)
        else:
            text = f"Segment {number} does not say what it said when it was sealed."
            self.findings.add(Kind.SEGMENT_CHANGED, text, segment=number)
        return False

    def _number_of(self, facts: SegmentFacts, digest: str) -> int | None:
        """The number under which these facts were sealed; None when under none, for they were changed."""
        for number in range(1, min(self._newest + 1, MOST_NUMBERS) + 1):
            moved = SegmentFacts(
                number,
                facts.ids,
                facts.event_count,
                facts.leaves,
                facts.previous,
                facts.key_id,
                facts.sealed_at,
                facts.newest_at,
            )
            if number != facts.number and moved.is_genuine(self._keys, digest):
                return number
        return None


def _says_its_bounds(segment: TrailSegment) -> bool:
    """Whether the columns that only speed things up agree with what was signed."""
    return bool(segment.ids) and (segment.first_id, segment.last_id) == (segment.ids[0][0], segment.ids[-1][1])


def _check_checkpoints(keys: TrailKeys, found: Sequence[Checkpoint], public_key: str, findings: Findings) -> None:
    newest = TrailSegment.objects.aggregate(last=Max("number"))["last"] or 0
    for one in found:
        try:
            public = public_key or checkpoints_.public_key(keys.named(one.key_id))
        except UnknownKeyError as error:
            findings.add(Kind.CHECKPOINT, f"The checkpoint of {one.at}: {error}", segment=one.segment)
            continue
        if not one.is_signed_by(public):
            text = f"The checkpoint of {one.at} was not signed with the trail's key."
            findings.add(Kind.CHECKPOINT, text, segment=one.segment)
        elif one.segment > newest:
            text = f"On {one.at} there were segments up to {one.segment}; now the newest one is {newest}."
            findings.add(Kind.TRUNCATED, text, segment=newest + 1)
        elif not TrailSegment.objects.filter(number=one.segment, digest=one.digest).exists():
            text = f"Segment {one.segment} is another one than on {one.at}: the trail was written anew."
            findings.add(Kind.SEGMENT_CHANGED, text, segment=one.segment)
        elif sealed_up_to(one.segment) != one.events:
            text = f"Up to segment {one.segment} there were {one.events} events on {one.at}, and now another number."
            findings.add(Kind.SEGMENT_CHANGED, text, segment=one.segment)


def _check_sequences(now: dt.datetime, findings: Findings) -> None:
    """What was numbered last, by the database's own count, against what is there.

    The count is read first, and a seal under way is waited for: what it has numbered is there afterwards.
    """
    given_segments, given = _given(trail_guard.SEGMENTS), _given(trail_guard.EVENTS)
    wait_for_seal()
    newest_segment = TrailSegment.objects.aggregate(last=Max("pk"))["last"] or 0
    newest_event = Event.objects.aggregate(last=Max("pk"))["last"] or 0
    newest_sealed = TrailSegment.objects.aggregate(last=Max("last_id"))["last"] or 0
    newest_event = max(newest_event, newest_sealed)
    if given_segments > newest_segment and _was_interrupted(newest_sealed, now):
        findings.notes.append("A worker was stopped while it sealed; the next one seals what it left.")
    elif given_segments > newest_segment:
        text = "The database has counted more segments than there are: the newest were cut off."
        findings.add(Kind.TRUNCATED, text, segment=(findings.to_segment or 0) + 1)
    if given <= newest_event:
        return
    if connection.vendor == "sqlite":
        text = f"The database has counted events up to {given}, and the newest one is {newest_event}."
        findings.add(Kind.TRUNCATED, text, event=newest_event + 1)
    else:  # PostgreSQL gives numbers to transactions that are rolled back, too
        findings.notes.append(
            f"After event {newest_event} the database gave out numbers up to {given} that no event has: by "
            "transactions that are open or were rolled back, or for events that were removed before they were sealed."
        )


def _was_interrupted(newest_sealed: int, now: dt.datetime) -> bool:
    """Whether a seal that was rolled back explains a number without a segment: what it was to seal waits, and is new.

    PostgreSQL alone gives out numbers for good; SQLite takes them back with the transaction.
    """
    waiting = Event.objects.filter(pk__gt=newest_sealed)
    is_new = waiting.exists() and not waiting.filter(at__lt=now - INTERRUPTED_WITHIN).exists()
    return connection.vendor == "postgresql" and is_new


def _given(table: str) -> int:
    """The last id that the database gave out for a table."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        else:
            cursor.execute(
                "SELECT last_value FROM pg_sequences WHERE format('%%I.%%I', schemaname, sequencename)::regclass = "
                "pg_get_serial_sequence(%s, 'id')::regclass",
                [table],
            )
        row = cursor.fetchone()
    return int(row[0] or 0) if row else 0

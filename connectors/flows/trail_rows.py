"""Checking rows: whether the events of a segment are those that were sealed, and what else lies between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models import Count

from connectors.core.trail.faults import Kind
from connectors.core.trail.form import event_form
from connectors.core.trail.keys import TrailKeys, UnknownKeyError
from connectors.core.trail.segment import ids_of, leaf, leaves_of
from connectors.flows.trail_files import COLUMNS
from connectors.flows.trail_findings import Findings
from connectors.models import Event, TrailSegment

CHUNK = 2_000
Row = dict[str, Any]


class Rows:
    """Goes through the events along with the segments, each row read once; `reached` is how far it has come."""

    def __init__(self, keys: TrailKeys, findings: Findings, reached: int) -> None:
        self._keys, self._findings, self.reached = keys, findings, reached
        self._passed: set[int] = set()

    def check(self, segment: TrailSegment, *, after_gap: bool) -> None:
        """The rows of a segment whose own digest fits. `after_gap`: segments before it are missing, and told of."""
        wanted = dict(zip(ids_of(segment.ids), leaves_of(bytes(segment.leaves)), strict=False))
        held, known = set(wanted), set(wanted.values())
        early = [pk for pk in wanted if pk <= self.reached]
        for row in self._between(early, segment.last_id):
            expected = wanted.pop(row["id"], None)
            if expected is not None:
                self._judge(row, expected, known, segment)
            elif not after_gap:
                self._passed.add(row["id"])
        self._passed -= held
        self.reached = max(self.reached, segment.last_id)
        if wanted and segment.archived_at is None:
            self._miss(sorted(wanted), segment)

    def check_alone(self, segment: TrailSegment) -> None:
        """The rows up to the end of a segment that says nothing reliable: each by its own digest."""
        for row in self._between([], segment.last_id):
            if self._is_genuine(row, segment.number):
                self._findings.events += 1
        self.reached = max(self.reached, segment.last_id)

    def finish(self, *, whole: bool) -> None:
        """What no segment has: events that still wait, events that came late, and what nobody with the key wrote."""
        for row in _read(Event.objects.filter(pk__gt=self.reached)):
            self._findings.unsealed += self._is_written_by_us(row)
        late = []
        passed = sorted(self._passed)
        for start in range(0, len(passed), CHUNK):
            rows = _read(Event.objects.filter(pk__in=passed[start : start + CHUNK]))
            late += [row["id"] for row in rows if self._is_written_by_us(row)]
        self._findings.unsealed += len(late)
        self._findings.late = late
        if whole:
            self._find_copies()

    def _find_copies(self) -> None:
        """The same event twice, under two ids: the table's own constraint must have been taken away for it."""
        twice = Event.objects.order_by("uid").values("uid").annotate(times=Count("pk")).filter(times__gt=1)
        for uid in twice.values_list("uid", flat=True)[:100]:
            ids = list(Event.objects.filter(uid=uid).order_by("pk").values_list("pk", flat=True))
            text = f"Event {ids[-1]} is a copy of event {ids[0]}."
            self._findings.add(Kind.INSERTED, text, event=ids[-1])

    def _between(self, early: Sequence[int], last: int) -> Iterator[Row]:
        """The rows after those that were read up to `last`, and those of earlier ids that belong to this segment."""
        if early:
            yield from _read(Event.objects.filter(pk__in=early))
        yield from _read(Event.objects.filter(pk__gt=self.reached, pk__lte=last))

    def _judge(self, row: Row, expected: bytes, known: set[bytes], segment: TrailSegment) -> None:
        number, pk, found = segment.number, row["id"], leaf(row["digest"])
        if segment.archived_at is not None:
            text = f"Event {pk} is here although segment {number} was archived."
            self._findings.add(Kind.INSERTED, text, segment=number, event=pk)
        elif not self._is_genuine(row, number):
            return
        elif found != expected:
            words = "has the place of another one" if found in known else "stands where another one was sealed"
            self._findings.add(Kind.MOVED, f"Event {pk} {words} in segment {number}.", segment=number, event=pk)
        else:
            self._findings.events += 1

    def _is_genuine(self, row: Row, number: int) -> bool:
        """Whether a sealed row says what it said; a fault is noted where it does not."""
        pk = row["id"]
        try:
            key = self._keys.named(row["key_id"])
        except UnknownKeyError as error:
            self._findings.add(Kind.KEY, f"Event {pk}: {error}", segment=number, event=pk)
            return False
        if key.of_event(event_form(row)) == row["digest"]:
            return True
        text = f"Event {pk} does not say what it said when it was written (segment {number})."
        self._findings.add(Kind.CHANGED, text, segment=number, event=pk)
        return False

    def _is_written_by_us(self, row: Row) -> bool:
        """The same of a row that no segment has: it may be an event that was changed, or never one of ours."""
        pk = row["id"]
        try:
            if row["digest"] and self._keys.named(row["key_id"]).of_event(event_form(row)) == row["digest"]:
                return True
        except UnknownKeyError as error:
            self._findings.add(Kind.KEY, f"Event {pk}: {error}", event=pk)
            return False
        text = f"Event {pk} was put in or changed by somebody without the trail's key; no segment has it."
        self._findings.add(Kind.INSERTED, text, event=pk)
        return False

    def _miss(self, ids: list[int], segment: TrailSegment) -> None:
        """Gone at the very end of all is cut off; anywhere else it was taken out."""
        end = ids[-1] == segment.last_id and not Event.objects.filter(pk__gte=ids[0]).exists()
        self._findings.add_missing(ids, segment.number, at_the_end=end)


def _read(rows: Any) -> Iterator[Row]:
    found: Iterator[Row] = rows.order_by("pk").values(*COLUMNS).iterator(CHUNK)
    return found

"""What a check of the trail has found so far: faults up to a number, notes, and what was counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.core.trail.faults import Fault, Kind
from connectors.core.trail.segment import ranges_of

MOST_FAULTS = 1_000
"""Faults that are told one by one; of a trail with more everybody knows enough."""


@dataclass(slots=True)
class Findings:
    """The result of a check.

    `late` are events with a fitting digest that no segment has though their neighbours are sealed: they were committed
    late, and the next sealing takes them.
    """

    from_segment: int = 1
    to_segment: int = 0
    segments: int = 0
    events: int = 0
    archived: int = 0
    unsealed: int = 0
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    late: list[int] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether everything is as it was written."""
        return not self.fault_count

    def add(
        self, kind: Kind, text: str, *, segment: int | None = None, event: int | None = None, name: str = ""
    ) -> None:
        """Notes a fault; from `MOST_FAULTS` on they are only counted."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(kind, text, segment, event, name))

    def add_missing(self, ids: Iterable[int], segment: int, *, at_the_end: bool) -> None:
        """Notes events that were sealed and are gone, neighbours together."""
        for first, last in ranges_of(ids):
            what = f"Event {first} is" if first == last else f"Events {first} to {last} are"
            kind = Kind.TRUNCATED if at_the_end else Kind.REMOVED
            self.add(kind, f"{what} gone: segment {segment} sealed them.", segment=segment, event=first)

"""What can be wrong with the trail, and where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What was done to the trail."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    MOVED = "moved"
    TRUNCATED = "truncated"
    SEGMENT_CHANGED = "segment_changed"
    SEGMENT_REMOVED = "segment_removed"
    SEGMENT_MOVED = "segment_moved"
    KEY = "unknown_key"
    CHECKPOINT = "checkpoint"
    ARCHIVE = "archive"
    GUARDS = "guards"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written, with where it is: the segment's number, the event's id, a file."""

    kind: Kind
    text: str
    segment: int | None = None
    event: int | None = None
    name: str = ""

    @property
    def document(self) -> dict[str, object]:
        """The fault as JSON has it."""
        where = {"segment": self.segment, "event": self.event, "name": self.name or None}
        return {"kind": str(self.kind), "text": self.text, **where}

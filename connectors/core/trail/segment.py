"""Segments: which events are sealed together, and the chain that binds each segment to the one before it."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from connectors.core.trail.form import canonical, moment
from connectors.core.trail.keys import TrailKey, TrailKeys

LEAF = 16
"""Bytes that a segment keeps of each event's digest: enough that no other event can be found with the same ones."""
BEGINNING = ""
"""What stands for the segment before the first one."""

Ranges = Sequence[Sequence[int]]


def ranges_of(ids: Iterable[int]) -> list[list[int]]:
    """Ascending ids as pairs of first and last: 1, 2, 3, 7 → [[1, 3], [7, 7]]."""
    found: list[list[int]] = []
    for id_ in ids:
        if found and id_ == found[-1][1] + 1:
            found[-1][1] = id_
        else:
            found.append([id_, id_])
    return found


def ids_of(ranges: Ranges) -> Iterator[int]:
    """The ids that the pairs stand for."""
    for first, last in ranges:
        yield from range(first, last + 1)


def holes_in(ranges: Ranges, after: int) -> Iterator[int]:
    """The ids between the pairs, from the one after `after` on."""
    expected = after + 1
    for first, last in ranges:
        yield from range(expected, first)
        expected = max(expected, last + 1)


def leaf(digest: str) -> bytes:
    """What a segment keeps of an event; of a digest that is none, what no event has."""
    try:
        return bytes.fromhex(digest)[:LEAF].ljust(LEAF, b"\0")
    except ValueError:
        return b"\0" * LEAF


def leaves_of(joined: bytes) -> list[bytes]:
    """The leaves one by one."""
    return [joined[at : at + LEAF] for at in range(0, len(joined), LEAF)]


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What a segment's digest covers."""

    number: int
    ids: Ranges
    event_count: int
    leaves: bytes
    previous: str
    key_id: str
    sealed_at: dt.datetime
    newest_at: dt.datetime

    def digest(self, key: TrailKey) -> str:
        """The segment's link in the chain."""
        return key.of_segment(
            canonical(
                {
                    "number": self.number,
                    "ids": [list(pair) for pair in self.ids],
                    "count": self.event_count,
                    "leaves": hashlib.sha256(self.leaves).hexdigest(),
                    "previous": self.previous,
                    "key": self.key_id,
                    "at": moment(self.sealed_at),
                    "newest": moment(self.newest_at),
                }
            )
        )

    def is_genuine(self, keys: TrailKeys, digest: str) -> bool:
        """Whether the digest is that of these facts. Raises UnknownKeyError."""
        return hmac.compare_digest(self.digest(keys.named(self.key_id)), digest)


@dataclass(frozen=True, slots=True)
class ArchiveFacts:
    """What is promised when a segment's events leave the database: where they went and what the file is."""

    number: int
    segment_digest: str
    name: str
    file_digest: str
    archived_at: dt.datetime

    def seal(self, key: TrailKey) -> str:
        """Only whoever has the trail's key can mark a segment as archived so that it verifies."""
        return key.of_segment(
            canonical(
                {
                    "archived": self.number,
                    "segment": self.segment_digest,
                    "name": self.name,
                    "file": self.file_digest,
                    "at": moment(self.archived_at),
                }
            )
        )

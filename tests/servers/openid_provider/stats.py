"""What the provider counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the token endpoint that was answered; `error` is OAuth's, empty for none."""

    grant_type: str
    status: int
    error: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened inside: `grant.revoked`, `refresh_token.consumed`, `grant.error`, ..."""

    name: str
    grant_type: str
    error: str


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything since the start or the last reset, oldest first."""

    calls: tuple[Call, ...]
    events: tuple[Event, ...]

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Stats:
        """From the answer of the control route."""
        return cls(
            tuple(Call(**call) for call in document["calls"]),
            tuple(Event(**event) for event in document["events"]),
        )

    def count(self, grant_type: str | None = None, *, status: int | None = None, error: str | None = None) -> int:
        """How many calls had all of these."""
        return sum(
            grant_type in (None, call.grant_type) and status in (None, call.status) and error in (None, call.error)
            for call in self.calls
        )

    def happened(self, name: str) -> int:
        """How often an event happened."""
        return sum(event.name == name for event in self.events)

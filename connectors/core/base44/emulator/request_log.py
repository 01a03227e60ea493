"""What the emulator was asked, for tests and the curious."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.core.base44.emulator.server import masked

KEPT = 100_000

_GENERAL = (
    (re.compile(r"^/api/apps/[^/]+"), "/api/apps/{app_id}"),
    (re.compile(r"/(integrations|tokens)/[^/]+"), r"/\1/{type}"),
)


@dataclass(slots=True)
class LoggedRequest:
    """One request; `status` is 0 while it is being answered, or when the connection just ended."""

    number: int
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    status: int = 0

    @property
    def endpoint(self) -> str:
        """The kind of call: `GET /api/apps/{app_id}/external-auth/list`."""
        path = self.path
        for pattern, general in _GENERAL:
            path = pattern.sub(general, path)
        return f"{self.method} {path}"


class RequestLog:
    """The latest requests in order of arrival, and how many there were of each kind."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._entries: deque[LoggedRequest] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, method: str, path: str, query: Mapping[str, str]) -> LoggedRequest:
        """Note a request on its arrival; the caller fills in `status` later."""
        with self._lock:
            self._count += 1
            entry = LoggedRequest(self._count, method, masked(path), dict(query))
            self._entries.append(entry)
            self._lock.notify_all()
            return entry

    def wait_for(self, number: int, seconds: float) -> bool:
        """Wait until that many requests have arrived since the start; False when they did not within `seconds`."""
        with self._lock:
            return self._lock.wait_for(lambda: self._count >= number, seconds)

    def entries(self, since: int = 0) -> list[LoggedRequest]:
        """The requests with a number above `since`."""
        with self._lock:
            return [entry for entry in self._entries if entry.number > since]

    def counters(self) -> dict[str, int]:
        """How many requests of each kind are in the log."""
        return dict(Counter(entry.endpoint for entry in self.entries()))

    def clear(self) -> None:
        """Forget them all; numbers go on."""
        with self._lock:
            self._entries.clear()

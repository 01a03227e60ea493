"""How often Base44 lets one workspace call, and how many seconds a call has to wait for its turn.

All tokens of a workspace share one limit per kind of call, so every worker must draw from one budget.
The arithmetic is the generic cell rate algorithm (GCRA): one number per workspace and kind, the
*theoretical arrival time* (TAT), says everything. It is pure, so that any store can hold that number:

    tat, wait = reserve(stored_tat, now, 1, limit.per_minute, limit.burst)

`LocalBudget` keeps it in this process. A shared one does the same within one row lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

LIST, STATUS, DELETE, AVAILABLE, OTHER = "list", "status", "delete", "available", "other"

BASE_PER_MINUTE = {LIST: 60, STATUS: 70, DELETE: 10, AVAILABLE: 60, OTHER: 60}
"""Calls a minute on the base plan (Base44's API reference). `other` is an assumption: nothing is published."""

PLAN_MULTIPLIERS = {
    "free": 1,
    "starter": 1,
    "builder": 2,
    "pro": 3,
    "business": 5,
    "elite": 5,
    "education": 5,
    "enterprise": 10,
}
"""By subscription tier in lower case (Base44's page on rate limits)."""


def plan_multiplier(tier: str | None) -> int:
    """What the base limits are multiplied by; an unknown or missing tier counts as the smallest, 1."""
    return PLAN_MULTIPLIERS.get((tier or "").strip().lower(), 1)


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` calls may go at once, after that `per_minute`. Both count calls; `burst` is at least 1."""

    per_minute: float
    burst: float


def limit_of(kind: str, multiplier: float = 1, *, burst_share: float = 0.5) -> Limit:
    """The limit to keep for one kind of call; an unknown kind counts as `other`.

    Base44 counts by the minute, and does not say whether by the clock's minutes or by any sixty seconds.
    Burst and rate therefore share its number: together they never pass it within any sixty seconds.
    A larger `burst_share` lets more calls go at once and slows down what follows.
    """
    published = BASE_PER_MINUTE.get(kind, BASE_PER_MINUTE[OTHER]) * multiplier
    burst = max(1.0, math.floor(published * burst_share))
    return Limit(per_minute=max(1.0, published - burst), burst=burst)


def reserve(tat: float, now: float, n: int, limit_per_minute: float, burst: float) -> tuple[float, float]:
    """Reserve `n` calls. Gives the new TAT to store, and the seconds to wait before making them.

    `tat` and `now` are seconds on one clock; a fresh budget has `tat` 0. A reservation stands once its
    TAT is stored: who does not want to wait that long must not store it, and must not call either.
    Example: 60 a minute, burst 1, two calls at second 100 -> (101, 0), then (102, 1).
    """
    interval = 60.0 / limit_per_minute
    new_tat = max(tat, now) + n * interval
    return new_tat, max(0.0, new_tat - burst * interval - now)


def hold(tat: float, now: float, seconds: float, limit_per_minute: float, burst: float) -> float:
    """The TAT after Base44 said "not before `seconds` have passed" (429): the next call waits at least that long.

    The burst counts as used up, for the server's count was fuller than ours. Never shortens a wait.
    """
    interval = 60.0 / limit_per_minute
    return max(tat, now + seconds + (burst - 1) * interval)


class Budget(Protocol):
    """One workspace's budget, shared by everybody who calls in its name."""

    def acquire(self, kind: str, n: int = 1, *, max_wait: float = math.inf) -> float:
        """Seconds to wait before making `n` calls. When that is more than `max_wait`, nothing was reserved."""

    def hold(self, kind: str, seconds: float) -> None:
        """Base44 answered 429: nobody calls this kind within the next `seconds`."""


class Unlimited:
    """No budget: every call may go at once. For the emulator without limits, and for sign-in."""

    def acquire(self, kind: str, n: int = 1, *, max_wait: float = math.inf) -> float:
        """Always 0."""
        return 0.0

    def hold(self, kind: str, seconds: float) -> None:
        """Nothing to remember: the client itself waits before its next attempt."""


class LocalBudget:
    """A budget for the threads of one process. Thread-safe; does not sleep itself."""

    def __init__(
        self, multiplier: float = 1, *, burst_share: float = 0.5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._multiplier, self._burst_share, self._clock = multiplier, burst_share, clock
        self._tats: dict[str, float] = {}
        self._lock = threading.Lock()

    def acquire(self, kind: str, n: int = 1, *, max_wait: float = math.inf) -> float:
        """Seconds to wait before making `n` calls; reserved unless that exceeds `max_wait`."""
        limit = limit_of(kind, self._multiplier, burst_share=self._burst_share)
        with self._lock:
            new_tat, wait = reserve(self._tats.get(kind, 0.0), self._clock(), n, limit.per_minute, limit.burst)
            if wait <= max_wait:
                self._tats[kind] = new_tat
        return wait

    def hold(self, kind: str, seconds: float) -> None:
        """Make everybody's next call of this kind wait at least `seconds`."""
        limit = limit_of(kind, self._multiplier, burst_share=self._burst_share)
        with self._lock:
            tat = self._tats.get(kind, 0.0)
            self._tats[kind] = hold(tat, self._clock(), seconds, limit.per_minute, limit.burst)

"""Base44's rate limits: per workspace and per kind of call, shared by every token of the workspace."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable

from connectors.core.base44.emulator.wire import refusal

BASE_LIMITS = {"list": 60, "status": 70, "delete": 10}
"""Calls a minute on the base plan; `delete` covers disconnecting and removing."""


class RateLimits:
    """A sliding window per (workspace, kind). Off until `enabled`; `window` is in seconds."""

    def __init__(self, clock: Callable[[], float], *, enabled: bool = False) -> None:
        self.clock = clock
        self.enabled = enabled
        self.multiplier: float | None = None
        """Overrules the workspace's plan when set."""
        self.window = 60.0
        self._lock = threading.Lock()
        self._calls: dict[tuple[str, str], deque[float]] = {}

    def check(self, workspace: str, kind: str, plan_multiplier: float) -> None:
        """Count one call; raises 429 with Retry-After (whole seconds, at least 1) when the budget is used up."""
        if not self.enabled or kind not in BASE_LIMITS:
            return
        allowed = int(BASE_LIMITS[kind] * (plan_multiplier if self.multiplier is None else self.multiplier))
        now = self.clock()
        with self._lock:
            calls = self._calls.setdefault((workspace, kind), deque())
            while calls and calls[0] <= now - self.window:
                calls.popleft()
            if len(calls) < allowed:
                calls.append(now)
                return
            wait = calls[0] + self.window - now if calls else self.window
        problem = refusal(429, "Rate limit exceeded. Please try again later.")
        problem.headers = {"Retry-After": str(max(1, math.ceil(wait)))}
        raise problem

    def reset(self) -> None:
        """Give every workspace its whole budget back."""
        with self._lock:
            self._calls.clear()

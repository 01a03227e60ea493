"""A provider that rotates refresh tokens and writes down who used which of them when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.servers.token_endpoint import Answer, Form, TokenServer

UNDER_WAY = 20.0
"""Seconds for which an answer may be under way: as long as a worker waits for one (LAST_CALL)."""


@dataclass
class Provider:
    """Watches a token endpoint. `fails` is how many calls will be refused with 503 before they do anything."""

    server: TokenServer
    fails: int = 0
    uses: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.override = self._look

    def _look(self, form: Form) -> Answer | None:
        """Runs under the server's lock."""
        if self.fails > 0:
            self.fails -= 1
            return 503, {"error": "temporarily_unavailable"}
        self.uses.setdefault(form.get("refresh_token", ""), []).append(time.monotonic())
        return None

    @property
    def reused(self) -> list[tuple[float, float]]:
        """When a refresh token was used the first and the second time, for each that was."""
        return [(times[0], times[1]) for times in self.uses.values() if len(times) > 1]

    def unexplained(self, troubles: Sequence[float]) -> int:
        """Second uses that nothing excuses: no process or database died while the first answer was under way.

        Who dies with the answer under way has lost it, and nobody can know it: the next attempt finds out.
        """
        excused = [
            any(first <= at <= min(second, first + UNDER_WAY) for at in troubles) for first, second in self.reused
        ]
        return excused.count(False)

"""A provider that rotates refresh tokens and writes down who used which of them when."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.token_endpoint import Answer, Form, TokenServer

UNDER_WAY = 3.0
"""Seconds within which an answer that has been given is stored, on a machine that has much to do."""

GONE = 5.0
"""Seconds that the call of somebody who is dead may wait here before it is looked at."""


@dataclass(frozen=True, slots=True)
class Use:
    """Who used a refresh token when: the process group of one of the portal's processes; 0: it is gone."""

    at: float
    group: int


@dataclass(frozen=True, slots=True)
class Death:
    """A process group that was killed between two moments; with 0 it is the database that everybody stores in."""

    begun: float
    over: float
    group: int


@dataclass
class Provider:
    """Watches a token endpoint. `fails` is how many calls will be refused with 503 before they do anything."""

    server: TokenServer
    fails: int = 0
    uses: dict[str, list[Use]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server.override = self._look

    def _look(self, form: Form) -> Answer | None:
        """Runs under the server's lock."""
        if self.fails > 0:
            self.fails -= 1
            return 503, {"error": "temporarily_unavailable"}
        asked = time.monotonic()
        group = group_behind(getattr(self.server.caller, "port", 0))
        # Whoever is gone by now may have died while we looked.
        use = Use(asked if group else time.monotonic(), group)
        self.uses.setdefault(form.get("refresh_token", ""), []).append(use)
        return None

    @property
    def reused(self) -> list[tuple[Use, Use]]:
        """The first and the second use of each refresh token that was used twice."""
        return [(uses[0], uses[1]) for uses in self.uses.values() if len(uses) > 1]

    def unexplained(self, deaths: Sequence[Death]) -> list[str]:
        """Second uses that nothing excuses: whoever had asked first lived on, and the database too.

        Who dies with the answer under way has lost it, and nobody can know it: the next attempt finds out.
        """
        return [
            f"a refresh token was used by {first.group}, and {second.at - first.at:.2f} s later by {second.group}"
            for first, second in self.reused
            if not any(_excuses(death, first, second) for death in deaths)
        ]


def _excuses(death: Death, first: Use, second: Use) -> bool:
    if not first.group and first.at - GONE <= death.over and death.begun <= first.at:
        return True  # it had died before the call that it made was looked at
    last = min(second.at, first.at + UNDER_WAY)
    return death.group in (0, first.group) and first.at <= death.over and death.begun <= last


def group_behind(port: int) -> int:
    """The process group that holds this port of the loopback interface; 0 when none does any more."""
    socket_of = _sockets().get(port)
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if socket_of and path.readlink() == Path(f"socket:[{socket_of}]"):
                return os.getpgid(int(path.parts[2]))
    return 0


def _sockets() -> dict[int, str]:
    """The inode of each TCP socket by its port, but for those that only listen."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return {int(words[1].rpartition(":")[2], 16): words[9] for words in lines if words[3] != "0A"}

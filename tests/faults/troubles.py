"""What goes wrong, in an order that a seed decides: kill -9, servers that go and come, answers that are none."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.provider import Death
from tests.faults.world import World
from tests.servers.http import ask

TARGETS = ("worker-1", "worker-1", "worker-2", "worker-2", "web", "web", "beat")
OUTAGES = ("postgres", "redis", "flush", "base44", "provider", "git", "disk")
BASE44 = (
    {"kind": "status", "status": 429, "retry_after": 1},
    {"kind": "status", "status": 500},
    {"kind": "html", "status": 502},
    {"kind": "empty"},
    {"kind": "close"},
    {"kind": "lost"},
    {"kind": "truncated"},
    {"kind": "hang", "seconds": 2},
)


@dataclass
class Troubles:
    """Kills `kills` times, with an outage of each kind among them. `counts` says what went wrong how often."""

    world: World
    kills: int
    seed: int
    pause: tuple[float, float]
    deaths: list[Death] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _thread: threading.Thread | None = None
    _failed: BaseException | None = None

    def start(self) -> None:
        """Begins, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="troubles")
        self._thread.start()

    def finish(self) -> None:
        """Returns when all of it has happened. Raises what stopped it."""
        assert self._thread is not None
        self._thread.join()
        if self._failed is not None:
            raise self._failed

    @property
    def is_over(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self._thread is not None and not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._carry_out()
        except BaseException as error:  # noqa: BLE001 - told by `finish`
            self._failed = error
        finally:
            self._calm()

    def _carry_out(self) -> None:
        chance = random.Random(self.seed)  # noqa: S311 - a reproducible order, not a secret
        every = max(1, self.kills // (len(OUTAGES) + 1))
        outages = list(OUTAGES) * (max(1, self.kills // 50) if self.kills else 0)
        chance.shuffle(outages)
        for number in range(1, self.kills + 1):
            time.sleep(chance.uniform(*self.pause))
            if outages and number % every == 0:
                self._outage(outages.pop(), chance)
            self._kill(chance)
            self.world.keep_running()
        for left in outages:
            self._outage(left, chance)

    def _kill(self, chance: random.Random) -> None:
        name, whole = chance.choice(TARGETS), chance.random() < 0.7
        self.counts[name.split("-")[0]] += 1
        begun = time.monotonic()
        group = self.world.processes[name].kill(whole=whole or name == "web")
        self.deaths.append(Death(begun, time.monotonic(), group))

    def _outage(self, what: str, chance: random.Random) -> None:
        self.counts[what] += 1
        actions: dict[str, Callable[[], None]] = {
            "postgres": self._restart_postgres,
            "redis": self._restart_redis,
            "flush": self.world.redis.flush,
            "base44": lambda: self._spoil_base44(chance),
            "provider": self._refuse_refreshes,
            "git": self._refuse_git,
            "disk": self._fill_disk,
        }
        actions[what]()

    def _restart_postgres(self) -> None:
        begun = time.monotonic()
        self.world.postgres.crash()
        self.deaths.append(Death(begun, time.monotonic(), 0))
        time.sleep(0.5)
        self.world.postgres.start()

    def _restart_redis(self) -> None:
        self.world.redis.crash()
        time.sleep(0.5)
        self.world.redis.start()

    def _spoil_base44(self, chance: random.Random) -> None:
        for fault in BASE44:
            method = chance.choice(("GET", "PUT", "*"))
            ask(
                self.world.emulator.url,
                "POST",
                "/_emulator/faults",
                {"method": method, "path": "/external-auth", **fault},
            )

    def _refuse_refreshes(self) -> None:
        self.world.provider.fails = 3

    def _refuse_git(self) -> None:
        self.world.git.trouble(status=503, times=2)
        self.world.git.trouble("/git-receive-pack", cut_after=10, times=1)

    def _fill_disk(self) -> None:
        """No worker can make a file longer for a while; what a worker writes to disk is git's cache."""
        workers = [process for name, process in self.world.processes.items() if name.startswith("worker")]
        for process in workers:
            process.limit_files(512)
        time.sleep(1.5)
        for process in workers:
            process.limit_files(None)

    def _calm(self) -> None:
        ask(self.world.emulator.url, "DELETE", "/_emulator/faults")
        self.world.provider.fails = 0
        self.world.git.troubles.clear()
        self.world.keep_running()

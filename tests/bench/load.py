"""Many people at once in the admin of a real deployment: errors, the web's memory, and how long pages take.

Each person looks at a page, reads for a while, and looks at the next one.
"""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.bench.places import SERVERS, Place, new_place
from tests.bench.processes import Failed, portal, running
from tests.bench.results import Fact, Finding, Line, Options
from tests.faults.own_servers import free_port
from tests.servers.http import ask

PEOPLE = 200
PROJECTS = 1_000
CONNECTORS = 10
READS = (5.0, 15.0)
"""Seconds for which somebody reads a page."""
ALONE = 10
"""Looks at each page while nobody else is there."""
WAIT = 60.0
GROWTH_JUDGED_FROM = 5.0
"""Minutes: before that, memory is still being warmed up."""
MOST_GROWTH = 0.1
"""Of the web's memory from the first to the last quarter of the time."""

Pages = Mapping[str, str]


@dataclass
class Looks:
    """Seconds of each look by page, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, page: str, seconds: float, error: str) -> None:
        """One look."""
        with self._lock:
            self.seconds.setdefault(page, []).append(seconds)
            if error:
                self.errors.append(f"{page}: {error}")

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(map(len, self.seconds.values()))


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody's browser. `cookie` is the whole header."""

    url: str
    cookie: str

    def look(self, page: str, path: str, looks: Looks) -> None:
        """Loads a page once; anything but a page is an error."""
        started = time.perf_counter()
        try:
            answer = ask(self.url, "GET", path, headers={"Cookie": self.cookie}, timeout=WAIT)
            error = "" if answer.status == 200 else f"status {answer.status}"
        except (OSError, HTTPException) as problem:
            error = type(problem).__name__
        looks.note(page, time.perf_counter() - started, error)

    def stay(self, pages: Pages, looks: Looks, end: float, chance: random.Random) -> None:
        """Looks and reads until the time is over; begins some time within the first reading."""
        time.sleep(chance.uniform(0, READS[1]))
        while time.monotonic() < end:
            page = chance.choice(sorted(pages))
            self.look(page, pages[page], looks)
            time.sleep(chance.uniform(*READS))


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Everybody alone, then all together for `options.minutes`."""
    if kind != SERVERS:
        yield Fact("load is measured with PostgreSQL and Redis alone")
        return
    people = options.sized(PEOPLE)
    with new_place(kind) as place, portal(place) as ours:
        made = ours.call("load_side:prepare", projects=options.sized(PROJECTS), connectors=CONNECTORS, people=people)
        with _web(place) as (url, pid):
            visitors = [Visitor(url, f"{made['cookie']}={key}") for key in made["sessions"]]
            alone = _alone(visitors[0], made["pages"])
            looks, memory = _together(visitors, made["pages"], pid, options.minutes)
    yield from _lines(alone, looks, people)
    yield from _facts(looks, memory, options.minutes)


def _alone(visitor: Visitor, pages: Pages) -> Looks:
    warm_up, looks = Looks(), Looks()
    for name, path in list(pages.items()) * 4:  # each of the web's processes
        visitor.look(name, path, warm_up)
    for _ in range(ALONE):
        for name, path in pages.items():
            visitor.look(name, path, looks)
    if looks.errors:
        raise Failed(f"with nobody else there: {looks.errors[0]}")
    return looks


def _together(visitors: Sequence[Visitor], pages: Pages, pid: int, minutes: float) -> tuple[Looks, list[int]]:
    looks, memory = Looks(), list[int]()
    end = time.monotonic() + minutes * 60
    threads = [
        threading.Thread(target=visitor.stay, args=(pages, looks, end, random.Random(seed)))  # noqa: S311
        for seed, visitor in enumerate(visitors)
    ]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        memory.append(resident(pid))
        time.sleep(min(2.0, minutes * 6))
    for thread in threads:
        thread.join()
    return looks, memory


def _lines(alone: Looks, looks: Looks, people: int) -> Iterator[Finding]:
    for page, seconds in sorted(looks.seconds.items()):
        if len(seconds) > 1:
            yield Line(f"{page}, p95", [p95(seconds)], f"{people} people, not 1", [p95(alone.seconds[page])])
            yield Fact(f"{page}: p50 {statistics.median(seconds) * 1000:.0f} ms, p95 {p95(seconds) * 1000:.0f} ms")


def _facts(looks: Looks, memory: Sequence[int], minutes: float) -> Iterator[Finding]:
    quarter = max(1, len(memory) // 4)
    first, last = statistics.mean(memory[:quarter]), statistics.mean(memory[-quarter:])
    yield Fact(
        f"{looks.count} pages in {minutes:g} minutes ({looks.count / minutes / 60:.1f} a second), "
        f"{len(looks.errors)} errors; the web's memory: {first / 2**20:.0f} MB at first, {last / 2**20:.0f} MB at last"
    )
    if looks.errors:
        raise Failed(f"{len(looks.errors)} of {looks.count} pages did not come: {looks.errors[0]}")
    if minutes >= GROWTH_JUDGED_FROM and last > first * (1 + MOST_GROWTH):
        raise Failed(f"the web's memory grew by {(last / first - 1) * 100:.0f} % in {minutes:g} minutes")


def p95(seconds: Sequence[float]) -> float:
    """What 95 of 100 stay below."""
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]


def resident(pid: int) -> int:
    """Bytes that a process and its children hold in memory; shared ones count once for each."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        except OSError:
            continue
        if pid in (int(status.parts[2]), int(lines.get("PPid", "0"))):
            found += int(lines.get("VmRSS", "0 kB").split()[0]) * 1024
    return found


@contextmanager
def _web(place: Place) -> Iterator[tuple[str, int]]:
    """The web as the image starts it; its address and process id."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "portal.wsgi", f"--bind=127.0.0.1:{port}"]
    command += ["--worker-class=gthread", "--workers=2", "--threads=4", "--log-level=error"]
    env = {**place.env, "RATE_LIMITS": "off", "MFA_REQUIRED": "off"}
    with running(command, env) as process:
        url = f"http://127.0.0.1:{port}"
        _await(url)
        yield url, process.pid


def _await(url: str) -> None:
    for _ in range(300):
        try:
            ask(url, "GET", "/accounts/login/", timeout=WAIT)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise Failed("the web did not start")

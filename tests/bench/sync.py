"""Reading the registered state of a fleet: through the worker, by a bare loop, and with the real CLI."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from tests import needs
from tests.bench.places import Place, new_place
from tests.bench.processes import Failed, Portal, RunningEmulator, emulator, peak_memory, portal, worker
from tests.bench.results import Fact, Finding, Line, Options, Target, interleaved
from tests.servers.base44_cli import Base44Cli, linked_project

PROJECTS = 200
THREADS = 32
CLI_RUNS_PER_ROUND = 2
AGAINST_CLI = Target(60, faster=True)
AGAINST_LOOP = Target(2)
GOOGLE = "https://www.googleapis.com/auth/"
CONNECTORS = {
    "gmail": [f"{GOOGLE}gmail.send", f"{GOOGLE}gmail.readonly"],
    "slackbot": ["chat:write", "channels:read"],
    "notion": [],
}
"""What each app has registered."""


@dataclass(slots=True)
class Cli:
    """The real CLI, pulling into an empty project folder each time."""

    cli: Base44Cli
    folder: Path
    apps: Sequence[str]
    peaks: list[int] = field(default_factory=list)
    runs: int = 0

    def pull(self) -> float:
        """Seconds for one project. Raises Failed when the CLI does."""
        app = self.apps[self.runs % len(self.apps)]
        self.runs += 1
        place = self.folder / "cli" / str(self.runs)
        linked_project(place, app)
        started = time.perf_counter()
        process = subprocess.Popen(
            self.cli.command("connectors", "pull"),
            cwd=place,
            env=self.cli.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or len(list((place / "base44" / "connectors").iterdir())) != len(CONNECTORS):
            raise Failed("the CLI's `connectors pull` did not bring the app's connectors")
        shutil.rmtree(place)
        self.peaks.append(usage.ru_maxrss * 1024)
        return seconds

    def pull_some(self) -> float:
        """Seconds for one project, as the mean of this round's runs."""
        return sum(self.pull() for _ in range(CLI_RUNS_PER_ROUND)) / CLI_RUNS_PER_ROUND


@dataclass(slots=True)
class BareLoop:
    """The same requests, from threads with keep-alive connections, the answers read and thrown away."""

    base44: RunningEmulator
    apps: Sequence[str]
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(maxsize=THREADS))

    def run(self) -> float:
        """Seconds for all apps."""
        started = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(self._ask, self.apps))
        return time.perf_counter() - started

    def _ask(self, app: str) -> None:
        for path in ("external-auth/list", "payments/stripe/status"):
            headers = {"Authorization": f"Bearer {self.base44.pat}"}
            reply = self.pool.request("GET", f"{self.base44.url}/api/apps/{app}/{path}", headers=headers)
            if reply.status != 200:
                raise Failed(f"the emulator answered {reply.status}")


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Sync of the whole fleet, its state being new and being known already."""
    apps = [f"bench-{number}" for number in range(options.sized(PROJECTS))]
    with new_place(kind) as place, emulator(place) as base44, portal(place) as ours, worker(place) as worker_pid:
        _fill(base44, apps)
        ours.call("sync_side:prepare", url=base44.url, token=base44.pat, apps=apps)
        ours.call("sync_side:sync", fresh=True, patience=60)  # until the worker is up
        loop = BareLoop(base44, apps)
        loop.run()
        yield from _compare(options, ours, loop, _cli(place, base44, apps), worker_pid)


def _fill(base44: RunningEmulator, apps: Sequence[str]) -> None:
    for app in apps:
        for type_, scopes in CONNECTORS.items():
            base44.control("connectors", {"app": app, "type": type_, "scopes": scopes})


def _cli(place: Place, base44: RunningEmulator, apps: Sequence[str]) -> Cli | None:
    if needs.missing("cli"):
        return None
    cli = Cli(Base44Cli(base44, place.folder / "home"), place.folder, apps)
    cli.pull()
    return cli


def _compare(options: Options, ours: Portal, loop: BareLoop, cli: Cli | None, worker_pid: int) -> Iterator[Finding]:
    count = len(loop.apps)

    def sync(*, fresh: bool) -> float:
        return float(ours.call("sync_side:sync", fresh=fresh))

    sides = [lambda: sync(fresh=True), lambda: sync(fresh=False), loop.run]
    times = interleaved(options.rounds, *sides, *([cli.pull_some] if cli else []))
    for title, seconds in ((f"sync {count} projects, all new", times[0]), (f"sync {count}, nothing new", times[1])):
        yield Line(title, seconds, f"{THREADS}-thread keep-alive loop", times[2], AGAINST_LOOP)
        if cli:
            yield Line(title, seconds, f"CLI pull x {count}", [one * count for one in times[3]], AGAINST_CLI)
    memory = f"worker's peak memory {peak_memory(worker_pid) / 2**20:.0f} MiB"
    if cli:
        yield Fact(
            f"the CLI's time is that of {cli.runs} runs, one after the other, times {count}; "
            f"{memory}, of one CLI run {max(cli.peaks) / 2**20:.0f} MiB"
        )
    else:
        yield Fact(memory)
        yield Fact(f"against the real CLI: {needs.missing('cli')}", unmeasured=True)

"""Export of one changed file to a company's repository, against cloning that repository."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.places import EMBEDDED, Place, new_place
from tests.bench.processes import Failed, Portal, portal
from tests.bench.results import Fact, Finding, Line, Options, Target, interleaved
from tests.servers.git_http import GitServer, git_http_server
from tests.servers.git_large import PROJECT, fill
from tests.servers.git_repos import RepoMaker, clean_environment

FILES = 100_000
HISTORY_MB = 1024
AGAINST_CLONE = Target(0.1)
MOST_BYTES = 2_000_000


@dataclass(slots=True)
class Clone:
    """A person's way to change one file: `git clone` with the credential, from the same server."""

    server: GitServer
    url: str
    folder: Path

    def run(self, *options: str) -> float:
        """Seconds for one clone with its checkout. Raises Failed when git fails."""
        pair = base64.b64encode(f"bench:{self.server.token.get_secret_value()}".encode()).decode()
        told = clean_environment() | {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {pair}",
        }
        started = time.perf_counter()
        done = subprocess.run(["git", "clone", "-q", *options, self.url, str(self.folder)], env=told, check=False)
        seconds = time.perf_counter() - started
        shutil.rmtree(self.folder)
        if done.returncode != 0:
            raise Failed(f"git clone ended with {done.returncode}")
        return seconds


@dataclass(slots=True)
class Export:
    """The portal's way: `flows.repository_export`, with what its last run moved over the wire."""

    server: GitServer
    ours: Portal
    most: int = 0

    def run(self, *, cold: bool) -> float:
        """Seconds for the export of one file that changed. Raises Failed when more went over the wire than may."""
        self.server.count_anew()
        seconds = float(self.ours.call("git_side:export", cold=cold))
        self.most = max(self.most, self.server.moved)
        if self.server.moved > MOST_BYTES:
            raise Failed(f"an export moved {self.server.moved:,} bytes; {MOST_BYTES:,} were promised")
        return seconds


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Cold and warm; the database makes no difference, so this is measured on one."""
    if kind != EMBEDDED:
        return
    files, megabytes = options.sized(FILES), options.sized(HISTORY_MB)
    with new_place(kind) as place, git_http_server(place.folder / "host") as server:
        repo = server.make("acme/everything")
        fill(repo, files=max(files, 1000), history_bytes=megabytes * 1024 * 1024)
        with portal(_reaching(place)) as ours:
            token = server.token.get_secret_value()
            ours.call("git_side:prepare", url=repo.url, token=token, path=PROJECT)
            yield from _compare(options, server, repo, ours, place.folder / "clone")


def _compare(options: Options, server: GitServer, repo: RepoMaker, ours: Portal, folder: Path) -> Iterator[Finding]:
    clone = Clone(server, repo.url, folder)
    cold, warm = Export(server, ours), Export(server, ours)
    times = interleaved(
        options.rounds,
        lambda: cold.run(cold=True),
        lambda: warm.run(cold=False),
        clone.run,
        lambda: clone.run("--bare"),
    )
    yield Line("export one file, cold cache", times[0], "git clone", times[2], AGAINST_CLONE)
    yield Line("export one file, warm cache", times[1], "git clone", times[2], AGAINST_CLONE)
    yield Line("export one file, cold cache", times[0], "git clone --bare", times[3])
    yield Fact(f"an export of one file moved {cold.most:,} bytes with a cold cache and {warm.most:,} with a warm one")


def _reaching(place: Place) -> Place:
    return replace(place, env={**place.env, "GIT_ALLOWED_PRIVATE_HOSTS": "127.0.0.1"})

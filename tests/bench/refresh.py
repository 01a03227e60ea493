"""Refreshing many due tokens, against a bare loop that sends the same requests."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import urllib3

from tests.bench.places import new_place
from tests.bench.processes import ROOT, STOP_SECONDS, Failed, portal
from tests.bench.results import Finding, Line, Options, Target, interleaved

TOKENS = 2_000
LATENCY_MS = 20
AGAINST_LOOP = Target(1.5)


@dataclass(slots=True)
class BareLoop:
    """The same requests from as many threads with keep-alive connections, the answers read and thrown away."""

    url: str
    count: int
    threads: int

    def run(self) -> float:
        """Seconds for all of them."""
        pool = urllib3.PoolManager(maxsize=self.threads)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": secrets.token_urlsafe(48),
            "client_id": "bench",
            "client_secret": secrets.token_urlsafe(24),
        }

        def ask(_: int) -> None:
            reply = pool.request("POST", f"{self.url}/token", fields=form, encode_multipart=False)
            if reply.status != 200:
                raise Failed(f"the token endpoint answered {reply.status}")

        started = time.perf_counter()
        with ThreadPoolExecutor(self.threads) as threads:
            list(threads.map(ask, range(self.count)))
        return time.perf_counter() - started


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """All tokens due at once."""
    count = options.sized(TOKENS)
    with new_place(kind) as place, _token_server() as url, portal(place) as ours:
        threads = int(ours.call("refresh_side:prepare", url=url, count=count))
        loop = BareLoop(url, count, threads)
        loop.run()
        ours.call("refresh_side:refresh")
        times = interleaved(options.rounds, lambda: float(ours.call("refresh_side:refresh")), loop.run)
        against = f"{threads}-thread keep-alive loop"
        yield Line(f"refresh {count} due tokens", times[0], against, times[1], AGAINST_LOOP)


@contextmanager
def _token_server() -> Iterator[str]:
    command = [sys.executable, "-m", "tests.bench.token_server", str(LATENCY_MS)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

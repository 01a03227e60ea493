"""Kills and outages while people work; see `tests.faults.run`. Nothing is timed: it fails when anything is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tests.bench.places import SERVERS
from tests.bench.processes import ROOT, Failed
from tests.bench.results import Fact, Finding, Options
from tests.faults import own_servers

KILLS = 100


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """One run, on servers of its own."""
    if kind != SERVERS:
        return
    if reason := own_servers.missing():
        yield Fact(f"faults: {reason}", unmeasured=True)
        return
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.run", "--kills", str(options.sized(KILLS))]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    lines = done.stdout.splitlines()
    for line in lines:
        yield Fact(line)
    if done.returncode:
        raise Failed(lines[-1] if lines else "the run did not begin")

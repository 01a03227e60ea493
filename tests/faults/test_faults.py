"""Processes are killed and servers go and come while people work: at the end all is as if nothing had happened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs
from tests.faults import own_servers
from tests.faults.provider import Provider
from tests.servers.token_endpoint import TokenServer

ROOT = Path(__file__).resolve().parents[2]
KILLS = os.environ.get("PORTAL_FAULTS", "12")
"""PORTAL_FAULTS=100 for the long run."""
SEED = os.environ.get("PORTAL_FAULTS_SEED", "1")


@pytest.mark.postgres
@pytest.mark.redis
def test_after_kills_and_outages_all_is_as_if_nothing_had_happened() -> None:
    if reason := own_servers.missing():
        needs.require("postgres", reason)
    command = [sys.executable, "-W", "ignore", "-m", "tests.faults.run", "--kills", KILLS, "--seed", SEED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]


def use(idp: TokenServer, refresh: str) -> None:
    idp.answer({"grant_type": "refresh_token", "refresh_token": refresh})


def test_a_refresh_token_that_is_used_twice_is_told(idp: TokenServer) -> None:
    provider = Provider(idp)
    _, refresh = idp.issue()
    use(idp, refresh)
    assert provider.unexplained([]) == 0
    use(idp, refresh)
    assert provider.unexplained([]) == 1


def test_a_death_before_the_first_use_excuses_no_second_one(idp: TokenServer) -> None:
    provider = Provider(idp)
    _, refresh = idp.issue()
    use(idp, refresh)
    use(idp, refresh)
    (first, second) = provider.reused[0]
    assert provider.unexplained([first - 1]) == 1
    assert provider.unexplained([(first + second) / 2]) == 0

"""Processes are killed and servers go and come while people work: at the end all is as if nothing had happened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs
from tests.faults import own_servers
from tests.faults.provider import Death, Provider, Use, group_behind
from tests.servers.token_endpoint import TokenServer

ROOT = Path(__file__).resolve().parents[2]
KILLS = os.environ.get("PORTAL_FAULTS", "4")
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


@pytest.fixture
def used_twice(idp: TokenServer) -> Provider:
    """Somebody used a refresh token, and then another one did."""
    provider = Provider(idp)
    _, refresh = idp.issue()
    use(idp, refresh)
    use(idp, refresh)
    ((first, second),) = provider.reused
    provider.uses[refresh] = [Use(first.at, 7), Use(first.at + 1, 8)]
    assert second.at >= first.at
    return provider


def first_use(provider: Provider) -> float:
    return provider.reused[0][0].at


def death(at: float, group: int) -> Death:
    return Death(at, at + 0.1, group)


def test_a_refresh_token_that_is_used_once_is_nothing_to_tell(idp: TokenServer) -> None:
    provider = Provider(idp)
    use(idp, idp.issue()[1])
    assert provider.unexplained([]) == []


def test_a_refresh_token_that_is_used_twice_is_told(used_twice: Provider) -> None:
    assert len(used_twice.unexplained([])) == 1


@pytest.mark.parametrize("group", [7, 0], ids=["whoever asked", "the database"])
def test_a_death_with_the_answer_under_way_excuses_the_second_use(used_twice: Provider, group: int) -> None:
    assert used_twice.unexplained([death(first_use(used_twice) + 0.5, group)]) == []


@pytest.mark.parametrize(("after", "group"), [(-0.5, 7), (0.5, 8), (1.5, 7)], ids=["before", "another", "too late"])
def test_no_other_death_excuses_it(used_twice: Provider, after: float, group: int) -> None:
    assert len(used_twice.unexplained([death(first_use(used_twice) + after, group)])) == 1


def test_whoever_had_died_before_the_call_was_looked_at_is_excused(used_twice: Provider) -> None:
    ((token, (first, second)),) = used_twice.uses.items()
    used_twice.uses[token] = [Use(first.at, 0), second]
    assert used_twice.unexplained([death(first.at - 0.5, 7)]) == []
    assert len(used_twice.unexplained([death(first.at - 60, 7)])) == 1


def test_the_process_behind_a_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as made:
        assert group_behind(made.getsockname()[1]) == os.getpgid(0)

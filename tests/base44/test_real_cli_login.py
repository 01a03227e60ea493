"""The real CLI signs in at the emulator with the device flow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.account_routes import decide_login
from tests.servers.base44_cli import TIMEOUT, Base44Cli

pytestmark = pytest.mark.cli


@pytest.fixture
def login(emulator: Emulator, cli: Base44Cli, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`base44 login`, waiting for a person to approve."""
    cli.login_file.unlink()
    command = cli.command("login")
    with subprocess.Popen(
        command, cwd=tmp_path, env=cli.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as running:  # fmt: skip
        yield running
        running.kill()


def shown_code(emulator: Emulator, login: subprocess.Popen[str]) -> str:
    """Read what the CLI prints until it shows the code of its sign-in."""
    assert login.stdout is not None
    for line in login.stdout:
        for pending in emulator.state.data.device_logins.values():
            if pending.user_code in line:
                return pending.user_code
    raise AssertionError("the CLI ended without showing a code")


def test_cli_signs_in_once_a_person_approves(emulator: Emulator, cli: Base44Cli, login: subprocess.Popen[str]) -> None:
    assert decide_login(emulator.state, shown_code(emulator, login), "colleague@acme.example")
    assert login.wait(TIMEOUT) == 0
    assert json.loads(cli.login_file.read_text())["email"] == "colleague@acme.example"


def test_cli_gives_up_once_a_person_refuses(emulator: Emulator, cli: Base44Cli, login: subprocess.Popen[str]) -> None:
    assert decide_login(emulator.state, shown_code(emulator, login), "")
    assert login.wait(TIMEOUT) == 1
    assert not cli.login_file.exists()

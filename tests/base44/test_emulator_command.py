"""Starting the emulator from a shell, and what it keeps between starts."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.cli import (
    TOKEN_FILE_VARIABLE,
    EmulatorFailure,
    Options,
    add_arguments,
    options_from,
    start,
    token_from,
)
from connectors.core.base44.emulator.persistence import StateFileError
from tests.servers.http import ask

ROOT = Path(__file__).resolve().parents[2]
MODULE = [sys.executable, "-m", "connectors.core.base44.emulator"]


def parsed(*arguments: str) -> Options:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_from(vars(parser.parse_args(arguments)))


def kept(path: Path) -> Emulator:
    return Emulator(state_file=path)


# what is kept


def test_the_world_is_kept_between_starts(tmp_path: Path) -> None:
    with kept(tmp_path / "state.json") as first:
        first.add_app("shop")
        path = "/api/apps/shop/external-auth/integrations/slackbot"
        ask(first.url, "PUT", path, {"scopes": ["chat:write"]}, token=first.pat)
    with kept(tmp_path / "state.json") as second:
        assert second.consent("shop", "slackbot").status == "ACTIVE"
        assert ask(second.url, "GET", "/oauth/userinfo", token=first.pat).status == 200
        assert second.pat == first.pat


def test_a_kept_world_wins_over_the_seed(tmp_path: Path) -> None:
    kept(tmp_path / "state.json")
    again = Emulator(state_file=tmp_path / "state.json", seed="demo")
    assert again.state.data.apps == {}


def test_only_its_owner_can_read_the_state(tmp_path: Path) -> None:
    kept(tmp_path / "state.json")
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_no_scratch_file_is_left_beside_the_state(tmp_path: Path) -> None:
    kept(tmp_path / "state.json")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 99}', '{"apps": 3}'])
def test_a_file_that_is_no_state_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(StateFileError, match="delete it to start anew"):
        kept(path)
    assert path.read_text() == content


# the token file


def test_a_missing_token_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "token"
    token = token_from(path)
    assert (path.read_text().strip(), token_from(path)) == (token, token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_token_in_the_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("chosen-for-the-test\n")
    emulator = start(parsed("--port=0", f"--token-file={tmp_path / 'token'}"))
    try:
        assert ask(emulator.url, "GET", "/oauth/userinfo", token="chosen-for-the-test").status == 200
    finally:
        emulator.stop()


def test_the_environment_names_the_token_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(TOKEN_FILE_VARIABLE, str(tmp_path / "token"))
    assert parsed().token_file == tmp_path / "token"


# the command


def test_options_default_to_the_demo_with_rate_limits() -> None:
    options = parsed()
    assert (options.port, options.host, options.seed, options.rate_limits) == (8044, "127.0.0.1", "demo", True)
    assert parsed("--no-rate-limits", "--latency-ms", "50").latency_ms == 50


def test_a_taken_port_is_said_clearly() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(EmulatorFailure, match=f"Port {port} on 127.0.0.1 is taken; choose another one with --port"):
            start(Options(port=port))


def test_the_django_command_ends_with_one_line_when_the_state_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("not a state")
    with pytest.raises(CommandError, match="is not a state file of this emulator"):
        call_command("base44_emulator", port=0, state=str(tmp_path / "state.json"))


def test_links_use_the_public_address() -> None:
    with Emulator(public_url="https://base44.example/") as emulator:
        emulator.add_app("shop")
        path = "/api/apps/shop/external-auth/integrations/notion"
        link = ask(emulator.url, "PUT", path, {"scopes": []}, token=emulator.pat).json["redirect_url"]
        assert link.startswith("https://base44.example/connect/")


def test_it_runs_without_django_and_ends_on_a_signal(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [*MODULE, "--port=0", "--seed=empty", f"--token-file={tmp_path / 'token'}"]
    with subprocess.Popen(command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = running.stdout.readline().split()[3]
        assert ask(url, "GET", "/_emulator/health").json == {"ok": True}
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=20) == 0


def test_the_module_imports_no_django(tmp_path: Path) -> None:
    code = "import sys, connectors.core.base44.emulator; sys.exit('django' in sys.modules)"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, check=False).returncode == 0

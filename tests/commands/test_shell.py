"""Real processes: exit codes, one line on stderr, pipes, a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from connectors.core.base44.emulator import Emulator

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]
Manage = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """A portal of its own, on SQLite, with its tables."""
    kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
    env = {name: value for name, value in os.environ.items() if name in kept}
    env |= {"DEBUG": "1", "PORTAL_DATA_DIR": str(tmp_path_factory.mktemp("portal"))}
    subprocess.run([*MANAGE, "migrate", "-v0"], env=env, check=True, cwd=ROOT, stdin=subprocess.DEVNULL)
    return env


@pytest.fixture(scope="module")
def manage(environment: Mapping[str, str]) -> Manage:
    def run(*words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MANAGE, *words],
            env={**environment, **more},
            cwd=ROOT,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def base44() -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.add_app("app-crm", "CRM")
        yield emulator


@pytest.fixture(scope="module")
def portal(manage: Manage, base44: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Manage:
    """With a project crm that declares slackbot, which Base44 does not have."""
    manage("add_workspace", "Acme", "--api-url", base44.url, "--token-file", "-", stdin=base44.pat)
    manage("add_project", "crm", "--workspace", "Acme", "--app-id", "app-crm")
    file = tmp_path_factory.mktemp("files") / "slackbot.jsonc"
    file.write_text('{"type": "slackbot", "scopes": ["chat:write"]}')
    manage("import_connectors", str(file), "--project", "crm")
    return manage


def at_a_terminal(environment: Mapping[str, str], *words: str, answer: str = "") -> tuple[int, str]:
    """Exit code and everything shown by a command at a terminal; `answer` is typed when it asks."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MANAGE, *words], env=dict(environment), cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown, typed = b"", not answer
    with suppress(OSError):  # Linux's way to say that the other side has closed
        while part := os.read(ours, 65536):
            shown += part
            if not typed and b"[y/N]" in shown:
                os.write(ours, answer.encode())
                typed = True
    os.close(ours)
    return process.wait(timeout=60), shown.decode()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["plan_connectors"], "one of the arguments --project --all is required. See plan_connectors --help."),
        (["plan_connectors", "--all", "--project", "x"], "not allowed with argument"),
        (["add_project", "x"], "the following arguments are required: --workspace, --app-id"),
        (["import_connectors", "/nowhere", "--all"], "There is no file or directory /nowhere."),
        (["export_connectors", "--all", "--chek", "x"], "unrecognized arguments: --chek"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(manage: Manage, words: list[str], line: str) -> None:
    done = manage(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_database_without_tables_is_one_line(manage: Manage, tmp_path: Path) -> None:
    done = manage("sync_projects", "--all", PORTAL_DATA_DIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "The database has no tables yet. Run: manage.py migrate\n")


def test_a_database_that_cannot_be_reached_is_one_line(manage: Manage) -> None:
    done = manage("sync_projects", "--all", DATABASE_URL="postgres://nobody@127.0.0.1:9/none")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("The database cannot be reached")


def test_json_is_the_only_thing_on_stdout(portal: Manage) -> None:
    done = portal("push_connectors", "--project", "crm", "--yes", "--json")
    assert json.loads(done.stdout)["project"] == "crm"
    assert done.returncode == 0


def test_a_reader_that_goes_away_causes_no_traceback(portal: Manage, environment: Mapping[str, str]) -> None:
    process = subprocess.Popen(
        [*MANAGE, "plan_connectors", "--all"],
        env=dict(environment),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    process.wait()
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_push_asks_and_takes_no_for_an_answer(portal: Manage, environment: Mapping[str, str], base44: Emulator) -> None:
    before = base44.count("PUT", "/slackbot")
    code, shown = at_a_terminal(environment, "push_connectors", "--project", "crm", answer="n\n")
    assert (code, "Nothing was done." in shown) == (1, True)
    assert base44.count("PUT", "/slackbot") == before


def test_push_asks_and_goes_on_with_yes(portal: Manage, environment: Mapping[str, str], base44: Emulator) -> None:
    before = base44.count("PUT", "/slackbot")
    code, shown = at_a_terminal(environment, "push_connectors", "--project", "crm", answer="y\n")
    assert (code, base44.count("PUT", "/slackbot")) == (0, before + 1)
    assert base44.url not in shown


def test_consent_links_are_shown_at_a_terminal_when_asked_for(
    portal: Manage, environment: Mapping[str, str], base44: Emulator
) -> None:
    code, shown = at_a_terminal(environment, "push_connectors", "--project", "crm", "--yes", "--show-links")
    assert code == 0
    assert re.search(rf"slackbot: {re.escape(base44.url)}/\S+", shown)

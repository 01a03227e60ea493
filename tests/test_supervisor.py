"""Programs run as one: restarted, given up on, stopped, and never orphaned. Real processes throughout."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.supervisor import Patience, Program, Supervisor

ROOT = Path(__file__).resolve().parents[1]
TETHER = ROOT / "portal" / "tether.py"
HURRIED = Patience(first_pause=0.01, longest_pause=0.02, healthy_after=60, max_crashes=2, stop_grace=10)
FOREVER = "import signal; print('up', flush=True); signal.pause()"


class Log:
    """Collects what the supervisor reports, and calls `react` on each line."""

    def __init__(self, react: Callable[[str], None] | None = None) -> None:
        self.lines: list[str] = []
        self.react = react

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self.react:
            self.react(line)


def program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code), os.environ)


def supervise(programs: list[Program], react: Callable[[str, Supervisor], None]) -> tuple[int, list[str]]:
    log = Log()
    supervisor = Supervisor(programs, log, HURRIED)
    log.react = lambda line: react(line, supervisor)
    return supervisor.run(), log.lines


def test_output_is_shown_under_the_programs_name() -> None:
    _, lines = supervise([program("web", FOREVER)], lambda line, supervisor: supervisor.stop())
    assert "web      | up" in lines


def test_stopping_in_order_is_a_success() -> None:
    code, _ = supervise([program("web", FOREVER)], lambda line, supervisor: supervisor.stop())
    assert code == 0


def test_a_crash_is_reported_and_the_program_restarted() -> None:
    starts = []

    def react(line: str, supervisor: Supervisor) -> None:
        if line == "worker   | started":
            starts.append(line)
            if len(starts) == 2:
                supervisor.stop()

    code, lines = supervise([program("worker", "print('started', flush=True); raise SystemExit(3)")], react)
    assert code == 0
    assert "worker ended with status 3; restarting it in 0.01 s." in lines


def test_a_program_that_keeps_crashing_stops_everything_with_status_1() -> None:
    programs = [program("web", FOREVER), program("worker", "raise SystemExit(3)")]
    code, lines = supervise(programs, lambda line, supervisor: None)
    assert code == 1
    assert lines[-1] == "worker ended with status 3 and keeps failing (3 times in a row): stopping everything."


def test_a_killed_program_is_named_with_its_signal() -> None:
    programs = [program("worker", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")]
    _, lines = supervise(programs, lambda line, supervisor: None)
    assert lines[0].startswith("worker was killed (SIGKILL)")


def test_a_program_that_ignores_the_request_to_end_is_killed() -> None:
    code = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
    supervisor_log = Log()
    patience = Patience(stop_grace=0.2)
    supervisor = Supervisor([program("deaf", code)], supervisor_log, patience)
    supervisor_log.react = lambda line: supervisor.stop()
    assert supervisor.run() == 0


def test_ctrl_c_ends_all_programs() -> None:
    running = threading.Event()
    log = Log(lambda line: running.set())
    supervisor = Supervisor([program("web", FOREVER)], log, HURRIED)

    def press_ctrl_c() -> None:
        running.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press_ctrl_c, daemon=True).start()
    assert supervisor.run() == 0
    assert "web      | up" in log.lines


@pytest.mark.parametrize(("crashes", "pause"), [(1, 1.0), (2, 2.0), (3, 4.0), (10, 30.0)])
def test_pauses_between_restarts_double_up_to_a_limit(crashes: int, pause: float) -> None:
    assert Patience().pause(crashes) == pause


TELL_AND_WAIT = "import os, signal, sys; os.write(os.open(sys.argv[1], os.O_WRONLY), b'up'); signal.pause()"

SUPERVISE = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from portal.supervisor import Program, Supervisor
Supervisor([Program("web", (sys.executable, "-c", {TELL_AND_WAIT!r}, sys.argv[1]), os.environ)], print).run()
"""

WATCH = f"""
import os, sys
sys.path.insert(0, {str(ROOT / "portal")!r})
import tether
parent = os.getpid()
if os.fork() == 0:
    raise SystemExit(tether.watch(parent, [sys.executable, "-c", {TELL_AND_WAIT!r}, sys.argv[1]]))
os.wait()
"""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            SUPERVISE,
            id="kernel",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties processes on Linux only"),
        ),
        pytest.param(WATCH, id="watcher"),
    ],
)
def test_no_program_outlives_a_supervisor_that_is_killed_outright(script: str, tmp_path: Path) -> None:
    fifo = tmp_path / "alive"
    os.mkfifo(fifo)
    pipe = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen([sys.executable, "-c", script, str(fifo)]) as supervisor:
        assert next_bytes(pipe) == b"up"
        supervisor.kill()
        # The program alone holds the pipe's other end: nothing more to read means that it has ended.
        assert next_bytes(pipe) == b""
    os.close(pipe)


def next_bytes(pipe: int) -> bytes:
    assert select.select([pipe], [], [], 30)[0], "nothing came within 30 seconds"
    return os.read(pipe, 100)


def test_a_program_is_not_started_when_its_parent_is_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-I", str(TETHER), "1", sys.executable, "-c", "print('ran')"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (1, "")

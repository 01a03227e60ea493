"""Run several programs as one: started together, restarted when one crashes, stopped together.

Nothing here knows the portal; `portal/demo.py` says which programs it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

TICK_SECONDS = 0.2
_TETHER = str(Path(__file__).with_name("tether.py"))


@dataclass(frozen=True, slots=True)
class Program:
    """One program to keep running; `env` is its whole environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Patience:
    """How crashes are answered: all times in seconds.

    The n-th crash in a row is followed by a pause of `first_pause * 2**(n-1)`, at most `longest_pause`; a program that
    ran for `healthy_after` has no crashes behind it; after `max_crashes` in a row everything is stopped.
    """

    first_pause: float = 1.0
    longest_pause: float = 30.0
    healthy_after: float = 30.0
    max_crashes: int = 5
    stop_grace: float = 15.0

    def pause(self, crashes: int) -> float:
        """Seconds to wait before the restart that follows the given number of crashes in a row."""
        return min(self.longest_pause, self.first_pause * 2.0 ** (crashes - 1))


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float | None = None
    crashes: int = 0
    pump: threading.Thread | None = field(default=None, repr=False)


class Supervisor:
    """Keeps programs running until it is told to stop: by a signal, by `stop()`, or by one that keeps crashing."""

    def __init__(
        self, programs: Sequence[Program], report: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        self._running = [_Running(program) for program in programs]
        self._report = report
        self._patience = patience or Patience()
        self._stopping = threading.Event()
        self._exit_code = 0

    @property
    def stopping(self) -> bool:
        """Whether the programs are being ended."""
        return self._stopping.is_set()

    def stop(self, exit_code: int = 0) -> None:
        """Ask for an orderly end; safe from any thread and from a signal handler. The highest exit code wins."""
        self._exit_code = max(self._exit_code, exit_code)
        self._stopping.set()

    def run(self) -> int:
        """Start everything and return, once all programs have ended, the exit code: 1 when a program kept crashing.

        Must run in the main thread: signal handlers live there, and on Linux a program is tied to the *thread* that
        started it, so a thread that ends would take it along.
        """
        handlers = {number: signal.signal(number, self._on_signal) for number in _STOP_SIGNALS}
        try:
            for running in self._running:
                self._start(running)
            while not self._stopping.wait(TICK_SECONDS):
                for running in self._running:
                    self._look_after(running)
        finally:
            self._end_all()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self._exit_code

    def _on_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self.stop()

    def _start(self, running: _Running) -> None:
        program = running.program
        process = subprocess.Popen(
            [sys.executable, "-I", _TETHER, str(os.getpid()), *program.argv],
            env=dict(program.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then ends the others in order
        )
        running.process, running.started, running.restart_at = process, time.monotonic(), None
        if process.stdout is not None:
            running.pump = threading.Thread(target=self._pump, args=(program.name, process.stdout), daemon=True)
            running.pump.start()

    def _pump(self, name: str, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                if text := line.decode(errors="replace").rstrip():
                    self._report(f"{name:<9}| {text}")

    def _look_after(self, running: _Running) -> None:
        now = time.monotonic()
        if running.restart_at is not None:
            if now >= running.restart_at:
                self._start(running)
            return
        if running.process is None or running.process.poll() is None:
            return
        self._after_crash(running, now)

    def _after_crash(self, running: _Running, now: float) -> None:
        name, status = running.program.name, _describe(running.process.returncode if running.process else None)
        _kill_group(running.process)  # what a killed server left behind would keep its port
        running.crashes = 1 if now - running.started >= self._patience.healthy_after else running.crashes + 1
        if running.crashes > self._patience.max_crashes:
            self._report(f"{name} {status} and keeps failing ({running.crashes} times in a row): stopping everything.")
            self.stop(1)
            return
        pause = self._patience.pause(running.crashes)
        self._report(f"{name} {status}; restarting it in {pause:g} s.")
        running.restart_at = now + pause

    def _end_all(self) -> None:
        processes = [running.process for running in self._running if running.process is not None]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + self._patience.stop_grace
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _kill_group(process)
            process.wait()
        for running in self._running:
            if running.pump is not None:
                running.pump.join(timeout=2)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _kill_group(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _describe(status: int | None) -> str:
    if status is not None and status < 0:
        return f"was killed ({signal.Signals(-status).name})"
    return f"ended with status {status}"

"""The portal's processes as a deployment runs them: each is started again when it has died."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Kept:
    """One process and those it starts. `deaths` counts how often it died by itself; `log` is a file."""

    name: str
    argv: list[str]
    env: Mapping[str, str]
    log: Path
    deaths: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pid(self) -> int:
        """Of the process that runs now; 0 when none does."""
        return self._process.pid if self._process and self._process.poll() is None else 0

    def ensure(self) -> None:
        """Starts it unless it runs."""
        with self._lock:
            if self.pid:
                return
            self.deaths += self._process is not None
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-W", "ignore", *self.argv],
                    cwd=ROOT,
                    env=dict(self.env),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def kill(self, *, whole: bool = True) -> int:
        """kill -9, of its children too unless `whole` is False: a git that it started then lives on.

        Gives the id of the process group that it was; -1 when it did not run.
        """
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return -1
            with suppress(ProcessLookupError):
                if whole:
                    os.killpg(process.pid, signal.SIGKILL)
                else:
                    process.send_signal(signal.SIGKILL)
            process.wait()
            return process.pid

    def limit_files(self, size: int | None) -> None:
        """No file that it or its children write may grow beyond `size` bytes, as on a full disk; None lifts that."""
        with suppress(ProcessLookupError):
            if pid := self.pid:
                soft = resource.RLIM_INFINITY if size is None else size
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def portal(env: Mapping[str, str], port: int, folder: Path) -> dict[str, Kept]:
    """The web, two workers and beat."""
    celery = ["-m", "celery", "-A", "portal"]
    web = ["-m", "gunicorn", "portal.wsgi", f"--bind=127.0.0.1:{port}", "--worker-class=gthread", "--workers=2"]
    commands = {
        "web": [*web, "--threads=4", "--log-level=warning"],
        "worker-1": [*celery, "worker", "--pool=threads", "--concurrency=4", "--loglevel=WARNING"],
        "worker-2": [*celery, "worker", "--pool=threads", "--concurrency=4", "--loglevel=WARNING"],
        "beat": [*celery, "beat", "--loglevel=WARNING"],
    }
    commands["worker-1"] += ["--hostname=one@%h"]
    commands["worker-2"] += ["--hostname=two@%h"]
    return {name: Kept(name, argv, env, folder / f"{name}.log") for name, argv in commands.items()}

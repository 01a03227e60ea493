"""A real Celery worker beside the tests: same database, same broker, a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def eventually(what: str, holds: Callable[[], bool], *, seconds: float = 30.0) -> None:
    """Waits until `holds()`; fails the test after `seconds`."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
        threading.Event().wait(0.05)


def database_url() -> str:
    """The test's database, as DATABASE_URL says it."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    password = f":{values['PASSWORD']}" if values["PASSWORD"] else ""
    return f"postgres://{values['USER']}{password}@{values['HOST']}:{values['PORT'] or 5432}/{values['NAME']}"


def portal_environment() -> dict[str, str]:
    """The environment of a process of the portal that shares the test's database, broker, keys and files."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATABASE_URL": database_url(),
        "GIT_ALLOWED_PRIVATE_HOSTS": ",".join(settings.GIT_ALLOWED_PRIVATE_HOSTS),
        "GIT_CACHE_DIR": str(settings.GIT_CACHE_DIR),
        "PORTAL_DATA_DIR": str(settings.PORTAL_DATA_DIR),
        "REDIS_PREFIX": settings.REDIS_PREFIX,
        "REDIS_URL": settings.REDIS_URL,
    }


class Worker:
    """One worker process; `kill` is kill -9."""

    def __init__(self, concurrency: int = 2, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "celery", "-A", "portal", "worker", "-P", "threads", "-c", str(concurrency)]
        command += ["-l", "INFO", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        self.log: list[str] = []
        self._ready = threading.Event()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**portal_environment(), **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.log.append(line)
                if " ready." in line:
                    self._ready.set()
        self._ready.set()  # it ended: nobody should wait for it any longer

    def wait_until_ready(self) -> None:
        """Returns once it takes tasks."""
        self._ready.wait(60)
        assert self.process.poll() is None, "".join(self.log)

    def kill(self) -> None:
        """As the kernel does when memory runs out: no chance to tidy up."""
        self.process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        """A warm shutdown, and a kill when that takes too long."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self._end()

    def _end(self) -> None:
        self.process.wait()
        self._reader.join()


@contextmanager
def worker(concurrency: int = 2, environment: Mapping[str, str] | None = None) -> Iterator[Worker]:
    """A worker that is ready, and stopped at the end; `environment` is added to its own."""
    started = Worker(concurrency, environment)
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.stop()

"""A PostgreSQL and a Redis of the test's own, in a folder of its own: they may be killed, restarted and emptied."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis

PATIENCE = 30.0


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def missing() -> str | None:
    """Why no servers can be started here; None when they can."""
    if _binary("initdb") is None:
        return "no PostgreSQL server is installed (initdb was not found)"
    if shutil.which("redis-server") is None:
        return "no Redis server is installed (redis-server was not found)"
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        return "PostgreSQL does not run as root, and there is no runuser to start it as somebody else"
    return None


class OwnPostgres:
    """A cluster on a free port. What is committed survives `crash`, as it does when a real server loses power."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(folder / "db"), "--auth=trust", "--username=postgres", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        """As DATABASE_URL says it."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Returns when it takes connections."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "-D", str(self._folder / "db"), "-l", str(self._folder / "log"), "-o", options, "start")
        _await("PostgreSQL", self._answers)

    def crash(self) -> None:
        """It goes without a checkpoint and without a word to those who are connected."""
        self._run("pg_ctl", "-D", str(self._folder / "db"), "-m", "immediate", "stop")

    stop = crash

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_binary(program)), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, check=True, cwd=self._folder, timeout=60, **quiet)  # type: ignore[call-overload]


class OwnRedis:
    """A Redis on a free port that writes down what it took, as docker-compose.yml starts it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.port = folder, free_port()
        folder.mkdir(parents=True)
        self.start()

    @property
    def url(self) -> str:
        """As REDIS_URL says it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        _await("Redis", self._answers)

    def crash(self) -> None:
        """As the kernel does when memory runs out."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    stop = crash

    def flush(self) -> None:
        """Everything in it is gone: messages, cache."""
        with redis.Redis.from_url(self.url) as server:
            server.flushall()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as server:
                return bool(server.ping())
        except redis.RedisError:
            return False


def _await(what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not start within {PATIENCE:.0f} s")
        time.sleep(0.05)


def _binary(name: str) -> Path | None:
    """A program of PostgreSQL: the newest version's, which Debian keeps out of everybody's PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4].split(".")[0]))
    if found:
        return found[-1]
    there = shutil.which(name)
    return Path(there) if there else None

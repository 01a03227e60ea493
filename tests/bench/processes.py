"""The processes that a measurement needs: a portal to call functions in, a worker, the emulator; all ended again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.places import Place
from tests.servers.http import ask

ROOT = Path(__file__).resolve().parents[2]
STOP_SECONDS = 20
LATENCY_MS = 50


class Failed(Exception):
    """A measurement could not be carried out; the text says why."""


class Portal:
    """A process with Django set up in a place; see `portal_side` for what it does with a call."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, function: str, **arguments: Any) -> Any:
        """The result of `tests.bench.<module>:<function>` there. Raises Failed with the other side's error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"function": function, "arguments": arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise Failed(f"the portal's process ended during {function}")
        reply = json.loads(answer)
        if "error" in reply:
            raise Failed(f"{function}: {reply['error']}")
        return reply["result"]


@contextmanager
def portal(place: Place) -> Iterator[Portal]:
    """A portal on the place's database, which is migrated."""
    command = [sys.executable, "-m", "tests.bench.portal_side"]
    with running(command, place.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Portal(process)


@contextmanager
def worker(place: Place) -> Iterator[int]:
    """A Celery worker as in a deployment; gives its process id. It is ready once it has done a first task."""
    # -W: Celery warns of root, which is what a container often has.
    command = [sys.executable, "-W", "ignore", "-m", "celery", "-A", "portal"]
    command += ["worker", "--pool=threads", "--loglevel=ERROR"]
    with running(command, place.env, stdout=subprocess.DEVNULL) as process:
        yield process.pid


@dataclass(frozen=True, slots=True)
class RunningEmulator:
    """The emulator in a process of its own, reached by its control API."""

    url: str
    pat: str

    def control(self, name: str, body: Mapping[str, Any]) -> None:
        """Arrange its world. Raises Failed when it refuses."""
        reply = ask(self.url, "POST", f"/_emulator/{name}", body)
        if reply.status != 200:
            raise Failed(f"the emulator answered {reply.status} to {name}")


@contextmanager
def emulator(place: Place) -> Iterator[RunningEmulator]:
    """An emulator with 50 ms of latency and no rate limits, holding no apps yet."""
    token_file = place.folder / "emulator-token"
    options = [f"--latency-ms={LATENCY_MS}", "--no-rate-limits", "--seed=empty", f"--token-file={token_file}"]
    command = [sys.executable, "-u", "-m", "connectors.core.base44.emulator", "--port=0", *options]
    with running(command, place.env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            address = next((word for word in line.split() if word.startswith("http://")), "")
            if address:
                yield RunningEmulator(address, _first_line(token_file))
                return
        raise Failed("the emulator did not start")


def peak_memory(pid: int) -> int:
    """The largest resident size that a process has had, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise Failed("this system does not tell the memory of a process")


def _first_line(path: Path) -> str:
    for _ in range(100):
        if path.exists() and (text := path.read_text().strip()):
            return text
        time.sleep(0.05)
    raise Failed("the emulator wrote no token")


@contextmanager
def running(command: list[str], env: Mapping[str, str], **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """A process from the project's folder, ended at last."""
    streams.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen(command, cwd=ROOT, env=dict(env), text=True, **streams)
    try:
        yield process
    finally:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

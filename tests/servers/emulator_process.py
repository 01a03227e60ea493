"""The emulator in a process of its own, for measurements and for tests whose own process must stay free."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.servers.http import ask

ROOT = Path(__file__).resolve().parents[2]
STOP_WITHIN = 20


class EmulatorProcess:
    """A running emulator, arranged through its control API. Options as of the command: `--latency-ms=50`, ...

    with EmulatorProcess("--latency-ms=50", "--no-rate-limits") as emulator:
        emulator.control("connectors", app="shop", type="notion")
    """

    def __init__(self, *options: str) -> None:
        self.options = options
        self.url = self.pat = ""

    def __enter__(self) -> EmulatorProcess:
        self._folder = tempfile.TemporaryDirectory()
        token_file = Path(self._folder.name) / "token"
        command = [sys.executable, "-m", "connectors.core.base44.emulator", "--port=0", "--seed=empty"]
        self._process = subprocess.Popen(
            [*command, f"--token-file={token_file}", *self.options], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        first_line = self._process.stdout.readline().split()
        if len(first_line) < 4:
            raise AssertionError("the emulator did not start")
        self.url, self.pat = first_line[3], token_file.read_text().strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=STOP_WITHIN)
        self._folder.cleanup()

    def control(self, path: str, /, **body: object) -> Any:
        """One call of the control API; its answer."""
        reply = ask(self.url, "POST", f"/_emulator/{path}", body)
        assert reply.status == 200, reply.text
        return reply.json

    def counters(self) -> dict[str, int]:
        """How many requests of each kind there were."""
        counters: dict[str, int] = ask(self.url, "GET", "/_emulator/requests").json["counters"]
        return counters

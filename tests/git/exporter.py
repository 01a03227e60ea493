"""A process that exports with core/git, for tests of races and of sudden death: `python -m tests.git.exporter`.

Reads one line of JSON with what to do (`Orders`), says "ready", waits for another line, then adds each of its words to
the file, one commit a word, as an export would: look, decide, commit, push, and all of it anew when the branch moved.
Says "done" at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from connectors.core.git import Access, Fault, Git, GitError, opened
from tests.git.acting import LOOPBACK, push

ROOT = Path(__file__).resolve().parents[2]
WORDS = "words.txt"
TRIES = 60


@dataclass(frozen=True, slots=True)
class Orders:
    """What a process is to do. `token` comes on standard input like the rest, and not on the command line."""

    cache: str
    url: str
    token: str
    words: Sequence[str]


def main() -> None:
    """Works off the orders."""
    orders = Orders(**json.loads(sys.stdin.readline()))
    _say("ready")
    sys.stdin.readline()
    for word in orders.words:
        export(orders, word)
    _say("done")


def export(orders: Orders, word: str) -> None:
    """Brings a word into the file, once, whatever happens at the same time. Raises GitError when that never works."""
    access = Access(orders.url, "portal", SecretStr(orders.token), allowed=LOOPBACK)
    for left in reversed(range(TRIES)):
        try:
            with opened(Path(orders.cache), access) as git:
                _add(git, word)
            return
        except GitError as error:
            if error.fault is not Fault.MOVED or not left:
                raise


def _add(git: Git, word: str) -> None:
    newest = git.fetch("main")
    there = git.files(newest).read(WORDS).decode().split()
    if word not in there:
        push(git, newest, {WORDS: "".join(f"{line}\n" for line in [*there, word])}, f"Add {word}")


class Exporter:
    """The same process from outside."""

    def __init__(self, orders: Orders) -> None:
        command = [sys.executable, "-m", "tests.git.exporter"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._tell(json.dumps(asdict(orders)))
        assert self._hear() == "ready"

    def start(self) -> None:
        """Lets it begin."""
        self._tell("go")

    def finish(self) -> None:
        """Waits for its end. Raises AssertionError with what it complained of."""
        told, complaint = self.process.communicate(timeout=120)
        assert told.strip() == "done", complaint

    def kill(self) -> str:
        """As the kernel does when memory runs out: its children live on. Gives what it had complained of."""
        self.process.kill()
        return self.process.communicate()[1]

    def _tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def _hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def _say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

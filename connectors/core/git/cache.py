"""What the portal keeps of one repository between two visits: a bare repository that holds a few objects of it.

It can be thrown away at any time, and is when it is damaged, has grown, or belongs to another address. One process
works on it at a time. The lock is inherited by git itself: while the git of a killed worker goes on, nobody else comes
in.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from connectors.core.git import program
from connectors.core.git.faults import BrokenCacheError, explain
from connectors.core.git.route import Route
from connectors.core.git.terms import Fault, GitError, Limits

MAX_FILES = 2_000
"""Files after which a cache is made anew: some hundred visits that brought something. A fresh one costs little."""

COMMANDS = 4
"""Commands of the longest allowed time that one visit may come to: a server that drips must not hold a worker."""

LOOK_AGAIN = 0.1
"""Seconds between two looks whether the lock is free."""


class Cache:
    """The repository at `folder`, for whoever holds its lock. `lock` is the descriptor of the locked file."""

    def __init__(self, folder: Path, route: Route, limits: Limits, lock: int) -> None:
        self.folder, self.route, self.limits, self._lock = folder, route, limits, lock
        self._until = time.monotonic() + COMMANDS * limits.seconds

    def local(self, *arguments: str, stdin: bytes = b"", told: dict[str, str] | None = None) -> bytes:
        """What a git command answers that needs no server. Raises BrokenCacheError when it fails."""
        environment = program.environment(self.folder, "", (), self.limits)
        output = self._run(arguments, environment | (told or {}), stdin, (), ())
        if output.code == 0:
            return output.answer
        if "no space left" in output.said.lower():
            raise explain(output.said, "")
        raise BrokenCacheError

    def network(self, *arguments: str, stdin: bytes = b"", pushing: bool = False) -> bytes:
        """What a git command answers that talks to the server. Raises GitError, in words."""
        address = self.route.address
        # The address is no argument, so that it stands in no list of processes.
        config = (("remote.origin.url", address.url), *self.route.config, *(() if pushing else _PARTIAL))
        told = program.environment(self.folder, address.scheme, config, self.limits)
        with self.route.wrapped() as around:
            output = self._run(arguments, told | around.told, stdin, around.before, around.keep)
        if output.code == 0:
            return output.answer
        said = output.said + (output.answer.decode("utf-8", "replace") if pushing else "")
        raise explain(said, address.host, pushing=pushing)

    def renew(self) -> None:
        """Throws away what there is and starts with nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        self.local("init", "--quiet", "--bare", "--template=")
        (self.folder / "address").write_text(self.route.address.url, encoding="utf-8")

    def tidy(self) -> None:
        """Makes it ready for work after whatever happened to the last process that used it."""
        if self._belongs_elsewhere():
            self.renew()
            return
        files = [Path(place, name) for place, _, names in os.walk(self.folder) for name in names]
        if len(files) > MAX_FILES or sum(map(_size, files)) > self.limits.bytes:
            self.renew()
            return
        for file in files:
            # Nobody else is at work, so these are what a killed git left behind; a lock would stop the next one.
            if file.suffix == ".lock" or file.name.startswith("tmp_"):
                file.unlink(missing_ok=True)

    def _belongs_elsewhere(self) -> bool:
        try:
            return (self.folder / "address").read_text(encoding="utf-8") != self.route.address.url
        except (OSError, UnicodeDecodeError):
            return True

    def _run(
        self,
        arguments: tuple[str, ...],
        told: dict[str, str],
        stdin: bytes,
        before: tuple[str, ...],
        keep: tuple[int, ...],
    ) -> program.Output:
        command = (*before, program.require_git(), *arguments)
        return program.run(
            command, folder=self.folder, told=told, limits=self._left(), stdin=stdin, keep=(self._lock, *keep)
        )

    def _left(self) -> Limits:
        """The limits of the next command."""
        left = self._until - time.monotonic()
        if left <= 0:
            message = f"The repository took longer than {COMMANDS} times {self.limits.seconds:g} seconds (GIT_TIMEOUT)."
            raise GitError(message, Fault.LIMIT, permanent=False)
        return replace(self.limits, seconds=min(self.limits.seconds, left))


_PARTIAL = (("remote.origin.promisor", "true"), ("remote.origin.partialCloneFilter", "tree:0"))


@contextmanager
def locked(folder: Path, wait: float) -> Iterator[int]:
    """The descriptor of the folder's lock, held until the end. Raises GitError(BUSY) after `wait` seconds."""
    folder.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    descriptor = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, time.monotonic() + wait)
        yield descriptor
    finally:
        os.close(descriptor)


def discard(folder: Path) -> bool:
    """Takes a cache away with its lock; False, and nothing happens, while a process is at work on it."""
    try:
        with locked(folder, 0):
            shutil.rmtree(folder, ignore_errors=True)
            Path(f"{folder}.lock").unlink(missing_ok=True)
    except GitError:
        return False
    return True


def _take(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                message = "The portal is still at work on this repository. Please try again in a moment."
                raise GitError(message, Fault.BUSY, permanent=False) from None
            time.sleep(LOOK_AGAIN)
        else:
            return


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0

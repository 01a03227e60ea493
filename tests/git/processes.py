"""What can be seen of processes and files from outside, as another user of the machine would look."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr


def command_lines() -> Iterator[bytes]:
    """The command line of every process there is now."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def running_git(cache: Path) -> list[bytes]:
    """Command lines of processes whose working directory is this cache, or that name it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            words = (path.parent / "cmdline").read_bytes()
            if words and (path.readlink() == cache or bytes(cache) in words):
                found.append(words)
    return found


def contents(*folders: Path) -> Iterator[bytes]:
    """The bytes of every file below the folders, and their names."""
    for folder in folders:
        for path in folder.rglob("*"):
            yield bytes(path)
            with suppress(OSError):
                if path.is_file():
                    yield path.read_bytes()


def forms(secret: SecretStr, username: str = "") -> list[bytes]:
    """The secret as it would look where somebody left it: as it is, and as HTTP and OpenSSH wrap it."""
    plain = secret.get_secret_value()
    lines = [line for line in plain.splitlines() if line and not line.startswith("-----")]
    basic = base64.b64encode(f"{username}:{plain}".encode())
    return [*(line.encode() for line in lines), basic]

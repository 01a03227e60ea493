"""Large repositories that look like a company's: many files, long history, and a few connector files among them."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.servers.git_repos import FIRST_COMMIT, MIRA, RepoMaker, clean_environment

PROJECT = "apps/shop"
"""The project in it whose connectors the portal is to change."""
CONNECTORS = f"{PROJECT}/base44/connectors"
APPS = 200
FILES_PER_FOLDER = 50
COMMIT_BYTES = 1024 * 1024
GMAIL = """// Asked for by the shop's team.
{
  "type": "gmail",
  "scopes": [
    "https://www.googleapis.com/auth/gmail.readonly", // to show messages
  ],
}
"""


def fill(repo: RepoMaker, *, files: int, history_bytes: int = 0, seed: int = 5) -> None:
    """Puts `files` small files into one commit, after `history_bytes` of what no compression makes smaller.

    Ends with one pack and a bitmap, as hosts keep their repositories, so that cloning it is as fast as it can be.
    """
    # Stored, not compressed: otherwise most of the time would go into packing noise.
    command = ["git", "-c", "core.compression=0", "fast-import", "--quiet", "--depth=0"]
    process = subprocess.Popen(command, cwd=repo.path, stdin=subprocess.PIPE, env=clean_environment())
    assert process.stdin is not None
    with process.stdin as stream:
        _write(stream, random.Random(seed), files, history_bytes)  # noqa: S311 - noise, not a secret
    if process.wait() != 0:
        raise RuntimeError("git fast-import failed")
    repo.git("-c", "pack.compression=0", "repack", "-a", "-d", "-q", "--write-bitmap-index", "--window=0")
    repo.git("commit-graph", "write", "--reachable")


def _write(stream: IO[bytes], chance: random.Random, files: int, history_bytes: int) -> None:
    """A stream for fast-import: old releases first, each a megabyte over the last, then all files at once."""
    commits = history_bytes // COMMIT_BYTES
    for number in range(commits):
        stream.write(_commit(f"Build assets {number}", number))
        stream.write(_inline(f"assets/bundle-{number % 10}.bin", chance.randbytes(COMMIT_BYTES)))
    stream.write(_commit("Move everything into one repository", commits))
    for path, content in _connectors():
        stream.write(_inline(path, content))
    for path in _source_paths(files - APPS):
        stream.write(_inline(path, f"// {path}\nexport const id = {chance.getrandbits(256)};\n".encode()))


def _connectors() -> Iterator[tuple[str, bytes]]:
    for app in ("shop", *(f"app-{number:03}" for number in range(1, APPS))):
        yield f"apps/{app}/base44/connectors/gmail.jsonc", GMAIL.encode()


def _source_paths(count: int) -> Iterator[str]:
    for number in range(count):
        folder, file = divmod(number, FILES_PER_FOLDER)
        group, part = divmod(folder, 40)
        yield str(Path("src", f"area-{group:03}", f"part-{part:02}", f"module-{file:02}.ts"))


def _commit(subject: str, number: int) -> bytes:
    stamp = f"{MIRA} {int(FIRST_COMMIT.timestamp()) + number} +0000"
    text = subject.encode()
    head = f"commit refs/heads/main\nauthor {stamp}\ncommitter {stamp}\ndata {len(text)}\n".encode()
    return head + text + b"\n"


def _inline(path: str, content: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)

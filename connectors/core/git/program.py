"""The git program: run once, with nothing of the machine's configuration, within limits, and gone when time is over."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from connectors.core.git.terms import Fault, GitError, Limits

OLDEST = (2, 37)
"""The first git that can be held to an address that was judged (http.curloptResolve)."""

MAX_OUTPUT = 64 * 1024 * 1024
"""Bytes of one command's answer; the largest is a list of branches."""

MAX_SAID = 64 * 1024
"""Bytes of its messages, from their end, where the reason of a failure stands."""

GRACE = 3.0
"""Seconds in which a command that is told to end can take its temporary files away."""

# POSIX counts in blocks of 512 bytes. A limit that is stricter already stays.
_SCRIPT = 'ulimit -f "$1" 2>/dev/null; shift; exec "$@"'

_FROM_OUTSIDE = (
    "PATH", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO",
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
)  # fmt: skip

_CONFIG = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.bigFileThreshold", "1m"),
    ("credential.helper", ""),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    # Of a partial fetch git can only refuse all old tools' faults or none, and many honest histories have some. What is
    # dangerous is refused where it is read (tree.py, history.py, objects.py).
    ("transfer.fsckObjects", "false"),
    # Otherwise the server takes whatever our commit refers to for something that we have.
    ("fetch.negotiationAlgorithm", "noop"),
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("pack.threads", "1"),  # each more may need GIT_ALLOC_LIMIT twice over for what a hostile pack unfolds to
    ("maintenance.auto", "false"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    ("transfer.credentialsInUrl", "die"),
)


@dataclass(frozen=True, slots=True)
class Output:
    """What a command answered, and what it said of it on the side."""

    code: int
    answer: bytes
    said: str


def environment(folder: Path, protocols: str, config: Iterable[tuple[str, str]], limits: Limits) -> dict[str, str]:
    """What git is told besides its arguments, for a repository at `folder`. Nothing else reaches it.

    `protocols` are those that it may speak, separated by colons: none keeps it off the network whatever it lacks.
    """
    told = {name: os.environ[name] for name in _FROM_OUTSIDE if name in os.environ}
    told |= {
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "XDG_CONFIG_HOME": "/nonexistent",
        "GIT_DIR": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_ALLOC_LIMIT": str(limits.bytes),
    }
    pairs = (*_CONFIG, *config)
    for number, (key, value) in enumerate(pairs):
        told[f"GIT_CONFIG_KEY_{number}"], told[f"GIT_CONFIG_VALUE_{number}"] = key, value
    return told | {"GIT_CONFIG_COUNT": str(len(pairs))}


def run(
    arguments: Sequence[str],
    *,
    folder: Path,
    told: Mapping[str, str],
    limits: Limits,
    stdin: bytes = b"",
    keep: Sequence[int] = (),
) -> Output:
    """Runs a program in a process group of its own, whatever it answers. `keep` are descriptors that it inherits.

    Raises GitError(LIMIT) when it takes too long or answers too much; then, and when the caller is interrupted, the
    whole group is ended.
    """
    command = ("/bin/sh", "-c", _SCRIPT, "sh", str(max(1, limits.bytes // 512)), *arguments)
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as said:
        process = _start(command, folder, told, (answer, said), keep)
        try:
            process.communicate(stdin, timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            raise _limit(f"Git took longer than {limits.seconds:g} seconds (GIT_TIMEOUT).", permanent=False) from None
        finally:
            _end(process)
        return Output(process.returncode, _whole(answer), _last(said))


@functools.lru_cache(maxsize=1)
def require_git() -> str:
    """The path of a git that is new enough. Raises GitError(NO_GIT)."""
    path = shutil.which("git")
    if path is None:
        raise _missing("The git program is not installed where the portal runs.")
    said = subprocess.run([path, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise _missing(f"The portal needs git {OLDEST[0]}.{OLDEST[1]} or newer where it runs.")
    return path


def require(program: str) -> str:
    """The path of one of OpenSSH's programs. Raises GitError(NO_GIT)."""
    path = shutil.which(program)
    if path is None:
        raise _missing(f"The program {program} is not installed where the portal runs: install OpenSSH's client there.")
    return path


def _start(
    command: Sequence[str],
    folder: Path,
    told: Mapping[str, str],
    into: tuple[IO[bytes], IO[bytes]],
    keep: Sequence[int],
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=dict(told),
            stdin=subprocess.PIPE,
            stdout=into[0],
            stderr=into[1],
            start_new_session=True,
            pass_fds=keep,
        )
    except OSError as error:
        # Nothing of this error goes on: its frames hold what git was told.
        message = f"Git could not be started: {error.strerror}."
        raise GitError(message, Fault.OTHER, permanent=False) from None


def _missing(message: str) -> GitError:
    return GitError(message, Fault.NO_GIT, permanent=True)


def _limit(message: str, *, permanent: bool) -> GitError:
    return GitError(message, Fault.LIMIT, permanent=permanent)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group: git leaves the talking to children of its own."""
    for order in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        os.killpg(process.pid, order)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
    if process.stdin is not None and not process.stdin.closed:
        try:
            process.stdin.close()
        except BrokenPipeError:
            return


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    content = file.read(MAX_OUTPUT + 1)
    if len(content) > MAX_OUTPUT:
        raise _limit("The repository is too large to be looked through.", permanent=True)
    return content


def _last(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_SAID))
    return file.read().decode("utf-8", "replace")

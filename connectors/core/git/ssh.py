"""The way over ssh: the host must be one that is known, and the key lives in an agent for one command only."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from connectors.core.git import program
from connectors.core.git.address import Address
from connectors.core.git.judge import judged
from connectors.core.git.keys import PUBLISHED_HOST_KEYS
from connectors.core.git.terms import Fault, GitError, Limits
from connectors.core.net import Allowed

SCAN_SECONDS = 10

# The agent is gone with the command: at its end by the trap, after a SIGKILL because it looks for its parent.
_WITH_KEY = 'trap \'kill "$SSH_AGENT_PID"\' EXIT; trap \'exit 143\' TERM; ssh-add -q - </dev/fd/"$0" || exit 1; "$@"'

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "VerifyHostKeyDNS=no",
    "CheckHostIP=no",
    "IdentityFile=none",
    "PreferredAuthentications=publickey",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ControlPath=none",
    "CanonicalizeHostname=no",
    "ConnectTimeout=20",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
)


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command that is run with a key at hand: its beginning, what it is told, and descriptors that it inherits."""

    before: tuple[str, ...]
    told: dict[str, str]
    keep: tuple[int, ...]


def known_as(address: Address) -> str:
    """How a known_hosts file calls the host: by its name, with its port when that is not 22."""
    return address.host if address.port == 22 else f"[{address.host}]:{address.port}"


@contextmanager
def wrapped(address: Address, place: str, key: SecretStr | None, known_hosts: str) -> Iterator[Wrapped]:
    """What makes git go over ssh to `place`, an address of the host that was judged. Without key none is offered.

    The host keys are in a file while the command runs; the private key never is.
    """
    program.require("ssh")
    with tempfile.TemporaryDirectory(prefix="git-ssh-") as folder:
        hosts = Path(folder, "known_hosts")
        hosts.write_text("\n".join((*PUBLISHED_HOST_KEYS, *known_hosts.splitlines(), "")), encoding="utf-8")
        told = {"GIT_SSH_COMMAND": _command(address, place, hosts), "GIT_SSH_VARIANT": "ssh"}
        if key is None:
            yield Wrapped((), told, ())
            return
        descriptor = _pipe(key)
        try:
            agent = (program.require("ssh-agent"), "-a", f"{folder}/agent")
            yield Wrapped((*agent, "/bin/sh", "-c", _WITH_KEY, str(descriptor)), told, (descriptor,))
        finally:
            os.close(descriptor)


def look_up_host_keys(address: Address, allowed: Allowed) -> list[str]:
    """The keys that a host shows now, as lines of known_hosts: a person has to confirm that they are the host's.

    Raises GitError for a host that must not or cannot be reached.
    """
    place = judged(address, allowed)[0]
    scan = (program.require("ssh-keyscan"), "-T", str(SCAN_SECONDS), "-p", str(address.port), "--", place)
    told = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
    limits = Limits(seconds=3 * SCAN_SECONDS, bytes=1024 * 1024)
    found = program.run(scan, folder=Path("/"), told=told, limits=limits).answer.decode("ascii", "replace")
    keys = [line.split()[1:3] for line in found.splitlines() if not line.startswith("#") and len(line.split()) >= 3]
    if not keys:
        raise GitError(f"{address.host} shows no ssh key on port {address.port}.", Fault.UNREACHABLE, permanent=False)
    return sorted(f"{known_as(address)} {kind} {key}" for kind, key in keys)


def _command(address: Address, place: str, hosts: Path) -> str:
    own = (f"UserKnownHostsFile={hosts}", f"HostName={place}", f"HostKeyAlias={known_as(address)}")
    options = [text for option in (*_OPTIONS, *own) for text in ("-o", option)]
    return shlex.join(["ssh", "-F", "none", *options])


def _pipe(key: SecretStr) -> int:
    """A descriptor from which the key can be read once."""
    reader, writer = os.pipe()
    try:
        os.write(writer, key.get_secret_value().encode())  # a pipe takes 64 KB at once, a key has 4
    finally:
        os.close(writer)
    return reader

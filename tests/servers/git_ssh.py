"""A git host on loopback that speaks ssh: a real sshd per connection, keys made for the run, git and nothing else."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr

from tests import needs
from tests.servers.git_repos import RepoMaker

PRIVILEGE_SEPARATION = Path("/run/sshd")
"""Where an sshd of root locks up its unprivileged half; packages make it when the machine starts."""
FORCED_COMMAND = """#!/bin/sh
# What hosts do with a key: git's two commands on their repositories, and their words for anything else.
set -f -- $SSH_ORIGINAL_COMMAND
service=$1 path=$(printf %s "$2" | tr -d "'")
case "$service:$READ_ONLY" in
    git-upload-pack:*) ;;
    git-receive-pack:) ;;
    git-receive-pack:*) echo "ERROR: The key you are authenticating with has been marked as read only." >&2; exit 1 ;;
    *) echo "Hi! You've successfully authenticated, but there is no shell access." >&2; exit 1 ;;
esac
[ -d "$ROOT/$path" ] || { echo "ERROR: Repository not found." >&2; exit 1; }
[ ! -e "$HOLD" ] || : >"$HOLD.arrived"
while [ -e "$HOLD" ]; do sleep 0.05; done
exec git "${service#git-}" "$ROOT/$path"
"""
CONFIGURATION = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserEnvironment no
AcceptEnv GIT_PROTOCOL
LogLevel ERROR
"""


@dataclass
class SshServer:
    """The host as tests see it. `key` may read and write, `read_only_key` only read; both in OpenSSH's format."""

    root: Path
    folder: Path
    port: int = 0
    key: SecretStr = field(init=False)
    read_only_key: SecretStr = field(init=False)
    host_key: str = ""
    connections: int = 0
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def known_hosts(self) -> str:
        """The line by which the host is known, in known_hosts format."""
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    def make(self, name: str = "acme/shop") -> RepoMaker:
        """A new empty repository, served at `ssh://<this user>@127.0.0.1:<port>/<name>.git`."""
        address = f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}/{name}.git"
        return RepoMaker(self.root / f"{name}.git", address)

    def change_host_key(self) -> None:
        """From the next connection on the host shows another key, as somebody in the middle would."""
        private, self.host_key = make_key()
        _write_private(self.folder / "host_key", private)

    @contextmanager
    def held(self) -> Iterator[Path]:
        """In the block whoever logs in waits before git hears of it; from then on the file that it gives exists."""
        gate, arrived = self.folder / "hold", self.folder / "hold.arrived"
        gate.touch()
        try:
            yield arrived
        finally:
            gate.unlink()
            arrived.unlink(missing_ok=True)

    def reset(self) -> None:
        """An empty host with the keys that it has."""
        self.connections = 0
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)

    def serve(self, connection: socket.socket) -> None:
        """Lets an sshd of its own talk to whoever connected: one that ends with the connection, and needs no port."""
        self.connections += 1
        program = needs.sshd()
        assert program is not None
        with connection:
            self._processes.append(
                subprocess.Popen(
                    [program, "-i", "-e", "-f", str(self.folder / "sshd_config")],
                    stdin=connection.fileno(),
                    stdout=connection.fileno(),
                    stderr=subprocess.DEVNULL,
                )
            )

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def make_key() -> tuple[SecretStr, str]:
    """A fresh ed25519 key: the private half as ssh keeps it, and the public half's line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return SecretStr(private), key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@contextmanager
def git_ssh_server(folder: Path) -> Iterator[SshServer]:
    """Starts a host on a free port of this machine that logs in as the user of the tests; stops it."""
    state = SshServer(folder / "repositories", folder)
    _prepare(state)
    listening = socket.create_server(("127.0.0.1", 0))
    state.port = listening.getsockname()[1]
    thread = threading.Thread(target=_accept, args=(listening, state), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        state.stop()


def _accept(listening: socket.socket, state: SshServer) -> None:
    with suppress(OSError):
        while True:
            state.serve(listening.accept()[0])


def _prepare(state: SshServer) -> None:
    if os.geteuid() == 0:
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    state.reset()
    command = state.folder / "command"
    command.write_text(FORCED_COMMAND)
    command.chmod(0o755)
    state.change_host_key()
    state.key, public = make_key()
    state.read_only_key, read_only = make_key()
    lines = [_authorized(state, public), _authorized(state, read_only, READ_ONLY="yes")]
    (state.folder / "authorized_keys").write_text("\n".join([*lines, ""]))
    (state.folder / "sshd_config").write_text(CONFIGURATION.format(folder=state.folder))


def _authorized(state: SshServer, public: str, **variables: str) -> str:
    named = {"ROOT": str(state.root), "READ_ONLY": "", "HOLD": str(state.folder / "hold")} | variables
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in named.items())
    return f'command="{words} {shlex.quote(str(state.folder / "command"))}",restrict {public}'


def _write_private(path: Path, key: SecretStr) -> None:
    path.touch(mode=0o600)
    path.write_text(key.get_secret_value())

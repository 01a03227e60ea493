"""The deploy key is in an agent for one command: afterwards there is no agent, and never a file."""

from __future__ import annotations

import dataclasses
import os
import select
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.core.git import Access, Fault, GitError, Limits, make_deploy_key, opened
from connectors.core.git.keys import PUBLISHED_HOST_KEYS
from tests.git.acting import GMAIL, LOOPBACK, export, read

PATIENCE = 15.0
"""Seconds within which an agent must notice that its command is gone; it looks every ten."""


@pytest.fixture(autouse=True)
def temp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files alone; a short name, for the agent's socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def agents(temp: Path) -> list[int]:
    """Processes that serve a socket in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if b"ssh-agent" in command and str(temp).encode() in command:
            found.append(int(entry.parent.name))
    return found


def end(pid: int) -> bool:
    """Whether the process ends while it is waited for."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(PATIENCE * 1000))
    finally:
        os.close(descriptor)


@pytest.mark.ssh
def test_no_agent_and_no_file_is_left(ssh_access: Access, cache: Path, temp: Path) -> None:
    assert read(cache, ssh_access) == GMAIL.encode()
    assert all(map(end, agents(temp)))
    assert list(temp.iterdir()) == []


@pytest.mark.ssh
def test_writing_works_as_well(ssh_access: Access, cache: Path) -> None:
    export(cache, ssh_access)


def test_no_agent_is_left_when_a_host_does_not_answer(cache: Path, temp: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        host_key = PUBLISHED_HOST_KEYS[0].replace("github.com", f"[127.0.0.1]:{port}")
        key = make_deploy_key("test").private
        access = Access(f"ssh://git@127.0.0.1:{port}/a/b", deploy_key=key, known_hosts=host_key, allowed=LOOPBACK)
        with pytest.raises(GitError) as error, opened(cache, access, Limits(seconds=1)) as git:
            git.remote()
    assert error.value.fault is Fault.LIMIT
    assert all(map(end, agents(temp)))
    assert list(temp.iterdir()) == []


@pytest.mark.ssh
def test_a_key_that_no_agent_takes_is_said_to_be_the_matter(ssh_access: Access, cache: Path) -> None:
    broken = dataclasses.replace(ssh_access, deploy_key=SecretStr("no key at all"))
    with pytest.raises(GitError) as error:
        read(cache, broken)
    assert error.value.fault is Fault.CREDENTIAL


def test_without_ssh_on_the_machine_it_is_asked_for(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(GitError, match="ssh"), opened(cache, Access("git@127.0.0.1:a/b", allowed=LOOPBACK)) as git:
        git.remote()

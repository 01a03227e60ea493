"""A shop's repository, a way to reach it, and a cache of the test's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.git import Access
from tests.git.acting import GMAIL, LOOPBACK, PATH, SLACK_PATH
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker
from tests.servers.git_ssh import SshServer

FILES = {PATH: GMAIL, SLACK_PATH: '{"type": "slack", "scopes": []}\n', "README.md": "# Shop\n", "src/app.ts": "run()\n"}


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    """A repository on the HTTP host, with one project's connector files at its top."""
    made = git_server.make("acme/shop")
    made.commit(FILES, "Begin the shop")
    return made


@pytest.fixture
def access(git_server: GitServer, repo: RepoMaker) -> Access:
    """May read and write `repo`."""
    return Access(repo.url, "portal", git_server.token, allowed=LOOPBACK)


@pytest.fixture
def read_only(git_server: GitServer, access: Access) -> Access:
    """May read `repo`, and not write it."""
    return dataclasses.replace(access, token=git_server.read_only_token)


@pytest.fixture
def ssh_repo(ssh_server: SshServer) -> RepoMaker:
    """The same repository on the ssh host."""
    made = ssh_server.make("acme/shop")
    made.commit(FILES, "Begin the shop")
    return made


@pytest.fixture
def ssh_access(ssh_server: SshServer, ssh_repo: RepoMaker) -> Access:
    """May read and write `ssh_repo`."""
    return Access(ssh_repo.url, deploy_key=ssh_server.key, known_hosts=ssh_server.known_hosts, allowed=LOOPBACK)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Where the cache of one repository goes; nothing is there yet."""
    return tmp_path / "cache" / "1"


@pytest.fixture
def surroundings(tmp_path: Path, cache: Path) -> Iterator[Path]:
    """What lies beside the cache, which a repository must not reach; gives a file that must never appear."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "secret.jsonc").write_text(GMAIL)
    yield beside / "somebody-was-here"
    assert [path.name for path in beside.iterdir()] == ["secret.jsonc"]
    assert (beside / "secret.jsonc").read_text() == GMAIL

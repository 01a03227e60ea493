"""A company's repository of 100,000 files: an export of one file moves a few of its objects, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.git import Access, Git, opened
from tests.git.acting import LOOPBACK, push
from tests.servers.git_http import GitServer, git_http_server
from tests.servers.git_large import CONNECTORS, fill
from tests.servers.git_repos import RepoMaker

FILES = 100_000
MOST_BYTES = 200_000
"""A tenth of what is promised."""
GMAIL = f"{CONNECTORS}/gmail.jsonc"


@pytest.fixture(scope="module")
def large_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitServer, RepoMaker]]:
    """A host with one large repository, made once for all tests here."""
    with git_http_server(tmp_path_factory.mktemp("large")) as server:
        repo = server.make("acme/everything")
        fill(repo, files=FILES)
        yield server, repo


@pytest.fixture
def server(large_host: tuple[GitServer, RepoMaker]) -> GitServer:
    """The host, with nothing counted yet."""
    large_host[0].count_anew()
    return large_host[0]


@pytest.fixture
def access(large_host: tuple[GitServer, RepoMaker]) -> Access:
    """May read and write the large repository."""
    server, repo = large_host
    return Access(repo.url, "portal", server.token, allowed=LOOPBACK)


def add_a_line(git: Git) -> None:
    """An export of one file that changed."""
    newest = git.fetch("main")
    push(git, newest, {GMAIL: git.files(newest).read(GMAIL).decode() + "// one more line\n"})


def test_an_export_with_a_cold_cache_moves_under_2_mb(server: GitServer, access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        add_a_line(git)
    assert server.moved < MOST_BYTES


def test_an_export_with_a_warm_cache_moves_under_a_tenth_of_that(
    server: GitServer, access: Access, cache: Path
) -> None:
    with opened(cache, access) as git:
        add_a_line(git)
    server.count_anew()
    with opened(cache, access) as git:
        add_a_line(git)
    assert server.moved < MOST_BYTES / 10


def test_nothing_but_the_one_file_changes(large_host: tuple[GitServer, RepoMaker], access: Access, cache: Path) -> None:
    _, repo = large_host
    with opened(cache, access) as git:
        add_a_line(git)
    assert repo.changed(repo.head()) == [GMAIL]
    assert len(repo.paths()) == FILES


def test_the_cache_stays_small(access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        add_a_line(git)
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < MOST_BYTES


def test_finding_every_project_moves_folders_and_no_files(server: GitServer, access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        files = git.files(git.fetch("main"))
        files.prefetch_all_folders()
        assert len(files.entries("apps")) == 200
    assert server.moved < 40 * MOST_BYTES

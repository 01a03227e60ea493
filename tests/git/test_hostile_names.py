"""Names that git would take for more: of branches, of paths, and whole addresses. Nothing is run or reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.core.errors import ConfigFileError
from connectors.core.git import Access, Fault, GitError, opened
from tests.git.acting import LOOPBACK, NOW, PATH, PORTAL, WIDER, changes, export, read
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker

pytestmark = pytest.mark.usefixtures("surroundings")

REFUSALS = (GitError, ConfigFileError)


@pytest.mark.parametrize(
    "branch",
    [
        "",
        "-main",
        "--upload-pack=touch MARKER",
        "--receive-pack=touch MARKER",
        "main:refs/heads/other",
        "main^",
        "main~1",
        "main@{0}",
        "@",
        "main..other",
        "ma in",
        "ma\nin",
        "main\0",
        "main.lock",
        "../main",
        "main/",
        "*",
        "refs/heads/*",
    ],
)
def test_a_branch_name_that_git_would_read_as_more_than_a_name_is_refused(
    git_server: GitServer, access: Access, cache: Path, surroundings: Path, branch: str
) -> None:
    name = branch.replace("MARKER", str(surroundings))
    with opened(cache, access) as git:
        git_server.count_anew()
        with pytest.raises(GitError) as caught:
            git.fetch(name)
    assert caught.value.fault in (Fault.NO_BRANCH, Fault.ADDRESS)
    assert git_server.requests == []


@pytest.mark.parametrize("branch", ["+main", "HEAD", "refs/heads/main", "x" * 5000, "\u202emain"])
def test_an_odd_branch_name_is_a_name_and_nothing_more(access: Access, cache: Path, branch: str) -> None:
    with opened(cache, access) as git, pytest.raises(GitError) as caught:
        git.fetch(branch)
    assert caught.value.fault is Fault.NO_BRANCH


@pytest.mark.parametrize("branch", ["--force", "main:other", "", "a..b", "ma in"])
def test_nothing_is_pushed_to_such_a_branch(repo: RepoMaker, access: Access, cache: Path, branch: str) -> None:
    with opened(cache, access) as git:
        commit = git.commit(git.fetch("main"), changes({PATH: WIDER}), "Write connectors", PORTAL, NOW)
        with pytest.raises(GitError):
            git.push(commit, branch, expect="")
    assert repo.branches() == ["main"]


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch MARKER",
        "-oProxyCommand=touch MARKER",
        "ext::sh -c touch% MARKER",
        "fd::17/foo",
        "git://127.0.0.1/acme/shop.git",
        "ftp://127.0.0.1/acme/shop.git",
        "ssh://-oProxyCommand=touch%20MARKER/acme/shop.git",
        "ssh://git@-oProxyCommand=touch/acme/shop.git",
        "-oProxyCommand=touch@127.0.0.1:acme/shop.git",
        "git@127.0.0.1:--upload-pack=touch",
        "ssh://git@127.0.0.1/$(touch MARKER)",
        "ssh://git@127.0.0.1/'; touch MARKER; '",
        "https://someone:something@127.0.0.1/acme/shop.git",
        "https://127.0.0.1\n/acme/shop.git",
        "http::http://127.0.0.1/acme/shop.git",
        "transport::https://127.0.0.1/acme/shop.git",
        "/etc/passwd",
        "../shop.git",
        "file:///etc",
        "",
    ],
)
def test_an_address_that_git_would_read_as_an_order_is_refused(cache: Path, surroundings: Path, url: str) -> None:
    access = Access(url.replace("MARKER", str(surroundings)), allowed=LOOPBACK)
    with pytest.raises(GitError) as caught:
        read(cache, access)
    assert caught.value.fault is Fault.ADDRESS
    assert caught.value.permanent


@pytest.mark.parametrize(
    "path",
    ["../x.jsonc", "/etc/x.jsonc", ".git/config", "base44/.git/hooks/x", "a//b", "a/../b", "a/./b", "", "a\0b", "a/"],
)
def test_a_path_that_leaves_the_repository_is_not_written(
    repo: RepoMaker, access: Access, cache: Path, path: str
) -> None:
    before = repo.head()
    with pytest.raises((GitError, ConfigFileError, ValueError)):
        export(cache, access, {path: WIDER})
    assert repo.head() == before


@pytest.mark.parametrize("path", ["../shop/x", "/etc/hostname", f"{PATH}/../../..", "base44/../../beside/secret.jsonc"])
def test_a_path_that_leaves_the_repository_is_not_read(access: Access, cache: Path, path: str) -> None:
    with pytest.raises(REFUSALS):
        read(cache, access, path)

"""A host in trouble: what is said, what is tried again, and that nothing is half done."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from connectors.core.git import Access, Fault, GitError, Limits, opened
from tests.git.acting import GMAIL, NOW, PATH, PORTAL, WIDER, changes, export, read
from tests.git.processes import running_git
from tests.servers.git_http import FETCH, LOOK, LOOK_BEFORE_PUSH, PUSH, GitServer, git_http_server
from tests.servers.git_repos import RepoMaker
from tests.servers.worker import eventually

HURRIED = Limits(seconds=1.5)


def fault(cache: Path, access: Access, *, write: bool = False, limits: Limits | None = None) -> GitError:
    """The error that reading (or writing) raises."""
    with pytest.raises(GitError) as caught:
        export(cache, access, limits=limits) if write else read(cache, access, limits=limits)
    return caught.value


@pytest.mark.parametrize(
    ("status", "expected", "permanent"),
    [
        (401, Fault.CREDENTIAL, True),
        (403, Fault.CREDENTIAL, True),
        (404, Fault.NO_REPOSITORY, True),
        (500, Fault.UNREACHABLE, False),
        (502, Fault.UNREACHABLE, False),
        (503, Fault.UNREACHABLE, False),
        (429, Fault.UNREACHABLE, False),
    ],
)
def test_a_refused_reading_has_its_fault(
    git_server: GitServer, access: Access, cache: Path, status: int, expected: Fault, permanent: bool
) -> None:
    git_server.trouble(status=status)
    error = fault(cache, access)
    assert (error.fault, error.permanent) == (expected, permanent)


@pytest.mark.parametrize("on", [LOOK, FETCH])
def test_after_a_failure_the_next_reading_works(git_server: GitServer, access: Access, cache: Path, on: str) -> None:
    git_server.trouble(on, status=503, times=1)
    fault(cache, access)
    assert read(cache, access) == GMAIL.encode()


@pytest.mark.parametrize("after", [0, 60])
def test_a_connection_that_is_cut_is_no_verdict_on_anything(
    git_server: GitServer, access: Access, cache: Path, after: int
) -> None:
    git_server.trouble(FETCH, cut_after=after, times=1)
    error = fault(cache, access)
    assert (error.fault, error.permanent) == (Fault.UNREACHABLE, False)
    assert read(cache, access) == GMAIL.encode()


def test_a_host_that_stalls_is_given_up_and_git_is_gone(git_server: GitServer, access: Access, cache: Path) -> None:
    git_server.trouble(FETCH, hold="before")
    error = fault(cache, access, limits=HURRIED)
    assert (error.fault, error.permanent) == (Fault.LIMIT, False)
    eventually("git and its helpers are gone", lambda: running_git(cache) == [])


def test_after_a_stall_the_cache_works(git_server: GitServer, access: Access, cache: Path) -> None:
    stalled = git_server.trouble(FETCH, hold="before")
    fault(cache, access, limits=HURRIED)
    stalled.times = 0
    assert read(cache, access) == GMAIL.encode()


def test_a_redirect_is_not_followed(git_server: GitServer, access: Access, cache: Path, tmp_path: Path) -> None:
    with git_http_server(tmp_path / "elsewhere") as elsewhere:
        git_server.trouble(status=302, location=elsewhere.url)
        error = fault(cache, access)
    assert elsewhere.requests == []
    assert error.permanent


def test_a_redirect_in_the_middle_is_not_followed(
    git_server: GitServer, access: Access, cache: Path, tmp_path: Path
) -> None:
    with git_http_server(tmp_path / "elsewhere") as elsewhere:
        git_server.trouble(FETCH, status=307, location=elsewhere.url)
        fault(cache, access)
    assert elsewhere.requests == []


def test_nobody_at_the_port_is_said_so(access: Access, cache: Path) -> None:
    error = fault(cache, dataclasses.replace(access, url="http://127.0.0.1:9/acme/shop.git"))
    assert (error.fault, error.permanent) == (Fault.UNREACHABLE, False)


def test_a_page_that_is_no_git_host_is_said_so(git_server: GitServer, access: Access, cache: Path) -> None:
    git_server.trouble(status=200, page="<!doctype html>\n<title>Log in</title>\n<form></form>\n")
    assert fault(cache, access).fault in (Fault.NO_REPOSITORY, Fault.ADDRESS)


def test_a_host_that_never_stops_talking_is_cut_off(git_server: GitServer, access: Access, cache: Path) -> None:
    head = b"HTTP/1.0 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n\r\n"
    git_server.trouble(LOOK, endless=head + b"001e# service=git-upload-pack\n" * 2000)
    assert fault(cache, access, limits=Limits(bytes=4 * 1024 * 1024)).fault is Fault.LIMIT


def test_a_branch_that_moves_before_the_push_is_not_overwritten(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    git_server.trouble(LOOK_BEFORE_PUSH, action=lambda: repo.commit({"README.md": "first\n"}, "Be first"), times=1)
    assert fault(cache, access, write=True).fault is Fault.MOVED
    assert [entry.subject for entry in repo.log()] == ["Be first", "Begin the shop"]


def test_a_branch_that_moves_while_the_push_is_under_way_is_not_overwritten(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    git_server.trouble(PUSH, action=lambda: repo.commit({"README.md": "first\n"}, "Be first"), times=1)
    assert fault(cache, access, write=True).fault is Fault.MOVED
    assert [entry.subject for entry in repo.log()] == ["Be first", "Begin the shop"]


def test_a_push_without_an_answer_is_found_to_have_arrived(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    git_server.trouble(PUSH, cut_after=0, times=1)
    with opened(cache, access) as git:
        base = git.fetch("main")
        commit = git.commit(base, changes({PATH: WIDER}), "Write connectors", PORTAL, NOW)
        with pytest.raises(GitError) as caught:
            git.push(commit, "main", expect=base.oid)
        assert not caught.value.permanent
        assert git.fetch("main").oid == commit.oid


def test_a_push_that_was_stopped_on_its_way_changes_nothing(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    before = repo.head()
    git_server.trouble(PUSH, status=503, times=1)
    assert not fault(cache, access, write=True).permanent
    assert repo.head() == before
    export(cache, access)
    assert len(repo.log()) == 2

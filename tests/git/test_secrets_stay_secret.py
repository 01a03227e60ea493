"""A credential is nowhere to be seen: not among processes, not on disk, not in what is said of a failure."""

from __future__ import annotations

import dataclasses
import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.core.git import Access, GitError
from tests.git.acting import GMAIL, export, read
from tests.git.processes import command_lines, contents, forms
from tests.servers.git_http import FETCH, LOOK, PUSH, GitServer, git_http_server
from tests.servers.git_repos import RepoMaker


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary files of the test's processes go where it can look for them."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextmanager
def held(server: GitServer, on: str, work: Callable[[], object]) -> Iterator[None]:
    """The block runs while `work` waits for the host's answer to a request with `on`."""
    server.trouble(on, hold="before", times=1)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        assert server.arrived.wait(30)
        yield
    finally:
        server.release()
        thread.join()


def seen(secrets: list[bytes], places: Iterator[bytes]) -> list[bytes]:
    """Where any of the secrets stands."""
    return [place for place in places if any(secret in place for secret in secrets)]


@pytest.mark.parametrize("on", [LOOK, FETCH, PUSH])
def test_the_token_is_on_no_command_line_and_in_no_file_while_git_runs(
    git_server: GitServer, access: Access, cache: Path, tmp_path: Path, on: str
) -> None:
    secrets = forms(git_server.token, access.username)
    with held(git_server, on, lambda: export(cache, access)):
        assert seen(secrets, command_lines()) == []
        assert seen(secrets, contents(tmp_path)) == []


def test_the_token_reached_the_host_all_the_same(git_server: GitServer, access: Access, cache: Path) -> None:
    export(cache, access)
    assert {b"Basic " + forms(git_server.token, access.username)[-1]} == {
        header.encode() for header in git_server.credentials if header
    }


def test_nothing_of_the_token_is_left_after_an_export(
    git_server: GitServer, access: Access, cache: Path, tmp_path: Path
) -> None:
    export(cache, access)
    secrets = forms(git_server.token, access.username)
    assert seen(secrets, contents(tmp_path)) == []
    assert seen(secrets, (value.encode() for value in os.environ.values())) == []


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_no_failure_tells_the_token(
    git_server: GitServer, access: Access, cache: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    git_server.trouble(status=status)
    with pytest.raises(GitError) as caught:
        read(cache, access)
    told = f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caplog.text}".encode()
    assert seen(forms(git_server.token, access.username), iter([told])) == []


def test_the_token_goes_to_no_other_host(git_server: GitServer, access: Access, cache: Path, tmp_path: Path) -> None:
    with git_http_server(tmp_path / "elsewhere") as elsewhere:
        git_server.trouble(FETCH, status=302, location=elsewhere.url)
        with pytest.raises(GitError):
            read(cache, access)
        assert elsewhere.credentials == set()


def test_a_host_that_echoes_the_token_is_not_quoted(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    repo.protect("main", f"fatal: bad token {git_server.token.get_secret_value()}")
    with pytest.raises(GitError) as caught:
        export(cache, access)
    assert git_server.token.get_secret_value() not in str(caught.value)


@pytest.mark.parametrize("name", ["GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE2_EVENT"])
def test_tracing_that_is_on_for_the_portal_is_off_for_its_git(
    access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_TRACE_REDACT", "0")
    read(cache, access)
    assert not (tmp_path / "trace").exists()


def test_a_configuration_of_the_portals_user_is_not_read(
    git_server: GitServer, access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "http://127.0.0.1:9/"]\n\tinsteadOf = {git_server.url}/\n')
    (home / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    assert read(cache, access) == GMAIL.encode()


def test_the_portals_user_lends_no_credential(
    git_server: GitServer, access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login x password {git_server.token.get_secret_value()}\n")
    asked = tmp_path / "asked"
    helper = tmp_path / "askpass"
    helper.write_text(f"#!/bin/sh\ntouch {asked}\necho somebody\n")
    helper.chmod(0o755)
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(helper))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(GitError):
        read(cache, dataclasses.replace(access, token=None))
    assert not asked.exists()


def test_variables_that_point_git_elsewhere_are_not_heard(
    access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_EXEC_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'http.proxy'='http://127.0.0.1:9'")
    assert read(cache, access) == GMAIL.encode()


def test_two_credentials_in_turn_leave_no_trace_of_either(
    git_server: GitServer, access: Access, cache: Path, tmp_path: Path
) -> None:
    other = SecretStr("not-the-one-that-is-asked-for")
    with suppress(GitError):
        read(cache, dataclasses.replace(access, token=other))
    read(cache, access)
    assert seen([*forms(other, "portal"), *forms(git_server.token, "portal")], contents(tmp_path)) == []

"""core/git against a real sshd: deploy keys, host keys, and that the key is nowhere to be seen."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from pathlib import Path

import pytest

from connectors.core.git import (
    Access,
    Fault,
    GitError,
    fingerprint,
    look_up_host_keys,
    make_deploy_key,
    opened,
    parse_url,
)
from connectors.core.net import Allowed
from tests.git.acting import GMAIL, LOOPBACK, PATH, WIDER, export, read
from tests.git.processes import command_lines, contents, forms, running_git
from tests.servers.git_repos import RepoMaker
from tests.servers.git_ssh import SshServer
from tests.servers.worker import eventually

pytestmark = pytest.mark.ssh


def refused(cache: Path, access: Access, *, write: bool = False) -> GitError:
    """The error that reading (or writing) raises."""
    with pytest.raises(GitError) as caught:
        export(cache, access) if write else read(cache, access)
    return caught.value


def test_a_file_is_read_with_a_deploy_key(ssh_access: Access, cache: Path) -> None:
    assert read(cache, ssh_access) == GMAIL.encode()


def test_a_push_adds_one_commit_that_changes_the_file_alone(
    ssh_repo: RepoMaker, ssh_access: Access, cache: Path
) -> None:
    commit = export(cache, ssh_access)
    assert ssh_repo.changed(commit.oid) == [PATH]
    assert ssh_repo.read(PATH) == WIDER.encode()


def test_a_key_that_the_host_does_not_know_is_a_matter_of_the_credential(ssh_access: Access, cache: Path) -> None:
    error = refused(cache, dataclasses.replace(ssh_access, deploy_key=make_deploy_key("portal").private))
    assert (error.fault, error.permanent) == (Fault.CREDENTIAL, True)


def test_no_key_at_all_is_a_matter_of_the_credential(ssh_access: Access, cache: Path) -> None:
    assert refused(cache, dataclasses.replace(ssh_access, deploy_key=None)).fault is Fault.CREDENTIAL


def test_a_read_only_key_reads(ssh_server: SshServer, ssh_access: Access, cache: Path) -> None:
    assert read(cache, dataclasses.replace(ssh_access, deploy_key=ssh_server.read_only_key)) == GMAIL.encode()


def test_a_read_only_key_cannot_write(
    ssh_server: SshServer, ssh_repo: RepoMaker, ssh_access: Access, cache: Path
) -> None:
    before = ssh_repo.head()
    reader = dataclasses.replace(ssh_access, deploy_key=ssh_server.read_only_key)
    assert refused(cache, reader, write=True).fault is Fault.READ_ONLY
    assert ssh_repo.head() == before


def test_a_host_whose_key_nobody_confirmed_is_not_talked_to(ssh_access: Access, cache: Path) -> None:
    error = refused(cache, dataclasses.replace(ssh_access, known_hosts=""))
    assert (error.fault, error.permanent) == (Fault.HOST_KEY, True)


def test_a_host_that_shows_another_key_is_not_talked_to(ssh_server: SshServer, ssh_access: Access, cache: Path) -> None:
    read(cache, ssh_access)
    ssh_server.change_host_key()
    error = refused(cache, ssh_access)
    assert (error.fault, error.permanent) == (Fault.HOST_KEY, True)


def test_known_hosts_of_the_portals_user_do_not_count(
    ssh_server: SshServer, ssh_access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(ssh_server.known_hosts)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refused(cache, dataclasses.replace(ssh_access, known_hosts="")).fault is Fault.HOST_KEY


def test_an_agent_of_the_portals_user_lends_no_key(
    ssh_access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    assert read(cache, ssh_access) == GMAIL.encode()


def test_host_keys_are_looked_up_for_a_person_to_confirm(
    ssh_server: SshServer, ssh_access: Access, cache: Path
) -> None:
    lines = look_up_host_keys(parse_url(ssh_access.url), LOOPBACK)
    assert fingerprint(ssh_server.host_key) in {fingerprint(line.split(" ", 1)[1]) for line in lines}
    confirmed = dataclasses.replace(ssh_access, known_hosts="\n".join(lines))
    assert read(cache, confirmed) == GMAIL.encode()


def test_a_private_address_is_refused_before_anybody_is_asked(
    ssh_server: SshServer, ssh_access: Access, cache: Path
) -> None:
    error = refused(cache, dataclasses.replace(ssh_access, allowed=Allowed()))
    assert error.fault is Fault.ADDRESS
    assert ssh_server.connections == 0


def test_host_keys_of_a_private_address_are_not_looked_up(ssh_server: SshServer, ssh_access: Access) -> None:
    with pytest.raises(GitError) as caught:
        look_up_host_keys(parse_url(ssh_access.url), Allowed())
    assert caught.value.fault is Fault.ADDRESS
    assert ssh_server.connections == 0


def test_a_missing_repository_is_said_to_be_missing(ssh_access: Access, cache: Path) -> None:
    other = ssh_access.url.replace("acme/shop", "acme/other")
    assert refused(cache, dataclasses.replace(ssh_access, url=other)).fault is Fault.NO_REPOSITORY


def test_whether_the_key_may_write_is_known_without_writing(
    ssh_server: SshServer, ssh_repo: RepoMaker, ssh_access: Access, cache: Path
) -> None:
    before = ssh_repo.head()
    with opened(cache, ssh_access) as git:
        git.can_push("main")
    reader = dataclasses.replace(ssh_access, deploy_key=ssh_server.read_only_key)
    with opened(cache, reader) as git, pytest.raises(GitError) as caught:
        git.can_push("main")
    assert caught.value.fault is Fault.READ_ONLY
    assert ssh_repo.head() == before


def test_the_key_is_on_no_command_line_and_in_no_file_while_git_runs(
    ssh_server: SshServer, ssh_access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ssh_server.held() as arrived:
        reading = threading.Thread(target=read, args=(cache, ssh_access))
        reading.start()
        eventually("somebody logs in", arrived.exists)
        places = [*command_lines(), *contents(tmp_path)]
    reading.join()
    assert not [place for place in places if any(secret in place for secret in forms(ssh_server.key))]


def test_nothing_of_the_key_and_no_agent_is_left(
    ssh_server: SshServer, ssh_access: Access, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    export(cache, ssh_access)
    assert not [place for place in contents(tmp_path) if any(secret in place for secret in forms(ssh_server.key))]
    eventually("git and its agent are gone", lambda: running_git(cache) == [])

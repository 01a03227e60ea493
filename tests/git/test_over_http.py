"""core/git against a real git host: smart HTTP, credentials, and what the host's history holds afterwards."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pydantic import SecretStr

from connectors.core.git import Access, Fault, GitError, opened
from connectors.core.net import Allowed
from tests.git.acting import CONNECTORS, GMAIL, LOOPBACK, NOW, PATH, PORTAL, SLACK_PATH, WIDER, changes, export, read
from tests.servers.certificates import certificate_for
from tests.servers.git_http import GitServer, git_http_server
from tests.servers.git_repos import RepoMaker, executable


def refused(cache: Path, access: Access, *, write: bool = False) -> GitError:
    """The error that reading (or writing) raises."""
    with pytest.raises(GitError) as caught:
        export(cache, access) if write else read(cache, access)
    return caught.value


def test_a_file_is_read_as_the_branch_has_it(repo: RepoMaker, access: Access, cache: Path) -> None:
    assert read(cache, access) == GMAIL.encode()


def test_a_warm_cache_sees_the_newest_commit(repo: RepoMaker, access: Access, cache: Path) -> None:
    read(cache, access)
    repo.commit({PATH: WIDER})
    assert read(cache, access) == WIDER.encode()


def test_a_branch_that_was_rewritten_is_read_as_it_is_now(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({PATH: WIDER}, "Ask for too much")
    read(cache, access)
    repo.git("update-ref", "refs/heads/main", "refs/heads/main^")
    assert read(cache, access) == GMAIL.encode()


def test_the_newest_commit_is_told_with_author_and_subject(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({PATH: WIDER}, "Send mail too\n\nFor the newsletter.", "Ana Ruiz <ana@example.com>")
    with opened(cache, access) as git:
        commit = git.fetch("main")
    assert (commit.oid, commit.subject) == (repo.head(), "Send mail too")
    assert commit.author == "Ana Ruiz <ana@example.com>"


def test_branches_and_the_main_one_are_listed(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({"README.md": "next\n"}, branch="feature/next")
    with opened(cache, access) as git:
        remote = git.remote()
    assert remote.default == "main"
    assert remote.branches == {"main": repo.head(), "feature/next": repo.head("feature/next")}


def test_a_folder_is_listed_and_a_missing_one_is_empty(repo: RepoMaker, access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        files = git.files(git.fetch("main"))
        assert files.entries(CONNECTORS) == {"gmail.jsonc": "file", "slack.jsonc": "file"}
        assert files.entries("base44/functions") == {}


def test_a_push_adds_one_commit_that_changes_the_file_alone(repo: RepoMaker, access: Access, cache: Path) -> None:
    before = repo.head()
    commit = export(cache, access)
    assert [entry.oid for entry in repo.log()] == [commit.oid, before]
    assert repo.changed(commit.oid) == [PATH]
    assert repo.read(PATH) == WIDER.encode()


def test_a_commit_names_its_author_and_says_what_it_was_told(repo: RepoMaker, access: Access, cache: Path) -> None:
    export(cache, access)
    newest = repo.log()[0]
    assert (newest.author, newest.subject) == ("Connector portal <portal@example.com>", "Write connectors")


def test_a_file_is_removed_and_another_made_in_one_commit(repo: RepoMaker, access: Access, cache: Path) -> None:
    export(cache, access, {SLACK_PATH: None, "apps/crm/base44/connectors/notion.jsonc": "{}\n"})
    assert repo.paths() == ["README.md", "apps/crm/base44/connectors/notion.jsonc", PATH, "src/app.ts"]
    assert len(repo.log()) == 2


def test_what_was_pushed_is_a_sound_repository(repo: RepoMaker, access: Access, cache: Path) -> None:
    export(cache, access)
    export(cache, access, {"apps/crm/base44/connectors/notion.jsonc": "{}\n"})
    repo.check()


def test_a_file_that_may_be_run_still_may_after_an_edit(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({PATH: executable(GMAIL.encode())})
    export(cache, access)
    assert repo.mode(PATH) == "100755"


def test_a_new_branch_is_made_for_a_pull_request(repo: RepoMaker, access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        commit = git.commit(git.fetch("main"), changes({PATH: WIDER}), "Write connectors", PORTAL, NOW)
        git.push(commit, "connector-portal/main/all", expect="")
    assert repo.branches() == ["connector-portal/main/all", "main"]
    assert repo.read(PATH, "connector-portal/main/all") == WIDER.encode()


def test_the_portals_own_branch_is_replaced_only_where_it_was_left(
    repo: RepoMaker, access: Access, cache: Path
) -> None:
    with opened(cache, access) as git:
        base = git.fetch("main")
        first = git.commit(base, changes({PATH: "{}\n"}), "First", PORTAL, NOW)
        git.push(first, "proposal", expect="")
        second = git.commit(base, changes({PATH: WIDER}), "Second", PORTAL, NOW)
        git.push(second, "proposal", expect=first.oid)
        theirs = repo.commit({"README.md": "mine\n"}, branch="proposal")
        with pytest.raises(GitError) as caught:
            git.push(first, "proposal", expect=second.oid)
    assert caught.value.fault is Fault.MOVED
    assert repo.head("proposal") == theirs


def test_a_branch_that_moved_since_it_was_read_is_not_overwritten(repo: RepoMaker, access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        base = git.fetch("main")
        theirs = repo.commit({"README.md": "meanwhile\n"})
        commit = git.commit(base, changes({PATH: WIDER}), "Write connectors", PORTAL, NOW)
        with pytest.raises(GitError) as caught:
            git.push(commit, "main", expect=base.oid)
    assert caught.value.fault is Fault.MOVED
    assert repo.head() == theirs


def test_a_branch_that_is_already_there_is_not_made_again(repo: RepoMaker, access: Access, cache: Path) -> None:
    theirs = repo.commit({"README.md": "theirs\n"}, branch="proposal")
    with opened(cache, access) as git:
        commit = git.commit(git.fetch("main"), changes({PATH: WIDER}), "Write connectors", PORTAL, NOW)
        with pytest.raises(GitError) as caught:
            git.push(commit, "proposal", expect="")
    assert caught.value.fault is Fault.MOVED
    assert repo.head("proposal") == theirs


def test_a_commit_that_would_change_nothing_is_none(repo: RepoMaker, access: Access, cache: Path) -> None:
    with opened(cache, access) as git:
        base = git.fetch("main")
        with pytest.raises(ValueError, match="nothing"):
            git.commit(base, changes({PATH: GMAIL}), "Write connectors", PORTAL, NOW)


def test_a_wrong_token_is_a_matter_of_the_credential(access: Access, cache: Path) -> None:
    error = refused(cache, dataclasses.replace(access, token=SecretStr("wrong")))
    assert error.fault is Fault.CREDENTIAL
    assert error.permanent


def test_no_token_at_all_is_a_matter_of_the_credential(access: Access, cache: Path) -> None:
    assert refused(cache, dataclasses.replace(access, token=None)).fault is Fault.CREDENTIAL


def test_a_public_repository_is_read_without_a_token(git_server: GitServer, access: Access, cache: Path) -> None:
    git_server.is_public = True
    assert read(cache, dataclasses.replace(access, token=None)) == GMAIL.encode()


def test_a_reader_reads(read_only: Access, cache: Path) -> None:
    assert read(cache, read_only) == GMAIL.encode()


def test_a_reader_cannot_write(repo: RepoMaker, read_only: Access, cache: Path) -> None:
    before = repo.head()
    assert refused(cache, read_only, write=True).fault is Fault.READ_ONLY
    assert repo.head() == before


def test_whether_the_credential_may_write_is_known_without_writing(
    repo: RepoMaker, access: Access, read_only: Access, cache: Path
) -> None:
    before = repo.head()
    with opened(cache, access) as git:
        git.can_push("main")
    with opened(cache, read_only) as git, pytest.raises(GitError) as caught:
        git.can_push("main")
    assert caught.value.fault is Fault.READ_ONLY
    assert repo.head() == before


def test_a_repository_that_is_not_there_is_said_to_be_missing(
    git_server: GitServer, access: Access, cache: Path
) -> None:
    error = refused(cache, dataclasses.replace(access, url=f"{git_server.url}/acme/other.git"))
    assert error.fault is Fault.NO_REPOSITORY


def test_a_branch_that_is_not_there_is_said_to_be_missing(access: Access, cache: Path) -> None:
    with opened(cache, access) as git, pytest.raises(GitError) as caught:
        git.fetch("nowhere")
    assert caught.value.fault is Fault.NO_BRANCH


def test_a_protected_branch_is_said_to_be_protected(repo: RepoMaker, access: Access, cache: Path) -> None:
    before = repo.head()
    repo.protect("main", "GH006: Protected branch update failed for refs/heads/main.")
    assert refused(cache, access, write=True).fault is Fault.PROTECTED
    assert repo.head() == before


def test_a_host_without_partial_clone_serves_as_well(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.without_filters()
    commit = export(cache, access)
    assert repo.changed(commit.oid) == [PATH]


def test_a_private_address_is_refused_before_anything_is_asked(
    git_server: GitServer, access: Access, cache: Path
) -> None:
    error = refused(cache, dataclasses.replace(access, allowed=Allowed()))
    assert error.fault is Fault.ADDRESS
    assert git_server.requests == []


def test_a_certificate_that_nobody_trusts_stops_everything(tmp_path: Path, cache: Path) -> None:
    with git_http_server(tmp_path / "host", certificate_for("127.0.0.1").server) as server:
        access = Access(server.make().url, "portal", server.token, allowed=LOOPBACK)
        assert refused(cache, access).fault is Fault.UNREACHABLE
        assert server.requests == []


def test_a_company_s_own_certificate_is_trusted_where_git_is_told_to(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificate_for("127.0.0.1")
    (tmp_path / "ca.pem").write_text(certificate.pem)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(tmp_path / "ca.pem"))
    with git_http_server(tmp_path / "host", certificate.server) as server:
        repo = server.make()
        repo.commit({PATH: GMAIL})
        assert read(cache, Access(repo.url, "portal", server.token, allowed=LOOPBACK)) == GMAIL.encode()

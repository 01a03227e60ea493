"""Commits that were put together without a working copy, against what git makes with one."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.core.git import Access, Author, Commit, Fault, Git, GitError, PathChange, opened
from tests.git.acting import NOW, PORTAL, changes
from tests.servers.git_repos import RepoMaker, clean_environment, executable, submodule, symlink

NAMES = st.sampled_from(["a", "b", "a.b", "a-", "b0", "ä", "Zoë", "a b"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENTS = st.binary(max_size=20)
FILES = st.dictionaries(PATHS, CONTENTS, min_size=1, max_size=8)


@pytest.fixture
def bare(tmp_path: Path) -> RepoMaker:
    """A repository on this disk; the commits here need no server."""
    return RepoMaker(tmp_path / "shop.git")


@pytest.fixture
def git(bare: RepoMaker, tmp_path: Path) -> Iterator[Git]:
    with opened(tmp_path / "cache" / "1", Access(bare.url, file_urls=True)) as git:
        yield git


def write(git: Git, base: Commit | None, files: Mapping[str, str | None]) -> Commit:
    return git.commit(base, changes(files), "Write", PORTAL, NOW)


def plain(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of these files that can lie side by side: none is a folder of another."""
    return {path: raw for path, raw in files.items() if not any(other.startswith(f"{path}/") for other in files)}


def tree_by_git(folder: Path, files: Mapping[str, bytes]) -> str:
    """The id that git itself gives a folder of these files."""

    def run(*arguments: str) -> str:
        command = ["git", "-c", "core.autocrlf=false", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True, env=clean_environment())
        return done.stdout.decode().strip()

    run("init", "-q", "--template=")
    for path, raw in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(raw)
    run("add", "--all", "--force", ".")
    return run("write-tree")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=FILES.map(plain), put=FILES, removed=st.sets(PATHS, max_size=4))
def test_any_changes_give_the_tree_that_git_gives_with_a_working_copy(
    before: dict[str, bytes], put: dict[str, bytes], removed: set[str]
) -> None:
    after = {path: raw for path, raw in before.items() if path not in removed}
    # A file where the other side has a folder is refused, which the tests below look at.
    put = plain({path: raw for path, raw in plain(put).items() if fits(path, before)})
    wanted = [PathChange(path, raw) for path, raw in put.items()]
    wanted += [PathChange(path, None) for path in removed if path in before and path not in put]
    after |= put
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bare = RepoMaker(folder / "shop.git")
        bare.commit(before)
        (folder / "work").mkdir()
        with opened(folder / "cache", Access(bare.url, file_urls=True)) as git:
            base = git.fetch("main")
            expected = tree_by_git(folder / "work", after)
            if expected == base.tree:
                with pytest.raises(ValueError, match="nothing"):
                    git.commit(base, wanted, "Write", PORTAL, NOW)
                return
            commit = git.commit(base, wanted, "Write", PORTAL, NOW)
            assert commit.tree == expected
            git.push(commit, "main", expect=base.oid)
        bare.check()


def fits(path: str, files: Mapping[str, bytes]) -> bool:
    return not any(other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in files)


def test_a_commit_says_who_when_and_what(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "1"})
    base = git.fetch("main")
    commit = git.commit(base, changes({"a": "2"}), "Write a\n\nBecause.", Author("Zoë <Vale>", "zoe@example.com"), NOW)
    git.push(commit, "main", expect=base.oid)
    newest = bare.log()[0]
    assert (newest.oid, newest.author) == (commit.oid, "Zoë Vale <zoe@example.com>")
    assert (newest.subject, newest.body.strip()) == ("Write a", "Because.")
    assert commit.at == NOW


@pytest.mark.parametrize("author", [Author("", ""), Author("<>", "<>"), Author("\n\0", "\n"), Author(".,:", " ")])
def test_an_author_of_whom_nothing_is_left_becomes_the_portal(git: Git, author: Author) -> None:
    commit = git.commit(None, changes({"a": "1"}), "Write", author, NOW)
    assert commit.author == "Connector portal <connector-portal@localhost>"


def test_an_edited_file_keeps_its_mode_and_a_new_one_is_plain(git: Git, bare: RepoMaker) -> None:
    bare.commit({"run.json": executable(b"{}")})
    base = git.fetch("main")
    git.push(write(git, base, {"run.json": "{ }", "new.json": "{}"}), "main", expect=base.oid)
    assert (bare.mode("run.json"), bare.mode("new.json")) == ("100755", "100644")


def test_what_was_not_changed_stays_even_if_it_is_strange(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "1", "link": symlink("/etc/passwd"), "vendor": submodule(), "deep/er/b": "2"})
    base = git.fetch("main")
    git.push(write(git, base, {"a": "2"}), "main", expect=base.oid)
    assert bare.paths() == ["a", "deep/er/b", "link", "vendor"]
    assert (bare.mode("link"), bare.mode("vendor")) == ("120000", "160000")


def test_the_first_commit_of_an_empty_repository(git: Git, bare: RepoMaker) -> None:
    git.push(write(git, None, {"base44/connectors/gmail.jsonc": "{}"}), "main", expect="")
    assert bare.paths() == ["base44/connectors/gmail.jsonc"]


def test_a_folder_whose_last_file_goes_is_gone(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a/b/c": "1", "d": "2"})
    base = git.fetch("main")
    git.push(write(git, base, {"a/b/c": None}), "main", expect=base.oid)
    assert bare.git("ls-tree", "--name-only", "main").decode().split() == ["d"]


def test_nothing_to_change_is_no_commit(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "1"})
    base = git.fetch("main")
    for files in ({"a": "1"}, {"b": None}, {"c/d": None}):
        with pytest.raises(ValueError, match="nothing"):
            write(git, base, files)
    with pytest.raises(ValueError, match="nothing"):
        write(git, None, {})


def test_one_path_is_not_changed_twice(git: Git) -> None:
    with pytest.raises(ValueError, match="twice"):
        git.commit(None, [PathChange("a", b"1"), PathChange("a", b"2")], "Write", PORTAL, NOW)
    with pytest.raises(ValueError, match="folder"):
        git.commit(None, [PathChange("a", b"1"), PathChange("a/b", b"2")], "Write", PORTAL, NOW)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "a\nb", "\u202ea"),
        *(".git/config", "a/.GIT/hooks/x", "git~1/x", ".git ./x", "a/.g\u200dit/x", ".git::$INDEX_ALLOCATION/x"),
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(git: Git, path: str) -> None:
    with pytest.raises(GitError) as refusal:
        write(git, None, {path: "x"})
    assert refusal.value.fault is Fault.HOSTILE


@pytest.mark.parametrize(
    "path", ["link", "link/x", "vendor", "vendor/x", "file/x", "folder", "FILE", "Folder/x", "cafe\u0301"]
)
def test_a_path_that_leads_through_something_else_is_refused(git: Git, bare: RepoMaker, path: str) -> None:
    bare.commit({"link": symlink("folder"), "vendor": submodule(), "file": "1", "folder/b": "2", "café": "3"}, "Begin")
    with pytest.raises(GitError) as refusal:
        write(git, git.fetch("main"), {path: "x"})
    assert refusal.value.fault is Fault.HOSTILE


def test_a_branch_that_is_elsewhere_is_left_alone(git: Git, bare: RepoMaker) -> None:
    first = bare.commit({"a": "1"})
    base = git.fetch("main")
    commit = write(git, base, {"a": "2"})
    for expect in ("", "1" * 40):
        with pytest.raises(GitError) as refusal:
            git.push(commit, "main", expect=expect)
        assert refusal.value.fault is Fault.MOVED
    assert bare.head() == first


def test_a_branch_that_was_set_back_is_left_alone(git: Git, bare: RepoMaker) -> None:
    first = bare.commit({"a": "1"})
    second = bare.commit({"a": "2"})
    commit = write(git, git.fetch("main"), {"a": "3"})
    bare.git("update-ref", "refs/heads/main", first)
    with pytest.raises(GitError) as refusal:
        git.push(commit, "main", expect=second)
    assert (refusal.value.fault, bare.head()) == (Fault.MOVED, first)


def test_pushing_the_same_commit_again_does_no_harm(git: Git, bare: RepoMaker) -> None:
    base = bare.commit({"a": "1"})
    commit = write(git, git.fetch("main"), {"a": "2"})
    git.push(commit, "main", expect=base)
    git.push(commit, "main", expect=base)
    assert [entry.oid for entry in bare.log()] == [commit.oid, base]


def test_the_portals_own_branch_is_replaced(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "1"})
    base = git.fetch("main")
    old, new = write(git, base, {"a": "2"}), write(git, base, {"a": "3"})
    git.push(old, "portal/shop", expect="")
    git.push(new, "portal/shop", expect=old.oid)
    assert bare.head("portal/shop") == new.oid


def test_asking_for_leave_to_write_writes_nothing(git: Git, bare: RepoMaker) -> None:
    git.can_push("main")
    assert bare.branches() == []
    bare.commit({"a": "1"})
    git.can_push("main")
    git.can_push("other")
    assert (bare.branches(), len(bare.log())) == (["main"], 1)

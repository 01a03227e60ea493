"""Who changed a file, found in the few commits that are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.git import Access, Git, opened
from connectors.core.git.history import GENERATIONS
from tests.servers.git_repos import RepoMaker

ZOE = "Zoë Vale <zoe@example.com>"


@pytest.fixture
def bare(tmp_path: Path) -> RepoMaker:
    return RepoMaker(tmp_path / "shop.git")


@pytest.fixture
def git(bare: RepoMaker, tmp_path: Path) -> Iterator[Git]:
    with opened(tmp_path / "cache" / "1", Access(bare.url, file_urls=True)) as git:
        yield git


def changed(git: Git, old: str, *paths: str) -> dict[str, tuple[str, bool]]:
    """Commit id and exactness by path, for what the branch has now."""
    new = git.fetch("main")
    files = git.files(new)
    found = git.changed_by({path: files.blob(path) for path in paths}, old, new)
    return {path: (commit.oid, is_exact) for path, (commit, is_exact) in found.items()}


def test_each_file_has_the_commit_that_changed_it(git: Git, bare: RepoMaker) -> None:
    old = bare.commit({"a/x": "1", "a/y": "1", "a/z": "1", "b": "1"})
    first = bare.commit({"a/x": "2"}, author=ZOE)
    second = bare.commit({"a/y": "2", "b": None})
    bare.commit({"other": "1"})
    found = changed(git, old, "a/x", "a/y", "a/z", "b")
    assert found == {"a/x": (first, True), "a/y": (second, True), "b": (second, True)}


def test_the_author_is_the_one_who_wrote_it(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "1"})
    bare.commit({"a": "2"}, "Widen the scopes\n\nAs agreed.", author=ZOE)
    new = git.fetch("main")
    commit, _ = git.changed_by({"a": git.files(new).blob("a")}, "", new)["a"]
    assert (commit.author, commit.subject) == (ZOE, "Widen the scopes")


def test_a_change_that_was_merged_belongs_to_its_own_commit(git: Git, bare: RepoMaker) -> None:
    old = bare.commit({"a": "1", "b": "1"})
    bare.git("branch", "topic", "main")
    theirs = bare.commit({"a": "2"}, branch="topic")
    ours = bare.commit({"b": "2"})
    merged = bare.git("merge-tree", "--write-tree", ours, theirs).decode().strip()
    merge = bare.git(
        "-c", "user.name=M", "-c", "user.email=m@x", "commit-tree", merged, "-p", ours, "-p", theirs, "-m", "Merge"
    )
    bare.git("update-ref", "refs/heads/main", merge.decode().strip())
    assert changed(git, old, "a", "b") == {"a": (theirs, True), "b": (ours, True)}


def test_a_change_that_was_undone_in_between_counts_from_its_return(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "2"})
    bare.commit({"a": "1"})
    again = bare.commit({"a": "2"})
    assert changed(git, "", "a") == {"a": (again, True)}


def test_what_lies_too_far_back_is_put_down_to_the_newest_and_not_as_exact(git: Git, bare: RepoMaker) -> None:
    old = bare.commit({"a": "1"})
    bare.commit({"a": "2"})
    for number in range(GENERATIONS + 1):
        newest = bare.commit({"other": str(number)})
    assert changed(git, old, "a") == {"a": (newest, False)}


def test_an_old_commit_that_nobody_knows_does_no_harm(git: Git, bare: RepoMaker) -> None:
    bare.commit({"a": "1"})
    newest = bare.commit({"a": "2"})
    assert changed(git, "1" * 40, "a") == {"a": (newest, True)}


def test_a_commit_of_any_bytes_is_told_in_printable_words(git: Git, bare: RepoMaker) -> None:
    tree = bare.tree([("100644", b"a", bare.write("blob", b"1"))])
    person = b"\x1b[31mEve\xff\xe2\x80\xae <e\x07ve@x> 99999999999999999999 +0000"
    raw = b"tree %s\nauthor %s\ncommitter %s\n\n\n  Sub\x1b]0;ject %s\n" % (tree.encode(), person, person, b"x" * 999)
    bare.git("update-ref", "refs/heads/main", bare.write("commit", raw))
    commit = git.fetch("main")
    assert commit.author_name.endswith("Eve\ufffd")
    assert len(commit.subject) == 200
    assert all(text.isprintable() for text in (commit.author, commit.subject))
    assert commit.at.year == 1970

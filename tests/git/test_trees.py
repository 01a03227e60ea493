"""A commit's folders and files: what is brought, what is told, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from connectors.core.config_files import MAX_BYTES
from connectors.core.errors import ConfigFileError
from connectors.core.git import Access, Fault, Git, GitError, GitTree, Limits, PathChange, opened
from connectors.core.git.tree import is_dangerous, parse_folder
from tests.git.acting import LOOPBACK, NOW, PORTAL
from tests.servers.git_http import GitServer
from tests.servers.git_repos import Content, RepoMaker, submodule, symlink

FOLDER = "apps/shop/base44/connectors"


@pytest.fixture
def bare(tmp_path: Path) -> RepoMaker:
    return RepoMaker(tmp_path / "acme" / "shop.git")


@pytest.fixture
def git(bare: RepoMaker, tmp_path: Path) -> Iterator[Git]:
    with opened(tmp_path / "cache" / "1", Access(bare.url, file_urls=True), Limits(entries=50)) as git:
        yield git


def tree(git: Git, bare: RepoMaker, files: Mapping[str, Content]) -> GitTree:
    bare.commit(files)
    return git.files(git.fetch("main"))


def refusal(tree: GitTree, path: str) -> str:
    with pytest.raises(ConfigFileError) as error:
        tree.read(path)
    return str(error.value)


def test_folders_and_files_are_told_apart(git: Git, bare: RepoMaker) -> None:
    files = tree(git, bare, {f"{FOLDER}/gmail.jsonc": "{}", "README.md": "x"})
    assert files.entries("") == {"README.md": "file", "apps": "folder"}
    assert files.entries(FOLDER) == {"gmail.jsonc": "file"}
    assert files.read(f"{FOLDER}/gmail.jsonc") == b"{}"


def test_what_does_not_exist_is_empty_to_list_and_an_error_to_read(git: Git, bare: RepoMaker) -> None:
    files = tree(git, bare, {"a": "1"})
    assert files.entries("b") == files.entries("a") == files.entries("a/b") == {}
    assert files.blob("b") == files.blob("a/b") == ""
    assert "not in the repository" in refusal(files, "b")


def test_a_tree_is_seen_from_a_folder(git: Git, bare: RepoMaker) -> None:
    shop = tree(git, bare, {f"{FOLDER}/gmail.jsonc": "{}"}).at("apps/shop")
    assert shop.entries("") == {"base44": "folder"}
    assert shop.at("base44")["connectors"].read("gmail.jsonc") == b"{}"
    assert shop.folder == "shop"
    assert shop.at("../..").name


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "./a"])
def test_a_path_never_leaves_the_tree(git: Git, bare: RepoMaker, path: str) -> None:
    assert "not a path" in refusal(tree(git, bare, {"a": "1"}), path)


def test_a_link_called_like_a_connector_is_listed_so_that_reading_it_says_why_not(git: Git, bare: RepoMaker) -> None:
    files = tree(git, bare, {"gmail.jsonc": symlink("../secret"), "link": symlink("/etc"), "vendor": submodule()})
    assert files.entries("") == {"gmail.jsonc": "file"}
    assert "symbolic link" in refusal(files, "gmail.jsonc")
    assert "symbolic link" in refusal(files, "link/passwd")
    assert "submodule" in refusal(files, "vendor/gmail.jsonc")


def test_names_that_are_one_file_elsewhere_are_refused_and_leave_the_others_alone(git: Git, bare: RepoMaker) -> None:
    files = tree(git, bare, {"Gmail.jsonc": "1", "gmail.jsonc": "2", "caf\u00e9": "3", "cafe\u0301": "4", "box": "5"})
    assert "gmail.jsonc" in refusal(files, "Gmail.jsonc")
    assert "only by how it is written" in refusal(files, "caf\u00e9")
    assert files.read("box") == b"5"


def test_a_file_that_is_too_large_is_refused_unread(git: Git, bare: RepoMaker) -> None:
    files = tree(git, bare, {"a.jsonc": b" " * MAX_BYTES, "b.jsonc": b" " * (MAX_BYTES + 1)})
    assert len(files.read("a.jsonc")) == MAX_BYTES
    assert "larger than" in refusal(files, "b.jsonc")


def test_a_folder_of_too_many_entries_is_refused(git: Git, bare: RepoMaker) -> None:
    files = tree(git, bare, {f"many/{number}": "" for number in range(51)} | {"a": "1"})
    assert "more than 50 entries" in refusal(files, "many/1")
    assert files.read("a") == b"1"


def test_many_folders_and_files_take_one_visit_for_each_level(git_server: GitServer, tmp_path: Path) -> None:
    repo = git_server.make("acme/shop")
    paths = [f"apps/{number}/base44/connectors/gmail.jsonc" for number in range(20)]
    repo.commit(dict.fromkeys(paths, "{}"))
    with opened(tmp_path / "cache", Access(repo.url, "", git_server.token, allowed=LOOPBACK)) as git:
        files = git.files(git.fetch("main"))
        git_server.count_anew()
        files.prefetch_files(paths)
        visits = len([request for request in git_server.requests if "upload-pack" in str(request)])
        assert {files.read(path) for path in paths} == {b"{}"}
        # Each visit asks twice: what the server can do, and for the objects. Root, three levels, files.
        assert visits <= 2 * 6
        assert len([request for request in git_server.requests if "upload-pack" in str(request)]) == visits


def test_every_folder_takes_one_visit(git_server: GitServer, tmp_path: Path) -> None:
    repo = git_server.make("acme/shop")
    repo.commit({f"apps/{number}/src/deep/er/x": str(number) for number in range(20)})
    with opened(tmp_path / "cache", Access(repo.url, "", git_server.token, allowed=LOOPBACK)) as git:
        files = git.files(git.fetch("main"))
        files.entries("")  # the first folder being here already does not keep the others away
        git_server.count_anew()
        files.prefetch_all_folders()
        assert files.entries("apps/7/src/deep/er") == {"x": "file"}
        assert len([request for request in git_server.requests if "upload-pack" in str(request)]) <= 2


def test_the_harmless_faults_of_old_tools_are_put_up_with(git: Git, bare: RepoMaker) -> None:
    blob = bare.write("blob", b"1")
    inner = bare.tree([("100664", b"file", blob)])
    top = bare.tree([("040000", b"folder", inner), ("100644", b"z", blob)])
    raw = f"tree {top}\nauthor Eve<eve@example.com> 1 +0000\ncommitter Eve 1\n\nOld\n"
    bare.git("update-ref", "refs/heads/main", bare.write("commit", raw.encode()))
    base = git.fetch("main")
    assert git.files(base).read("folder/file") == b"1"
    git.push(git.commit(base, [PathChange("folder/file", b"2")], "Write", PORTAL, NOW), "main", expect=base.oid)
    assert bare.read("folder/file") == b"2"


def test_a_server_that_cannot_leave_things_out_serves_as_well(git_server: GitServer, tmp_path: Path) -> None:
    repo = git_server.make("acme/shop")
    repo.without_filters()
    repo.commit({f"{FOLDER}/gmail.jsonc": "{}"})
    with opened(tmp_path / "cache", Access(repo.url, "", git_server.token, allowed=LOOPBACK)) as git:
        assert git.files(git.fetch("main")).read(f"{FOLDER}/gmail.jsonc") == b"{}"


def test_a_repository_of_sha256_is_refused_in_words(tmp_path: Path) -> None:
    repo = RepoMaker(tmp_path / "new.git", object_format="sha256")
    repo.commit({"a": "1"})
    with opened(tmp_path / "cache", Access(repo.url, file_urls=True)) as git, pytest.raises(GitError) as error:
        git.fetch("main")
    assert error.value.fault is Fault.OTHER
    assert "SHA-256" in str(error.value)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".git", ".GIT", "git~1", ".git.", ".git ", ".git:x", ".g\u200cit", "a/b"]
)
def test_names_that_lead_elsewhere_are_known(name: str) -> None:
    assert is_dangerous(name)


@pytest.mark.parametrize("name", ["git", ".gitignore", ".github", "...", "a.git", "-", "a b", "ä", "dev-a\\x2db.swap"])
def test_other_names_are_let_in(name: str) -> None:
    assert not is_dangerous(name)


@pytest.mark.parametrize(
    "content",
    [
        b"x",
        b"100644 a",
        b"100644 a\0short",
        b"100644a\0" + bytes(20),
        b"10x644 a\0" + bytes(20),
        b"100649 a\0" + bytes(20),
    ],
)
def test_a_damaged_folder_is_said_to_be_damaged(content: bytes) -> None:
    assert parse_folder(content, 10).problem == "is damaged"

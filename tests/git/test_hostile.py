"""Repositories that no honest person makes: a clear refusal each, nothing run, nothing written."""

from __future__ import annotations

import dataclasses
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest

from connectors.core.config_files import locate_at, locate_projects
from connectors.core.config_files.read import MAX_BYTES
from connectors.core.errors import ConfigFileError
from connectors.core.git import Access, Fault, GitError, Limits, opened
from tests.git.acting import CONNECTORS, GMAIL, PATH, WIDER, export, read
from tests.git.hostile import big_folder, bomb, hooks, in_folder, noise, put_ref, zeros
from tests.servers.git_http import GitServer, git_http_server
from tests.servers.git_repos import Content, RepoMaker, submodule, symlink

pytestmark = pytest.mark.usefixtures("surroundings")

REFUSALS = (GitError, ConfigFileError)
FORBIDDEN = [b"..", b".", b".git", b".GIT", b"git~1", ".g\u200cit".encode(), b"a/b", b"", b".git "]
LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 2048\n"


def refusal(cache: Path, access: Access, limits: Limits | None = None) -> str:
    """What is said of the project at the top of the branch: the error, or the problems of its files."""
    try:
        with opened(cache, access, limits or Limits()) as git:
            return "\n".join(map(str, locate_at(git.files(git.fetch("main")), "").problems))
    except REFUSALS as error:
        return str(error)


def fault_of_export(cache: Path, access: Access, path: str = PATH) -> Fault:
    """Why a file was not written."""
    with pytest.raises(GitError) as caught:
        export(cache, access, {path: WIDER})
    return caught.value.fault


@pytest.mark.parametrize(
    ("folder", "name"), [*((CONNECTORS, name) for name in FORBIDDEN), ("", b".."), ("base44", b".git")]
)
def test_a_name_that_git_itself_would_not_check_out_is_refused(
    repo: RepoMaker, access: Access, cache: Path, folder: str, name: bytes
) -> None:
    evil = repo.write("blob", GMAIL.encode())
    before = in_folder(repo, folder, [("100644", name, evil)])
    assert refusal(cache, access) != ""
    with pytest.raises(GitError):
        export(cache, access)
    assert repo.head() == before


def test_the_same_name_twice_in_a_folder_is_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    blob = repo.write("blob", WIDER.encode())
    in_folder(repo, CONNECTORS, [("100644", b"gmail.jsonc", blob)])
    assert refusal(cache, access) != ""


@pytest.mark.parametrize("target", ["/etc/hostname", "../../../beside/secret.jsonc", "slack.jsonc", "gmail.jsonc"])
def test_a_symbolic_link_for_a_file_is_refused(repo: RepoMaker, access: Access, cache: Path, target: str) -> None:
    repo.commit({PATH: symlink(target)})
    assert "symbolic link" in refusal(cache, access)
    with pytest.raises(REFUSALS, match="symbolic link"):
        read(cache, access)


@pytest.mark.parametrize(("link", "target"), [(CONNECTORS, "../src"), ("base44", "/etc"), ("base44", "src")])
def test_a_symbolic_link_for_a_folder_on_the_way_is_refused(
    repo: RepoMaker, access: Access, cache: Path, link: str, target: str
) -> None:
    repo.commit({link: None})
    repo.commit({link: symlink(target)})
    with pytest.raises(REFUSALS, match="symbolic link"):
        read(cache, access)


@pytest.mark.parametrize("link", [PATH, CONNECTORS, "base44"])
@pytest.mark.parametrize("entry", [symlink("/etc"), submodule()], ids=["link", "submodule"])
def test_nothing_is_written_through_a_link_or_a_submodule(
    repo: RepoMaker, access: Access, cache: Path, link: str, entry: Content
) -> None:
    repo.commit({link: None})
    before = repo.commit({link: entry})
    assert fault_of_export(cache, access) is Fault.HOSTILE
    assert repo.head() == before


@pytest.mark.parametrize("place", [CONNECTORS, "base44"])
def test_a_submodule_is_refused_and_not_fetched(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path, surroundings: Path, place: str
) -> None:
    other = git_server.make("acme/other")
    other.commit({"gmail.jsonc": GMAIL})
    repo.commit({place: None})
    repo.commit(
        {
            place: submodule(other.head()),
            ".gitmodules": f'[submodule "x"]\n\tpath = {place}\n\turl = ext::sh -c "touch {surroundings}"\n',
        }
    )
    assert "submodule" in refusal(cache, access)
    assert not any("other" in request for request in git_server.requests)


def test_an_lfs_pointer_is_refused_and_not_resolved(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    repo.commit({PATH: LFS_POINTER, ".gitattributes": "*.jsonc filter=lfs diff=lfs merge=lfs -text\n"})
    assert "LFS" in refusal(cache, access)
    assert not any("lfs" in request for request in git_server.requests)


def test_no_filter_that_the_repository_names_runs(
    repo: RepoMaker, access: Access, cache: Path, surroundings: Path
) -> None:
    repo.commit(
        {
            ".gitattributes": "*.jsonc filter=evil diff=evil merge=evil text eol=crlf working-tree-encoding=UTF-16\n",
            ".gitconfig": f'[filter "evil"]\n\tsmudge = touch {surroundings}\n\tclean = touch {surroundings}\n',
            ".git-hooks/post-checkout": f"#!/bin/sh\ntouch {surroundings}\n",
            ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:9/\n",
        }
    )
    export(cache, access)
    assert repo.read(PATH) == WIDER.encode()


def test_no_hook_in_the_cache_runs(repo: RepoMaker, access: Access, cache: Path, surroundings: Path) -> None:
    read(cache, access)
    hooks(cache / "hooks", f"touch {surroundings}")
    export(cache, access)


def test_no_hook_of_a_repository_on_this_disk_runs(repo: RepoMaker, cache: Path, surroundings: Path) -> None:
    hooks(repo.path / "hooks", f"touch {surroundings}")
    access = Access(repo.path.as_uri(), file_urls=True)
    commit = export(cache, access)
    assert repo.head() == commit.oid


def test_a_file_over_the_limit_is_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({PATH: b"/" * (1024 * 1024 + 1)})
    assert "gmail.jsonc" in refusal(cache, access)


def test_a_bomb_of_zeros_is_refused_without_being_unpacked(repo: RepoMaker, access: Access, cache: Path) -> None:
    in_folder(repo, CONNECTORS, [("100644", b"bomb.jsonc", zeros(repo, 100 * 1024 * 1024))])
    assert "bomb.jsonc" in refusal(cache, access, Limits(bytes=8 * 1024 * 1024))
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < 4 * 1024 * 1024


def test_noise_over_the_limit_is_cut_off(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({PATH: noise(6 * 1024 * 1024)})
    with pytest.raises(GitError) as caught:
        read(cache, access, limits=Limits(bytes=2 * 1024 * 1024))
    assert caught.value.fault is Fault.LIMIT
    assert sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) < 4 * 1024 * 1024


def test_folders_within_folders_without_end_are_given_up(repo: RepoMaker, access: Access, cache: Path) -> None:
    bomb(repo, levels=10, width=12)
    with pytest.raises(REFUSALS), opened(cache, access) as git:
        locate_projects(git.files(git.fetch("main")))


def test_a_folder_with_too_many_entries_is_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    big_folder(repo, CONNECTORS, 50_000)
    assert "50,000" in refusal(cache, access) or "10,000" in refusal(cache, access)
    assert fault_of_export(cache, access) in (Fault.LIMIT, Fault.HOSTILE)


def test_names_that_differ_by_case_alone_are_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({f"{CONNECTORS}/Gmail.jsonc": WIDER})
    said = refusal(cache, access)
    assert "Gmail.jsonc" in said
    assert "gmail.jsonc" in said


def test_names_that_differ_by_unicode_form_alone_are_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    forms = [unicodedata.normalize(form, "café.jsonc") for form in ("NFC", "NFD")]
    repo.commit({f"{CONNECTORS}/{name}": f'{{"type": "x{number}"}}' for number, name in enumerate(forms)})
    assert "caf" in refusal(cache, access)


@pytest.mark.parametrize("name", [b"gm\xffail.jsonc", b"\xc0\xae.jsonc", b"\xed\xa0\x80.jsonc"])
def test_a_file_name_that_is_not_utf8_is_refused(repo: RepoMaker, access: Access, cache: Path, name: bytes) -> None:
    in_folder(repo, CONNECTORS, [("100644", name, repo.write("blob", GMAIL.encode()))])
    assert refusal(cache, access) != ""


def test_a_file_name_that_is_not_utf8_elsewhere_survives_an_export(
    repo: RepoMaker, access: Access, cache: Path
) -> None:
    in_folder(repo, "src", [("100644", b"caf\xe9.txt", repo.write("blob", b"latin\n"))])
    export(cache, access)
    assert b"src/caf\xe9.txt" in repo.git("ls-tree", "-r", "-z", "--name-only", "main").split(b"\0")


@pytest.mark.parametrize("name", ["gm\nail.jsonc", "gm\x1b[31mail.jsonc", "gm\u202eail.jsonc"])
def test_a_file_name_that_plays_tricks_is_refused_and_not_repeated_as_it_is(
    repo: RepoMaker, access: Access, cache: Path, name: str
) -> None:
    in_folder(repo, CONNECTORS, [("100644", name.encode(), repo.write("blob", GMAIL.encode()))])
    said = refusal(cache, access)
    assert said != ""
    assert name not in said


@pytest.mark.parametrize(
    "content",
    [b'{"type": "gm\xffail"}', '{"type": "gmail"}'.encode("utf-16"), '{"type": "gmail"}'.encode("utf-32"), b"\0" * 40],
    ids=["latin-1", "utf-16", "utf-32", "zeros"],
)
def test_a_file_in_an_odd_encoding_is_refused(repo: RepoMaker, access: Access, cache: Path, content: bytes) -> None:
    repo.commit({PATH: content})
    assert "gmail.jsonc" in refusal(cache, access)


@pytest.mark.parametrize("kind", ["blob", "tree", "tag"])
def test_a_branch_that_is_no_commit_is_refused(repo: RepoMaker, access: Access, cache: Path, kind: str) -> None:
    put_ref(repo, "refs/heads/odd", kind)
    with opened(cache, access) as git, pytest.raises(GitError) as caught:
        git.files(git.fetch("odd")).read(PATH)
    assert caught.value.fault in (Fault.HOSTILE, Fault.NO_BRANCH, Fault.OTHER)


def test_a_commit_s_texts_are_made_printable_and_cut(repo: RepoMaker, access: Access, cache: Path) -> None:
    stamp = b"1700000000 +0000"
    tree = repo.git("rev-parse", "main^{tree}").strip()
    who = b"\x1b[31mEvil\xff \xe2\x80\xae" + b"n" * 5000 + b" <e@example.com> " + stamp
    text = b"tree " + tree + b"\nauthor " + who + b"\ncommitter " + who + b"\n\n\x1b]0;title\x07" + b"s" * 5000 + b"\n"
    repo.git("update-ref", "refs/heads/main", repo.write("commit", text))
    with opened(cache, access) as git:
        commit = git.fetch("main")
    for told in (commit.author_name, commit.author_email, commit.subject):
        assert told.isprintable()
        assert len(told) <= 500


def test_a_commit_with_a_time_that_cannot_be_is_no_crash(repo: RepoMaker, access: Access, cache: Path) -> None:
    tree = repo.git("rev-parse", "main^{tree}").strip()
    who = b"Mira <mira@example.com> 99999999999999999 +9999"
    text = b"tree " + tree + b"\nauthor " + who + b"\ncommitter " + who + b"\n\nLater\n"
    repo.git("update-ref", "refs/heads/main", repo.write("commit", text))
    with suppress(GitError):
        assert read(cache, access) == GMAIL.encode()


def test_a_file_where_a_folder_has_to_be_is_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({CONNECTORS: None})
    before = repo.commit({CONNECTORS: "not a folder\n"})
    with pytest.raises((GitError, ConfigFileError, ValueError)):
        export(cache, access)
    assert repo.head() == before


def test_a_folder_where_a_file_has_to_be_is_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    repo.commit({PATH: None})
    before = repo.commit({f"{PATH}/inner": "x\n"})
    with pytest.raises((GitError, ConfigFileError, ValueError)):
        export(cache, access)
    assert repo.head() == before


def test_a_damaged_object_from_the_host_is_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    tree = repo.git("rev-parse", f"main:{CONNECTORS}").decode().strip()
    loose = repo.path / "objects" / tree[:2] / tree[2:]
    if not loose.exists():
        repo.git("unpack-objects", "-q", stdin=next((repo.path / "objects/pack").glob("*.pack")).read_bytes())
    (repo.path / "objects" / tree[:2]).mkdir(exist_ok=True)
    for pack in (repo.path / "objects/pack").glob("*"):
        pack.unlink()
    loose.unlink(missing_ok=True)
    loose.write_bytes(b"garbage")
    assert refusal(cache, access) != ""


def test_words_of_the_host_are_not_repeated_with_their_escapes(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    repo.protect("main", "\x1b[2J\x1b]8;;http://evil.example/\x07click\x07")
    with pytest.raises(GitError) as caught:
        export(cache, access)
    assert "\x1b" not in str(caught.value)


def test_a_host_that_only_hands_out_files_is_refused_and_sends_nobody_elsewhere(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path, tmp_path: Path
) -> None:
    git_server.is_dumb = True
    repo.git("update-server-info")
    with git_http_server(tmp_path / "elsewhere") as elsewhere:
        (repo.path / "objects" / "info").mkdir(exist_ok=True)
        (repo.path / "objects" / "info" / "http-alternates").write_text(f"{elsewhere.url}/acme/shop.git/objects\n")
        for pack in (repo.path / "objects" / "pack").glob("*"):
            pack.unlink()
        assert refusal(cache, access) != ""
        assert elsewhere.requests == []


def test_fifty_thousand_branches_are_not_listed_to_read_one(
    git_server: GitServer, repo: RepoMaker, access: Access, cache: Path
) -> None:
    head = repo.head()
    refs = "".join(f"{head} refs/heads/team/{number:05}\n" for number in range(50_000))
    (repo.path / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted\n{refs}")
    assert read(cache, access) == GMAIL.encode()
    assert git_server.moved < 100_000


@pytest.mark.parametrize("limit", [4, 512])
def test_a_commit_with_an_endless_message_is_refused(repo: RepoMaker, access: Access, cache: Path, limit: int) -> None:
    tree = repo.git("rev-parse", "main^{tree}").decode().strip()
    stamp = "Mira <mira@example.com> 1700000000 +0000"
    text = f"tree {tree}\nauthor {stamp}\ncommitter {stamp}\n\n".encode() + b"a" * (40 * 1024 * 1024)
    repo.git("update-ref", "refs/heads/main", repo.write("commit", text))
    with pytest.raises(GitError) as caught:
        read(cache, access, limits=Limits(bytes=limit * 1024 * 1024))
    assert caught.value.fault in (Fault.LIMIT, Fault.HOSTILE)


def test_files_that_fill_the_memory_are_refused_before_they_are_read(
    repo: RepoMaker, access: Access, cache: Path
) -> None:
    blanks = [repo.write("blob", b" " * (MAX_BYTES - 10) + str(number).encode()) for number in range(66)]
    in_folder(repo, CONNECTORS, [("100644", b"x%03d.jsonc" % number, oid) for number, oid in enumerate(blanks)])
    with opened(cache, access) as git:
        tree = git.files(git.fetch("main"))
        paths = [f"{CONNECTORS}/{name}" for name in tree.entries(CONNECTORS)]
        with pytest.raises(GitError) as caught:
            tree.prefetch_files(paths)
    assert caught.value.fault is Fault.LIMIT


def test_folders_that_fill_the_memory_are_refused(repo: RepoMaker, access: Access, cache: Path) -> None:
    blob = repo.write("blob", b"x\n")
    many = [("100644", b"%05d.txt" % number, blob) for number in range(9_000)]
    folders = [repo.tree([*many, ("100644", b"x%03d" % number, blob)]) for number in range(120)]
    repo.commit_tree(repo.tree([("40000", b"d%03d" % number, oid) for number, oid in enumerate(folders)]), "Grow")
    with opened(cache, access) as git, pytest.raises(GitError) as caught:
        git.files(git.fetch("main")).prefetch_all_folders()
    assert caught.value.fault is Fault.LIMIT


def test_a_merge_of_thousands_is_not_followed_into_all_of_them(repo: RepoMaker, access: Access, cache: Path) -> None:
    tree, first = repo.git("rev-parse", "main^{tree}").decode().strip(), repo.head()
    stamp = "Mira <mira@example.com> 1700000000 +0000"
    said = f"author {stamp}\ncommitter {stamp}\n\n"
    others = [repo.write("commit", f"tree {tree}\nparent {first}\n{said}{number}".encode()) for number in range(400)]
    parents = "".join(f"parent {oid}\n" for oid in others)
    repo.git("update-ref", "refs/heads/main", repo.write("commit", f"tree {tree}\n{parents}{said}".encode()))
    with opened(cache, access) as git:
        newest = git.fetch("main")
        blob = git.files(newest).blob(PATH)
        assert git.changed_by({PATH: blob}, "", newest) == {PATH: (newest, False)}


def test_a_repository_that_names_objects_by_sha256_is_refused_in_words(
    git_server: GitServer, access: Access, cache: Path
) -> None:
    other = git_server.make("acme/newer", object_format="sha256")
    other.commit({PATH: GMAIL})
    assert "SHA-256" in refusal(cache, dataclasses.replace(access, url=other.url))

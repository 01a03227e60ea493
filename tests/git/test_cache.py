"""The cache on disk: one process at a time, thrown away when it is damaged or has grown, tidied after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from connectors.core.git import Access, Fault, GitError, Limits, discard, opened
from connectors.core.git.cache import MAX_FILES, locked
from tests.git.acting import PORTAL, changes
from tests.servers.git_repos import RepoMaker


@pytest.fixture
def bare(tmp_path: Path) -> RepoMaker:
    made = RepoMaker(tmp_path / "shop.git")
    made.commit({"a/x": "1", "b": "2"})
    return made


@pytest.fixture
def access(bare: RepoMaker) -> Access:
    return Access(bare.url, file_urls=True)


def read(cache: Path, access: Access, limits: Limits | None = None) -> bytes:
    with opened(cache, access, limits or Limits()) as git:
        return git.files(git.fetch("main")).read("a/x")


def test_a_second_process_waits_and_is_told(cache: Path, access: Access) -> None:
    with locked(cache, 0), pytest.raises(GitError) as error, opened(cache, access, wait=0):
        pass
    assert (error.value.fault, error.value.permanent) == (Fault.BUSY, False)


def test_a_git_that_outlives_its_worker_keeps_the_others_out(cache: Path, access: Access) -> None:
    with locked(cache, 0) as lock:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock])
    with pytest.raises(GitError), opened(cache, access, wait=0):
        pass
    child.communicate(b"\n")
    assert read(cache, access) == b"1"


def test_the_folder_is_for_the_portals_user_alone(cache: Path, access: Access) -> None:
    read(cache, access)
    assert cache.stat().st_mode & 0o077 == 0
    assert Path(f"{cache}.lock").stat().st_mode & 0o077 == 0


def test_what_was_brought_is_not_brought_again(cache: Path, bare: RepoMaker, access: Access) -> None:
    with opened(cache, access) as git:
        commit = git.fetch("main")
        git.files(commit).read("a/x")
    bare.path.rename(bare.path.with_name("elsewhere"))
    with opened(cache, access) as git:
        assert git.files(commit).read("a/x") == b"1"


def test_another_address_starts_with_nothing(tmp_path: Path, cache: Path, access: Access) -> None:
    read(cache, access)
    other = RepoMaker(tmp_path / "other.git")
    other.commit({"a/x": "other"})
    packs = set(cache.glob("objects/pack/*.pack"))
    assert read(cache, Access(other.url, file_urls=True)) == b"other"
    assert packs.isdisjoint(cache.glob("objects/pack/*.pack"))


def test_a_cache_goes_with_its_lock(cache: Path, access: Access) -> None:
    read(cache, access)
    assert discard(cache)
    assert list(cache.parent.iterdir()) == []


def test_a_cache_that_is_in_use_is_left_alone(cache: Path, access: Access) -> None:
    with opened(cache, access) as git:
        assert not discard(cache)
        assert git.files(git.fetch("main")).read("a/x") == b"1"


def test_many_commands_together_may_not_take_forever(
    cache: Path, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(cache, access)
    monkeypatch.setattr("connectors.core.git.cache.COMMANDS", 0)
    with pytest.raises(GitError, match="GIT_TIMEOUT") as error:
        read(cache, access)
    assert (error.value.fault, error.value.permanent) == (Fault.LIMIT, False)


def test_a_cache_of_too_many_files_is_thrown_away(cache: Path, access: Access) -> None:
    read(cache, access)
    for number in range(MAX_FILES):
        (cache / f"{number}.old").touch()
    assert read(cache, access) == b"1"
    assert not list(cache.glob("*.old"))


def test_a_cache_that_takes_too_much_room_is_thrown_away(cache: Path, access: Access) -> None:
    read(cache, access)
    (cache / "large.old").write_bytes(bytes(2 * 1024 * 1024))
    assert read(cache, access, Limits(bytes=1024 * 1024)) == b"1"
    assert not (cache / "large.old").exists()


def test_nothing_but_a_config_that_names_no_server_is_written_about_the_repository(cache: Path, access: Access) -> None:
    read(cache, access)
    assert "url" not in (cache / "config").read_text()
    assert not list(cache.glob("hooks/*"))


def test_a_pack_that_was_lost_is_made_up_for(cache: Path, bare: RepoMaker, access: Access) -> None:
    with opened(cache, access) as git:
        commit = git.fetch("main")
        files = git.files(commit)
        files.entries("a")
        for pack in cache.glob("objects/pack/*"):
            pack.unlink()
        written = git.commit(commit, changes({"a/x": "2"}), "Write", PORTAL, commit.at)
        git.push(written, "main", expect=commit.oid)
    assert bare.read("a/x") == b"2"
    bare.check()


def test_a_pack_with_a_flipped_bit_is_made_up_for(cache: Path, access: Access) -> None:
    read(cache, access)
    for pack in cache.glob("objects/pack/*.pack"):
        raw = bytearray(pack.read_bytes())
        raw[len(raw) // 2] ^= 0x10
        pack.chmod(0o600)
        pack.write_bytes(raw)
    assert read(cache, access) == b"1"

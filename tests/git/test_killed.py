"""A worker that is killed at the worst moments: nothing is half done, and the next one completes it, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.git.exporter import WORDS, Exporter, Orders, export
from tests.servers.git_http import FETCH, LOOK, LOOK_BEFORE_PUSH, PUSH, GitServer
from tests.servers.git_repos import RepoMaker

MOMENTS = [
    pytest.param(LOOK, "before", id="before reading"),
    pytest.param(FETCH, "before", id="while reading"),
    pytest.param(FETCH, "after", id="while the answer is under way"),
    pytest.param(LOOK_BEFORE_PUSH, "before", id="between commit and push"),
    pytest.param(PUSH, "before", id="while pushing"),
    pytest.param(PUSH, "after", id="after the push and before its answer"),
]


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    """A repository with one word in its list."""
    made = git_server.make()
    made.commit({WORDS: "first\n"}, "Add first")
    return made


@pytest.fixture
def orders(git_server: GitServer, repo: RepoMaker, cache: Path) -> Orders:
    """Add one more word."""
    return Orders(str(cache), repo.url, git_server.token.get_secret_value(), ["second"])


def die(server: GitServer, orders: Orders, on: str, hold: str) -> None:
    """Starts an export and kills its process when the host is asked for `on`."""
    server.trouble(on, hold=hold, times=1)
    exporter = Exporter(orders)
    exporter.start()
    arrived = server.arrived.wait(90)
    complaint = exporter.kill()
    assert arrived, complaint


@pytest.mark.parametrize(("on", "hold"), MOMENTS)
def test_the_next_export_completes_what_a_killed_one_began(
    git_server: GitServer, repo: RepoMaker, orders: Orders, on: str, hold: str
) -> None:
    die(git_server, orders, on, hold)
    git_server.release()
    export(orders, "second")
    assert [entry.subject for entry in repo.log()] == ["Add second", "Add first"]
    assert repo.read(WORDS) == b"first\nsecond\n"
    repo.check()


@pytest.mark.parametrize(("on", "hold"), MOMENTS[:-1])
def test_nobody_sees_anything_of_an_export_that_died_before_its_push_arrived(
    git_server: GitServer, repo: RepoMaker, orders: Orders, on: str, hold: str
) -> None:
    before = repo.head()
    die(git_server, orders, on, hold)
    assert (repo.head(), repo.branches()) == (before, ["main"])
    assert repo.read(WORDS) == b"first\n"


@pytest.mark.parametrize(("on", "hold"), [(FETCH, "after"), (PUSH, "before")])
def test_a_killed_exports_cache_is_as_good_as_new_for_another_change(
    git_server: GitServer, repo: RepoMaker, orders: Orders, on: str, hold: str
) -> None:
    die(git_server, orders, on, hold)
    git_server.release()
    repo.commit_beside_others({"README.md": "meanwhile\n"}, "Write a page")
    export(orders, "third")
    assert "third" in repo.read(WORDS).decode().split()
    assert repo.read("README.md") == b"meanwhile\n"
    repo.check()


def test_leftovers_of_a_killed_git_do_not_stop_the_next_export(
    git_server: GitServer, repo: RepoMaker, orders: Orders, cache: Path
) -> None:
    export(orders, "second")
    for name in ("HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/portal/main.lock"):
        lock = cache / name
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
    (cache / "objects" / "pack" / "tmp_pack_abcdef").write_bytes(b"PACK")
    export(orders, "third")
    assert repo.read(WORDS) == b"first\nsecond\nthird\n"


@pytest.mark.parametrize("damage", ["objects", "refs", "HEAD", "config", "shallow", "all"])
def test_a_damaged_cache_is_made_anew(repo: RepoMaker, orders: Orders, cache: Path, damage: str) -> None:
    export(orders, "second")
    for path in cache.rglob("*"):
        if path.is_file() and (damage == "all" or path.is_relative_to(cache / damage)):
            path.chmod(0o600)
            path.write_bytes(b"damaged")
    export(orders, "third")
    assert repo.read(WORDS) == b"first\nsecond\nthird\n"

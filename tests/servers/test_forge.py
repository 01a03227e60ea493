"""The host for tests is as strict as the published descriptions: what they do not have is refused, and told."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.core.net import Allowed, Answer, ask
from tests.servers.contract import contract
from tests.servers.forge import Forge, Kind, forge_server
from tests.servers.git_repos import RepoMaker

LOOPBACK = Allowed.of(["127.0.0.1"])


@pytest.fixture
def lenient() -> Iterator[Forge]:
    """A host whose breaches a test may look at."""
    with forge_server() as running:
        yield running


def call(forge: Forge, kind: Kind, method: str, path: str, body: object = None) -> Answer:
    token = forge.token.get_secret_value()
    headers = {"Authorization": f"{'Bearer' if kind == 'github' else 'token'} {token}", "PRIVATE-TOKEN": token}
    raw = None if body is None else json.dumps(body).encode()
    return ask(method, forge.api(kind) + path, raw, headers, allowed=LOOPBACK)


@pytest.mark.parametrize(
    ("kind", "method", "path", "body", "told"),
    [
        ("github", "GET", "/repos/acme/shop/merges", None, "github: no operation GET"),
        ("github", "DELETE", "/repos/acme/shop/pulls/1", None, "github: no operation DELETE"),
        ("github", "GET", "/repos/acme/shop/pulls?branch=x", None, "branch: no such parameter"),
        ("github", "GET", "/repos/acme/shop/pulls?state=opened", None, "state: not one of"),
        ("github", "POST", "/repos/acme/shop/pulls", {"title": "t", "head": "x"}, "body.base: missing"),
        ("github", "PATCH", "/repos/acme/shop/pulls/1", {"title": 7}, "body.title: not of type string"),
        ("gitlab", "POST", "/projects/acme%2Fshop/merge_requests", {"head": "x"}, "body.head: not described"),
        ("gitlab", "PUT", "/projects/acme%2Fshop/merge_requests/1", {"state_event": "merge"}, "not one of"),
        ("gitlab", "GET", "/projects/acme/shop", None, "gitlab: no operation GET"),
        ("gitea", "GET", "/repos/acme/shop/pulls?limit=all", None, "limit: not of type integer"),
        ("gitea", "PATCH", "/repos/acme/shop/pulls/1", None, "a body where none is taken, or none where one is"),
    ],
)
def test_what_a_description_does_not_have_is_refused(
    lenient: Forge, kind: Kind, method: str, path: str, body: object, told: str
) -> None:
    assert call(lenient, kind, method, path, body).status in (404, 422)
    assert told in " ".join(lenient.breaches)


def test_a_merge_that_conflicts_is_refused_by_git(lenient: Forge, tmp_path: Path) -> None:
    repo = RepoMaker(tmp_path / "shop.git")
    repo.git("update-ref", "refs/heads/portal", repo.commit({"readme": "one"}))
    repo.commit({"readme": "two"}, branch="portal")
    lenient.add("acme/shop", repo).start("portal", "main", "t", "b")
    before = repo.commit({"readme": "three"})
    with pytest.raises(subprocess.CalledProcessError):
        lenient.merge("acme/shop", 1)
    assert repo.head() == before


def test_a_squashed_merge_has_one_parent(lenient: Forge, tmp_path: Path) -> None:
    repo = RepoMaker(tmp_path / "shop.git")
    repo.git("update-ref", "refs/heads/portal", repo.commit({"readme": "one"}))
    repo.commit({"readme": "two"}, branch="portal")
    lenient.add("acme/shop", repo).start("portal", "main", "t", "b")
    merged = lenient.merge("acme/shop", 1, squash=True)
    assert repo.git("rev-list", "--parents", "-1", merged).decode().count(" ") == 1
    assert repo.read("readme") == b"two"


@pytest.mark.parametrize("kind", ["github", "gitlab", "gitea"])
def test_every_file_of_facts_says_where_they_are_from(kind: Kind) -> None:
    assert set(contract(kind).source) == {"title", "version", "licence"}

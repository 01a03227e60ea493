"""read_repositories and export_repositories, against a real repository on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from connectors.management.commands import _repositories
from connectors.models import Connector, Event, Placement, Project, Repository, RepositoryRun
from tests.commands.conftest import Run
from tests.factories import make_connector, make_placement, make_repository, make_rule
from tests.servers.git_repos import RepoMaker

pytestmark = pytest.mark.django_db

GMAIL, SLACK = "apps/crm/base44/connectors/gmail.jsonc", "apps/crm/base44/connectors/slack.jsonc"


def text(type_: str, *scopes: str) -> str:
    return json.dumps({"type": type_, "scopes": scopes})


@pytest.fixture
def repo(tmp_path: Path, git_settings: Any) -> RepoMaker:
    """A repository with a file for Gmail."""
    git_settings.GIT_ALLOW_FILE_URLS = True
    made = RepoMaker(tmp_path / "shop.git")
    made.commit({GMAIL: text("gmail", "a")})
    return made


@pytest.fixture
def placement(repo: RepoMaker, project: Project) -> Placement:
    return make_placement(project, make_repository("Shops", url=repo.url), "apps/crm")


def test_reading_tells_what_differs_on_which_side(run: Run, placement: Placement) -> None:
    make_connector(placement.project, "slack", ["s"])
    said = run("read_repositories", "Shops", "--json")
    assert said.code == 0
    assert [(row["project"], row["type"], row["action"]) for row in said.document["results"]] == [
        ("crm", "gmail", "incoming"),
        ("crm", "slack", "outgoing"),
    ]


def test_reading_leaves_a_run_with_who_asked(run: Run, placement: Placement) -> None:
    run("read_repositories", "--all")
    row = RepositoryRun.objects.get()
    assert (row.state, row.door, row.actor_label.endswith("(shell)")) == ("done", "shell", True)


def test_reading_changes_nothing_unless_it_is_to_import(run: Run, placement: Placement) -> None:
    run("read_repositories", "Shops")
    assert not Connector.objects.exists()


def test_what_is_incoming_is_imported_when_asked(run: Run, placement: Placement) -> None:
    said = run("read_repositories", "Shops", "--import", "--json")
    assert (said.code, [(row["type"], row["action"]) for row in said.document["results"]]) == (
        0,
        [("gmail", "imported")],
    )
    assert Connector.objects.get().scopes == ["a"]
    assert Event.objects.filter(verb="repository.imported").exists()


def test_an_import_takes_no_conflict(run: Run, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["b"])
    said = run("read_repositories", "Shops", "--import", "--json")
    assert [row["action"] for row in said.document["results"]] == ["conflict"]
    assert Connector.objects.get().scopes == ["b"]


def test_an_import_that_a_rule_stops_exits_1(run: Run, placement: Placement) -> None:
    make_rule("Nothing new")
    said = run("read_repositories", "Shops", "--import", "--json")
    assert (said.code, said.document["results"][0]["action"]) == (1, "refused")
    assert not Connector.objects.exists()


def test_a_file_that_cannot_be_read_exits_1(run: Run, repo: RepoMaker, placement: Placement) -> None:
    repo.commit({SLACK: "{"})
    said = run("read_repositories", "Shops")
    assert (said.code, "slack.jsonc" in said.out) == (1, True)


def test_a_repository_that_cannot_be_reached_exits_1(run: Run, repo: RepoMaker, db: None) -> None:
    make_repository("Away", url=f"{repo.url}.gone")
    said = run("read_repositories", "Away", "--json")
    assert (said.code, bool(said.document["problem"])) == (1, True)


def test_exporting_commits_what_the_portal_changed(run: Run, repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "slack", ["s"])
    said = run("export_repositories", "Shops", "--json")
    first = said.document["results"][0]
    assert (first["project"], first["action"], first["file"]) == ("crm", "written", SLACK)
    assert json.loads(repo.read(SLACK)) == {"type": "slack", "scopes": ["s"]}
    assert said.document["commit"] == repo.head()


def test_exporting_again_changes_nothing_and_exits_0(run: Run, repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    head = repo.head()
    assert run("export_repositories", "--all").code == 0
    assert repo.head() == head


def test_a_conflict_is_left_alone_and_exits_1(run: Run, repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["b"])
    head = repo.head()
    said = run("export_repositories", "Shops", "--json")
    assert (said.code, said.document["results"][0]["action"]) == (1, "conflict")
    assert repo.head() == head


def test_a_check_writes_nothing_shows_a_diff_and_exits_1(run: Run, repo: RepoMaker, placement: Placement) -> None:
    make_connector(placement.project, "slack", ["s"])
    head = repo.head()
    said = run("export_repositories", "Shops", "--check")
    assert (said.code, repo.head()) == (1, head)
    assert f"+++ b/{SLACK}" in said.out


def test_a_check_that_finds_no_difference_exits_0(run: Run, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    said = run("export_repositories", "Shops", "--check")
    assert (said.code, said.out) == (0, "Shops: Repository and portal agree.\n")


def test_a_check_looks_at_the_lock_file(run: Run, placement: Placement) -> None:
    make_connector(placement.project, "gmail", ["a"])
    Placement.objects.update(writes_lock_file=True)
    said = run("export_repositories", "Shops", "--check", "--json")
    assert [row["file"] for row in said.document["results"]] == ["apps/crm/base44/connectors.lock.json"]


def test_behind_another_run_it_stays_in_the_queue(
    run: Run, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_repositories, "PATIENCE", 0.0)
    RepositoryRun.objects.create(
        repository=placement.repository,
        kind="export",
        state="running",
        worker="elsewhere:1",
        heartbeat_at=timezone.now(),
        actor_label="ada",
        door="admin",
    )
    said = run("read_repositories", "Shops", "--json")
    assert (said.code, "waits for its turn" in said.document["problem"]) == (1, True)


def test_repositories_that_are_not_in_use_are_left_out_of_all(run: Run, placement: Placement) -> None:
    Repository.objects.update(is_enabled=False)
    assert run("read_repositories", "--all", "--json").document == []


@pytest.mark.parametrize("command", ["read_repositories", "export_repositories"])
def test_which_one_has_to_be_said(run: Run, placement: Placement, command: str) -> None:
    assert run(command).code == 2
    assert run(command, "Shops", "--all").code == 2
    assert run(command, "Shop").error == "There is no repository Shop. Did you mean Shops?"

"""From the button on a page to a commit in a real repository, and back: what is written is what was shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from connectors.flows import repository_runs
from connectors.flows.repository_read import read_repository
from connectors.models import Connector, Placement, Project, RepositoryRun
from tests.admin.html import parse
from tests.factories import SHELL, make_connector, make_placement, make_repository
from tests.servers.git_repos import RepoMaker

FOLDER = "apps/crm/base44/connectors"
GMAIL, SLACK = f"{FOLDER}/gmail.jsonc", f"{FOLDER}/slack.jsonc"
COMMENTED = '{"type": "gmail", "scopes": ["a" /* read */]}\n'


@pytest.fixture
def repo(disk_repo: RepoMaker) -> RepoMaker:
    """A repository on this disk with the files of two connectors."""
    disk_repo.commit({GMAIL: COMMENTED, SLACK: '{"type": "slack", "scopes": ["s"]}\n'})
    return disk_repo


@pytest.fixture
def crm(project: Project, repo: RepoMaker) -> Placement:
    """The project's place in the repository, read while both sides agreed."""
    make_connector(project, "gmail", ["a"])
    make_connector(project, "slack", ["s"])
    placed = make_placement(project, make_repository("Apps", url=repo.url), "apps/crm")
    look(placed)
    return placed


def look(placed: Placement) -> None:
    read_repository(placed.repository, SHELL)


def declares(type_: str, **values: Any) -> None:
    Connector.objects.filter(integration_type=type_).update(**values)


def press(browser: Client, placed: Placement, **ticks: str) -> RepositoryRun:
    """Presses the button of the page as it is now, and lets a worker do what it asks for."""
    path = reverse("admin:connectors_repository_export", args=[placed.repository_id])
    form = parse(browser.get(path).content).having("id", "export-form")[0].fields()
    assert browser.post(path, {**form, **ticks}).status_code == 302
    return carried_out()


def carried_out() -> RepositoryRun:
    run = RepositoryRun.objects.get()
    repository_runs.run(run.pk)
    run.refresh_from_db()
    return run


def page_of(browser: Client, run: RepositoryRun) -> str:
    return browser.get(reverse("admin:connectors_repository_run", args=[run.pk])).content.decode()


def test_what_was_shown_is_committed_and_the_runs_page_names_it(
    browser: Client, repo: RepoMaker, crm: Placement
) -> None:
    declares("gmail", scopes=["a", "b"])
    run = press(browser, crm, reason="Answers go out again.")
    assert repo.read(GMAIL) == b'{"type": "gmail", "scopes": ["a" /* read */, "b"]}\n'
    assert "Answers go out again." in repo.log()[0].body
    assert f"Written: {GMAIL}" in page_of(browser, run)


def test_a_ticked_removal_takes_the_file_away(browser: Client, repo: RepoMaker, crm: Placement) -> None:
    declares("slack", is_declared=False)
    run = press(browser, crm, removals=f"{crm.project_id}:slack")
    assert SLACK not in repo.paths()
    assert f"Removed: {SLACK}" in page_of(browser, run)


def test_a_ticked_conflict_is_written_over_what_git_has(browser: Client, repo: RepoMaker, crm: Placement) -> None:
    repo.commit({GMAIL: '{"type": "gmail", "scopes": ["a", "theirs"]}\n'})
    declares("gmail", scopes=["a", "ours"])
    look(crm)
    press(browser, crm, ours=f"{crm.project_id}:gmail")
    assert json.loads(repo.read(GMAIL))["scopes"] == ["a", "ours"]


def test_a_push_after_the_page_was_shown_stops_what_it_would_change(
    browser: Client, repo: RepoMaker, crm: Placement
) -> None:
    declares("gmail", scopes=["a", "ours"])
    path = reverse("admin:connectors_repository_export", args=[crm.repository_id])
    form = parse(browser.get(path).content).having("id", "export-form")[0].fields()
    browser.post(path, form)
    pushed = repo.commit({GMAIL: '{"type": "gmail", "scopes": ["a", "theirs"]}\n'})
    run = carried_out()
    assert run.state == RepositoryRun.State.REFUSED
    assert repo.log()[0].oid == pushed
    assert "Nothing was written" in page_of(browser, run)

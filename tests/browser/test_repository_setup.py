"""A repository is set up as a person does it: added, tested, its projects found. Against a real git server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from connectors.models import Placement, Repository
from tests.browser.conftest import OpenWindow
from tests.browser.harness import Watched
from tests.factories import make_placement, make_project, make_repository
from tests.servers.git_http import GitServer
from tests.servers.git_repos import RepoMaker

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("git_settings")]

SLACK = '{"type": "slack", "scopes": []}\n'
SLOW = 30_000
"""Milliseconds: git on a busy machine takes its time."""


@pytest.fixture
def repo(git_server: GitServer) -> RepoMaker:
    """A project that the portal knows, one that lies elsewhere already, and one that it does not know."""
    made = git_server.make("acme/apps")
    files = {f"{folder}/base44/connectors/slack.jsonc": SLACK for folder in ("apps/shop", "apps/crm")}
    made.commit({**files, "apps/new/base44/.app.jsonc": '{"id": "app-new"}'}, branch="trunk")
    made.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    return made


def test_a_repository_is_added_tested_and_its_projects_found(
    admin: User, repo: RepoMaker, git_server: GitServer, open_window: OpenWindow
) -> None:
    make_project("shop")
    make_placement(make_project("crm"))
    window = open_window(admin)
    add(window, repo.url, git_server.token.get_secret_value())
    run_the_test(window)
    find_and_add(window)
    row = Repository.objects.get(name="Acme apps")
    assert (row.branch, row.host) == ("trunk", "plain")
    assert [(place.project.slug, place.path) for place in row.placements.all()] == [("shop", "apps/shop")]
    assert Placement.objects.count() == 2


def add(window: Watched, url: str, token: str) -> None:
    window.open("/admin/connectors/repository/add/")
    page = window.page
    page.get_by_label("Name", exact=False).first.fill("Acme apps")
    page.get_by_label("URL").fill(url)
    page.get_by_label("Access token").fill(token)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("main branch is trunk")).to_be_visible(timeout=SLOW)


def run_the_test(window: Watched) -> None:
    page = window.page
    page.get_by_role("button", name="Test now").click()
    expect(page.get_by_text("The server answers and lets the portal in.")).to_be_visible(timeout=SLOW)
    clean(window, "repository-tested")
    page.get_by_role("link", name="Find projects").click()


def find_and_add(window: Watched) -> None:
    page: Page = window.page
    expect(page.get_by_text("3 projects, 1 of them to be added")).to_be_visible(timeout=SLOW)
    clean(window, "repository-found")
    page.get_by_role("checkbox", name="Add Shop").check()
    page.get_by_role("button", name="Add 1 project").click()
    expect(page.get_by_text("Added 1 project.")).to_be_visible(timeout=SLOW)


def test_a_deploy_key_is_made_and_its_public_half_shown(admin: User, open_window: OpenWindow) -> None:
    row = make_repository(url="git@github.com:acme/apps.git", host="github")
    window = open_window(admin)
    window.open(f"/admin/connectors/repository/{row.pk}/key/")
    window.page.get_by_role("button", name="Make a deploy key").click()
    row.refresh_from_db()
    expect(window.page.locator("#public-key")).to_have_text(row.deploy_public_key)
    clean(window, "repository-key-made")


def test_the_webhooks_secret_can_be_copied_once(admin: User, open_window: OpenWindow) -> None:
    row = make_repository(host="github", url="https://github.com/acme/apps.git")
    window = open_window(admin)
    window.open(f"/admin/connectors/repository/{row.pk}/webhook/")
    window.page.get_by_role("button", name="Make the secret").click()
    row.refresh_from_db()
    expect(window.page.locator("#webhook-secret")).to_have_text(row.webhook_secret.reveal())
    clean(window, "repository-webhook-made")


def clean(window: Watched, name: str) -> None:
    """What a step has led to breaks neither a policy nor a rule of accessibility."""
    if folder := os.environ.get("PORTAL_SCREENSHOTS"):
        window.screenshot(Path(folder), name)
    assert window.audit() == []

"""Shared by all tests: which of them can run here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from pytest_django import Settings

from connectors.models import Project, Workspace, trail_guard
from tests import factories, needs
from tests.servers.forge import Forge, forge_server
from tests.servers.git_http import GitServer, git_http_server
from tests.servers.git_repos import RepoMaker
from tests.servers.git_ssh import SshServer, git_ssh_server
from tests.servers.openid_provider.fixtures import _openid_provider_is_calm, openid_provider  # noqa: F401
from tests.servers.token_endpoint import TokenServer, token_server
from tests.servers.webhook_receiver import WebhookReceiver, webhook_receiver

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NEEDS = ("browser", "cli", "postgres", "redis", "ssh")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail where PORTAL_TEST_REQUIRE says so, a test whose marker names something that is missing."""
    for marker in NEEDS:
        if item.get_closest_marker(marker) is not None and (reason := needs.missing(marker)):
            needs.require(marker, reason)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> list[str]:
    """The tests' database without the guards of the trail; gives those that the migrations had left out.

    Tests empty all tables, which the guards refuse; `trail_guards` puts them back for a test about them.
    """
    with django_db_blocker.unblock():
        left_out = trail_guard.missing(connection)
        trail_guard.remove(connection)
        if connection.vendor == "postgresql":
            connection.ops.sql_flush = _delete_what_there_is  # type: ignore[method-assign, assignment]
    return left_out


def _delete_what_there_is(style: object, tables: list[str], **_: object) -> list[str]:
    """How a test that commits leaves the database empty: TRUNCATE takes its time for each of 60 empty tables."""
    names = [connection.ops.quote_name(table) for table in tables]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in names))  # noqa: S608
        return [f"DELETE FROM {name};" for (name,) in cursor.fetchall()]  # noqa: S608 - the tables' own names


@pytest.fixture
def trail_guards(db: None) -> Iterator[None]:
    """The guards in place, as outside of tests."""
    trail_guard.install(connection)
    yield
    trail_guard.remove(connection)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of the Chromium for tests marked `browser`."""
    path = needs.chromium()
    if path is None:
        needs.require("browser", "no Chromium was found")
    return path


@pytest.fixture(scope="session")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """One Chromium for all tests of this process: a second Playwright beside the first would refuse to start."""
    from playwright.sync_api import sync_playwright

    from tests.browser import harness

    # Playwright's synchronous interface runs an event loop in this thread, and Django takes that for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        running = harness.launch(playwright, chromium_path)
        yield running
        running.close()


@pytest.fixture(scope="session")
def _token_endpoint() -> Iterator[TokenServer]:
    with token_server() as running:
        yield running


@pytest.fixture
def idp(_token_endpoint: TokenServer) -> TokenServer:
    """A token endpoint in this process, with nothing arranged and nothing counted."""
    _token_endpoint.reset()
    return _token_endpoint


@pytest.fixture(scope="session")
def _forge() -> Iterator[Forge]:
    with forge_server() as running:
        yield running


@pytest.fixture
def forge(_forge: Forge) -> Iterator[Forge]:
    """An empty host with the APIs of GitHub, GitLab and Gitea. A test that broke their contracts fails."""
    _forge.reset()
    yield _forge
    assert _forge.breaches == []


@pytest.fixture(scope="session")
def _webhook_receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


@pytest.fixture
def receiver(_webhook_receiver: WebhookReceiver) -> WebhookReceiver:
    """A receiver of webhooks in this process that takes everything, and has got nothing yet."""
    _webhook_receiver.reset()
    return _webhook_receiver


@pytest.fixture
def disk_repo(tmp_path: Path, settings: Settings) -> RepoMaker:
    """An empty repository on this disk, which the portal may use."""
    settings.GIT_ALLOW_FILE_URLS = True
    settings.GIT_CACHE_DIR = str(tmp_path / "cache")
    return RepoMaker(tmp_path / "apps.git")


@pytest.fixture(scope="session")
def _git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_http_server(tmp_path_factory.mktemp("git-host")) as running:
        yield running


@pytest.fixture
def git_server(_git_server: GitServer) -> GitServer:
    """A git host in this process without repositories and troubles, with nothing counted."""
    _git_server.reset()
    return _git_server


@pytest.fixture(scope="session")
def _ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with git_ssh_server(tmp_path_factory.mktemp("ssh-host")) as running:
        yield running


@pytest.fixture
def ssh_server(_ssh_server: SshServer) -> SshServer:
    """A git host that speaks ssh, without repositories. For tests marked `ssh`."""
    _ssh_server.reset()
    return _ssh_server


@pytest.fixture
def git_settings(settings: Any, tmp_path: Path) -> Any:
    """Settings by which the portal may reach the git host of the tests, with a cache of the test's own."""
    settings.GIT_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    settings.GIT_CACHE_DIR = str(tmp_path / "git-cache")
    return settings


@pytest.fixture
def operator(db: None) -> User:
    """Runs the portal: staff with every permission."""
    return factories.make_user("operator", staff=True, superuser=True)


@pytest.fixture
def viewer(db: None) -> User:
    """Staff without any permission but to see."""
    return factories.make_user("viewer", staff=True)


@pytest.fixture
def stranger(db: None) -> User:
    """Somebody with a login and nothing to do here."""
    return factories.make_user("stranger")


@pytest.fixture
def workspace(db: None) -> Workspace:
    """A workspace whose Base44 never answers."""
    return factories.make_workspace("Acme")


@pytest.fixture
def project(workspace: Workspace) -> Project:
    """A project of `workspace`, without connectors."""
    return factories.make_project("crm", workspace=workspace)

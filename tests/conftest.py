"""Shared by all tests: which of them can run here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import User

from connectors.models import Project, Workspace
from tests import factories, needs
from tests.servers.openid_provider.fixtures import _openid_provider_is_calm, openid_provider  # noqa: F401
from tests.servers.token_endpoint import TokenServer, token_server
from tests.servers.webhook_receiver import WebhookReceiver, webhook_receiver

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NEEDS = ("browser", "cli", "postgres", "redis")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail where PORTAL_TEST_REQUIRE says so, a test whose marker names something that is missing."""
    for marker in NEEDS:
        if item.get_closest_marker(marker) is not None and (reason := needs.missing(marker)):
            needs.require(marker, reason)


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
def _webhook_receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


@pytest.fixture
def receiver(_webhook_receiver: WebhookReceiver) -> WebhookReceiver:
    """A receiver of webhooks in this process that takes everything, and has got nothing yet."""
    _webhook_receiver.reset()
    return _webhook_receiver


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

"""Browser, logged-in windows, and a portal with something in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import override_settings
from playwright.sync_api import Browser
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from connectors.core.base44.emulator import Emulator
from tests import factories
from tests.browser import harness, scene
from tests.browser.harness import View, Watched
from tests.servers.worker import Worker, worker

OpenWindow = Callable[..., Watched]


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    """The one Chromium of this process."""
    return chromium


@pytest.fixture
def admin(live_server: LiveServer) -> User:
    """Ada Admin, who may do everything."""
    cache.clear()  # the cache outlives the database of a test, and user ids come again
    return scene.make_admin()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """A Base44 with a few apps in it."""
    with Emulator(seed="demo") as base44:
        yield base44


@pytest.fixture
def cast(admin: User, emulator: Emulator) -> scene.Scene:
    """A portal in use: three workspaces, projects in every state, runs and events."""
    return scene.build(admin, emulator)


@dataclass(frozen=True, slots=True)
class Standing:
    """A portal in use that answers at `url`."""

    scene: scene.Scene
    url: str


@pytest.fixture(scope="module")
def standing(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Standing]:
    """One portal in use for all tests of a module that only look at it: building one takes longer than a look.

    Such a module overrides `db` with a fixture that does nothing, and asks for no `live_server`: pytest-django's own
    would empty the tables after each test.
    """
    with (
        django_db_blocker.unblock(),
        override_settings(ALLOWED_HOSTS=["localhost", "testserver"]),
        Emulator(seed="demo") as emulator,
    ):
        cache.clear()
        server = LiveServer("localhost")
        try:
            yield Standing(scene.build(scene.make_admin(), emulator), server.url)
        finally:
            server.stop()
            call_command("flush", interactive=False, verbosity=0)


@pytest.fixture
def viewer(live_server: LiveServer) -> User:
    """Staff without any permission."""
    return factories.make_user("viewer", staff=True)


@pytest.fixture
def open_window(browser: Browser, live_server: LiveServer) -> Iterator[OpenWindow]:
    """Opens windows: `open_window(user, view)`; without a user somebody who is not logged in."""
    with ExitStack() as stack:

        def open_one(user: User | None = None, view: View = harness.WIDE, *, javascript: bool = True) -> Watched:
            return stack.enter_context(harness.window(browser, live_server.url, view, user, javascript=javascript))

        yield open_one


@pytest.fixture
def running_worker(admin: User) -> Iterator[Worker]:
    """A worker on the database of this test."""
    with worker() as started:
        yield started

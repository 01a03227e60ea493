"""The page that leads to a provider, and the one for an answer that nobody waits for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Request, Route, expect
from pytest_django.live_server_helper import LiveServer

from connectors.models import Connector
from tests.browser import harness
from tests.browser.at_provider import SCOPES, authorise_path
from tests.browser.harness import View, Watched
from tests.factories import make_connector, make_oauth_client, make_project

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PROVIDER = "https://accounts.google.com/"
SCREENSHOTS = os.environ.get("PORTAL_SCREENSHOTS")


@pytest.fixture
def connector(admin: User) -> Connector:
    """Gmail, with a client of Google's."""
    make_oauth_client("acme")
    return make_connector(make_project("shop", name="Shop"), "gmail", SCOPES)


@contextmanager
def stopped_at_the_door(
    browser: Browser, base: str, view: View, user: User, connector: Connector, *, javascript: bool = True
) -> Iterator[tuple[Watched, list[Request]]]:
    """A window on the page that leads away, and what the provider was asked: its silence keeps the window there."""
    asked: list[Request] = []

    def say_nothing(route: Route) -> None:
        asked.append(route.request)
        route.fulfill(status=204)

    with harness.window(browser, base, view, user, javascript=javascript, elsewhere=(PROVIDER,)) as window:
        window.page.route(f"{PROVIDER}**", say_nothing)
        window.page.goto(base + authorise_path(connector))
        with window.page.expect_request(f"{PROVIDER}**"):
            window.page.get_by_role("button", name="Authorise at").click()
        expect(window.page.get_by_role("heading", name="Going to")).to_be_visible()
        yield window, asked


def look(window: Watched, name: str) -> list[str]:
    """What is wrong with the page as it stands."""
    window.settle()
    if SCREENSHOTS:
        window.screenshot(Path(SCREENSHOTS), name)
    return [*window.audit(), *window.unreachable()]


def test_the_page_that_leads_away_is_clean_in_every_view(
    admin: User, connector: Connector, browser: Browser, live_server: LiveServer
) -> None:
    faults = []
    for view in harness.VIEWS:
        with stopped_at_the_door(browser, live_server.url, view, admin, connector) as (window, _):
            faults += look(window, "leaving")
    assert not faults, "\n".join(faults)


def test_it_leads_away_by_itself_and_by_its_link_without_scripts(
    admin: User, connector: Connector, browser: Browser, live_server: LiveServer
) -> None:
    stop = stopped_at_the_door(browser, live_server.url, harness.WIDE, admin, connector, javascript=False)
    with stop as (window, asked):
        with window.page.expect_request(f"{PROVIDER}**"):
            window.page.get_by_role("link", name="Continue to").click()
        assert [request.headers.get("referer") for request in asked] == [None, None]
        assert len({request.url for request in asked}) == 1
        assert window.faults == []


def test_an_answer_that_nobody_waits_for_is_refused_on_a_clean_page(
    admin: User, connector: Connector, browser: Browser, live_server: LiveServer
) -> None:
    faults = []
    for view in harness.VIEWS:
        with harness.window(browser, live_server.url, view, admin) as window:
            window.open("/oauth/acme/callback/?state=made-up&code=made-up", status=403)
            faults += look(window, "answer-refused")
    assert not faults, "\n".join(faults)

"""The emulator's pages in a real browser: what the policy lets through, the keyboard, accessibility."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from connectors.core.base44.emulator import Emulator
from tests.browser import axe
from tests.servers.http import ask

pytestmark = pytest.mark.browser

SCOPES = ["users:read", "channels:read"]


@pytest.fixture(params=["light", "dark"])
def tab(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A narrow tab in light or dark; anything on its console fails the test."""
    with chromium.new_context(color_scheme=request.param, viewport={"width": 360, "height": 720}) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        yield page
        assert said == []


def consent_link(emulator: Emulator) -> str:
    path = "/api/apps/shop/external-auth/integrations/slack"
    return str(ask(emulator.url, "PUT", path, {"scopes": SCOPES}, token=emulator.pat).json["redirect_url"])


def claim_link(emulator: Emulator) -> str:
    path = "/api/apps/shop/payments/stripe/install"
    return str(ask(emulator.url, "POST", path, token=emulator.pat).json["claim_url"])


def test_no_page_breaks_an_accessibility_rule(emulator: Emulator, tab: Page) -> None:
    emulator.register("shop", "notion")
    for address in (consent_link(emulator), claim_link(emulator), f"{emulator.url}/device", f"{emulator.url}/"):
        tab.goto(address)
        assert axe.violations(tab) == []


def test_no_page_is_wider_than_a_narrow_screen(emulator: Emulator, tab: Page) -> None:
    for address in (consent_link(emulator), claim_link(emulator), f"{emulator.url}/device", f"{emulator.url}/"):
        tab.goto(address)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_person_approves_some_scopes_with_the_keyboard_alone(emulator: Emulator, tab: Page) -> None:
    tab.goto(consent_link(emulator))
    for key in ("Tab", "Space", "Tab", "Tab", "Tab", "Tab", "Tab", "Enter"):
        tab.keyboard.press(key)
    tab.get_by_role("heading", name="Connected").wait_for()
    assert emulator.app("shop").connections["slack"].scopes == ["channels:read", "identify"]

"""The frame around the pages, used without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import harness
from tests.browser.conftest import OpenWindow
from tests.browser.harness import View, Watched
from tests.browser.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/connectors/connector/"
NARROW = View("light", 390, 844)


@pytest.fixture
def window(cast: Scene, open_window: OpenWindow) -> Watched:
    return open_window(cast.admin)


def focus_on(window: Watched, name: str) -> None:
    """Press Tab until the control of this accessible name has the focus."""
    for _ in range(60):
        window.page.keyboard.press("Tab")
        if window.page.evaluate(
            "() => { const e = document.activeElement; return e.getAttribute('aria-label') || e.textContent.trim(); }"
        ).startswith(name):
            return
    raise AssertionError(f"Tab never came to {name}")


def test_the_palette_opens_finds_a_row_and_goes_there_by_keyboard_alone(window: Watched) -> None:
    window.open("/admin/")
    window.page.keyboard.press("Control+k")
    expect(window.page.locator("#search-input-command")).to_be_focused()
    window.page.keyboard.type("gmail support")
    expect(window.page.locator("#command-results-list li")).to_have_count(1)
    window.page.keyboard.press("Enter")
    window.page.wait_for_url("**/connectors/connector/*/change/")
    assert window.audit() == []


def test_the_page_behind_the_open_palette_is_out_of_reach(window: Watched) -> None:
    window.open("/admin/")
    window.page.keyboard.press("Control+k")
    expect(window.page.locator("#search-input-command")).to_be_focused()
    for _ in range(5):
        window.page.keyboard.press("Tab")
    assert window.page.evaluate("() => !document.getElementById('page').contains(document.activeElement)")
    assert window.audit() == []


def test_closing_the_palette_brings_the_focus_back(window: Watched) -> None:
    window.open("/admin/")
    focus_on(window, "search")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("#search-input-command")).to_be_focused()
    window.page.keyboard.press("Escape")
    expect(window.page.locator(".pc-search-button")).to_be_focused()


def test_a_search_without_a_match_says_so(window: Watched) -> None:
    window.open("/admin/")
    window.page.keyboard.press("Control+k")
    expect(window.page.locator("#search-input-command")).to_be_focused()
    window.page.keyboard.type("zzzz")
    expect(window.page.locator("#command-results-note")).to_contain_text("Nothing matches")


def test_the_sidebar_is_folded_away_by_keyboard_and_stays_so(window: Watched) -> None:
    window.open(LIST)
    focus_on(window, "Toggle sidebar")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("#nav-sidebar")).to_be_hidden()
    window.open("/admin/")
    expect(window.page.locator("#nav-sidebar")).to_be_hidden()
    assert window.faults == []


def test_the_menu_of_a_phone_opens_takes_the_focus_and_closes_with_escape(cast: Scene, open_window: OpenWindow) -> None:
    window = open_window(cast.admin, NARROW)
    window.open(LIST)
    focus_on(window, "Toggle sidebar")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("#nav-sidebar")).to_be_visible()
    assert window.audit() == []
    window.page.keyboard.press("Escape")
    expect(window.page.locator("#nav-sidebar")).to_be_hidden()


def test_the_theme_is_chosen_by_keyboard_and_kept_also_on_the_login_page(window: Watched) -> None:
    window.open("/admin/")
    window.page.keyboard.press("Control+e")
    window.page.keyboard.press("Control+e")
    expect(window.page.locator("html")).to_have_class("dark")
    window.page.context.clear_cookies()
    window.open("/accounts/login/")
    expect(window.page.locator("html")).to_have_class("dark")


def test_the_theme_follows_the_system_while_none_was_chosen(window: Watched) -> None:
    window.open("/admin/")
    html = window.page.locator("html")
    window.page.emulate_media(color_scheme="dark")
    expect(html).to_have_class("dark")
    window.page.emulate_media(color_scheme="light")
    expect(html).to_have_class("")
    window.page.keyboard.press("Control+e")
    expect(html).to_have_class("light")
    window.page.emulate_media(color_scheme="dark")
    expect(html).to_have_class("light")


def test_the_account_menu_opens_by_keyboard(window: Watched) -> None:
    window.open("/admin/")
    focus_on(window, "A")
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("button", name="Log out")).to_be_visible()
    assert window.audit() == []


def test_the_filters_open_and_close_by_keyboard(window: Watched) -> None:
    window.open(LIST)
    focus_on(window, "Filters")
    window.page.keyboard.press("Enter")
    expect(window.page.locator("#changelist-filter")).to_be_visible()
    assert window.audit() == []
    window.page.keyboard.press("Escape")
    expect(window.page.locator("#changelist-filter")).to_be_hidden()


def test_ticking_a_row_shows_what_can_be_done_with_it(window: Watched) -> None:
    window.open(LIST)
    window.page.locator("input.action-select").first.focus()
    window.page.keyboard.press("Space")
    expect(window.page.locator("#changelist-actions-wrapper select[name=action]")).to_be_visible()
    assert window.audit() == []


def test_somebody_logs_in_lands_on_the_dashboard_and_logs_out(cast: Scene, open_window: OpenWindow) -> None:
    window = open_window()
    window.open("/admin/")
    window.page.get_by_label("Username or e-mail").fill("ada")
    window.page.get_by_label("Password").fill("password")
    window.page.keyboard.press("Enter")
    window.page.wait_for_url("**/admin/")
    expect(window.page.locator("h1")).to_have_text("Dashboard")
    window.page.get_by_text("ada@example.com").click()
    window.page.get_by_role("button", name="Log out").click()
    window.page.wait_for_url("**/accounts/login/**")
    assert window.faults == []


def test_a_wrong_password_is_told_in_words(cast: Scene, open_window: OpenWindow) -> None:
    window = open_window()
    window.open("/accounts/login/")
    window.page.get_by_label("Username or e-mail").fill("ada")
    window.page.get_by_label("Password").fill("something else")
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("alert")).to_contain_text("password")
    assert window.audit() == []


@pytest.mark.parametrize("view", harness.VIEWS, ids=lambda view: view.name)
def test_a_fresh_installation_shows_one_button(view: View, admin: object, open_window: OpenWindow) -> None:
    window = open_window(admin, view)
    window.open("/admin/")
    expect(window.page.locator("#content a.pc-btn")).to_have_count(1)
    assert window.audit() == []

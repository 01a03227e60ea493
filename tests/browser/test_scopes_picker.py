"""The scopes picker on the connector form."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from connectors.models import Connector
from tests.browser.conftest import OpenWindow
from tests.browser.harness import Watched
from tests.browser.scene import GMAIL, Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

READ, SEND = GMAIL


@pytest.fixture
def window(cast: Scene, open_window: OpenWindow) -> Watched:
    window = open_window(cast.admin)
    window.open(f"/admin/connectors/connector/{cast.example(Connector)}/change/")
    return window


def search_box(window: Watched) -> Locator:
    return window.page.get_by_role("combobox", name="Add a scope")


def scopes(window: Watched) -> list[str]:
    """What the form would submit."""
    return window.page.locator("textarea[name=scopes]").input_value().split()


def test_chosen_scopes_are_shown_in_their_order_with_what_they_allow(window: Watched) -> None:
    rows = window.page.locator(".pc-scopes__row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text(READ)
    expect(rows.first).to_contain_text("Read all mail")
    expect(rows.first).to_contain_text("High")


def test_a_scope_is_found_and_added_at_the_end_by_keyboard(window: Watched) -> None:
    search_box(window).focus()
    window.page.keyboard.type("gmail.modify")
    window.page.keyboard.press("Enter")
    assert scopes(window) == [READ, SEND, "https://www.googleapis.com/auth/gmail.modify"]
    assert window.audit() == []


def test_enter_in_the_search_does_not_save_the_form(window: Watched) -> None:
    before = window.page.url
    search_box(window).focus()
    window.page.keyboard.type("nothing like it exists")
    window.page.keyboard.press("Enter")
    window.settle()
    assert window.page.url == before


def test_removing_a_scope_keeps_the_others_and_the_focus_in_the_list(window: Watched) -> None:
    window.page.get_by_role("button", name=f"Remove {READ}").focus()
    window.page.keyboard.press("Enter")
    assert scopes(window) == [SEND]
    expect(window.page.get_by_role("button", name=f"Remove {SEND}")).to_be_focused()


def test_a_scope_that_the_catalogue_does_not_know_is_taken_with_a_warning(window: Watched) -> None:
    search_box(window).focus()
    window.page.keyboard.type("gmail.readonli")
    window.page.keyboard.press("Enter")
    assert scopes(window) == [READ, SEND, "gmail.readonli"]
    expect(window.page.locator(".pc-scopes__row--unknown")).to_contain_text("Not in the catalogue")
    assert window.audit() == []


def test_the_open_list_is_accessible_and_escape_closes_only_the_list(window: Watched) -> None:
    search_box(window).focus()
    window.page.keyboard.press("ArrowDown")
    expect(window.page.get_by_role("listbox")).to_be_visible()
    assert window.audit() == []
    window.page.keyboard.press("Escape")
    expect(window.page.get_by_role("listbox")).to_be_hidden()


def test_scopes_edited_as_text_come_back_as_a_list(window: Watched) -> None:
    window.page.get_by_role("button", name="Edit as text").click()
    window.page.locator("textarea[name=scopes]").fill(f"{SEND}\n{READ}")
    window.page.get_by_role("button", name="Back to the list").click()
    expect(window.page.locator(".pc-scopes__row").first).to_contain_text(SEND)


def test_what_is_chosen_is_saved_in_order(window: Watched, cast: Scene) -> None:
    search_box(window).focus()
    window.page.keyboard.type("made.up:scope")
    window.page.keyboard.press("Enter")
    window.page.get_by_role("button", name="Save", exact=True).click()
    window.page.wait_for_url("**/connectors/connector/")
    assert Connector.objects.get(pk=cast.example(Connector)).scopes == [READ, SEND, "made.up:scope"]


def test_without_javascript_scopes_are_lines_of_a_text_area(cast: Scene, open_window: OpenWindow) -> None:
    window = open_window(cast.admin, javascript=False)
    window.page.goto(f"{window.base}/admin/connectors/connector/{cast.example(Connector)}/change/")
    expect(window.page.locator("textarea[name=scopes]")).to_be_visible()
    assert scopes(window) == GMAIL

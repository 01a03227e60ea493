"""Every page, in light and dark, wide and narrow: no policy or script error, no WCAG finding, no sideways scrolling."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import harness
from tests.browser.conftest import Standing
from tests.browser.pages import Look, pages

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("db")]

SCREENSHOTS = os.environ.get("PORTAL_SCREENSHOTS")
"""A folder: then each page is looked at in every view, and also saved there."""

WIDE, WIDE_DARK, NARROW, NARROW_DARK = harness.VIEWS
PAIRS = [(WIDE, NARROW_DARK), (WIDE_DARK, NARROW)]
"""Both colours and both widths for every page, and one load; what all pages share is seen in all four views."""
PLAIN = ("-add", "-delete", "-history")
"""Pages that are drawn by the same templates for every model: each in one of the views."""


def views_of(look: Look, number: int) -> tuple[harness.View, ...]:
    """In which views a page is looked at; `number` counts the pages."""
    return (harness.VIEWS[number % 4],) if look.name.endswith(PLAIN) else PAIRS[number % 2]


LOOKS = [pytest.param(look, views_of(look, number), id=str(look)) for number, look in enumerate(pages())]


@pytest.fixture(scope="module")
def db() -> None:
    """By its name pytest-django knows that a database has to be made; `standing` fills it, and no test empties it."""


@pytest.fixture(scope="module")
def profile(chromium: Browser) -> Iterator[BrowserContext]:
    """One profile for all pages: style sheets, scripts and fonts are loaded and read once."""
    context = harness.new_context(chromium, WIDE)
    yield context
    context.close()


@pytest.mark.parametrize(("look", "views"), LOOKS)
def test_page_is_clean_in_its_views_and_each_control_is_reached_by_keyboard(
    look: Look, views: tuple[harness.View, ...], standing: Standing, profile: BrowserContext
) -> None:
    faults, cast = [], standing.scene
    with harness.tab(profile, standing.url, views[0], None if look.anonymous else cast.admin) as window:
        window.open(look.path(cast), status=look.status)
        for view in harness.VIEWS if SCREENSHOTS else views:
            window.turn(view)
            window.settle()
            if SCREENSHOTS:
                window.screenshot(Path(SCREENSHOTS), look.name)
            faults += window.audit()
            window.faults.clear()
        faults += window.unreachable()
    assert not faults, "\n".join(faults)

"""Every page, in light and dark, wide and narrow: no policy or script error, no WCAG finding, no sideways scrolling."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser import harness
from tests.browser.conftest import OpenWindow
from tests.browser.pages import Look, pages
from tests.browser.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCREENSHOTS = os.environ.get("PORTAL_SCREENSHOTS")
"""A folder: then each page is also saved there in every view."""


@pytest.mark.parametrize("look", pages(), ids=str)
def test_page_is_clean_in_every_view_and_each_control_is_reached_by_keyboard(
    look: Look, cast: Scene, open_window: OpenWindow
) -> None:
    faults = []
    for view in harness.VIEWS:
        window = open_window(None if look.anonymous else cast.admin, view)
        window.open(look.path(cast), status=look.status)
        if SCREENSHOTS:
            window.screenshot(Path(SCREENSHOTS), look.name)
        faults += window.audit()
        if view == harness.WIDE:
            faults += window.unreachable()
        window.page.context.close()
    assert not faults, "\n".join(faults)

"""A consent link from the desk to the colleague's decision, in two browsers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from connectors import tasks
from connectors.models import Connector, ConsentLink, PolicyRule
from tests import factories
from tests.browser import harness
from tests.browser.conftest import OpenWindow
from tests.browser.harness import Watched
from tests.browser.scene import Scene

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SCREENSHOTS = os.environ.get("PORTAL_SCREENSHOTS")


@pytest.fixture
def colleague(cast: Scene) -> User:
    """Somebody with a login who is no staff."""
    return factories.make_user("bea")


def looked_at(window: Watched, name: str) -> None:
    """Nothing of the page as it stands is at fault."""
    if SCREENSHOTS:
        window.screenshot(Path(SCREENSHOTS), name)
    assert window.audit() == []


def link_from_desk(window: Watched, connector: Connector) -> str:
    """Ticks the connector on the desk, asks for a link, and returns it as the page shows it."""
    window.open("/admin/connectors/connector/desk/")
    window.page.check(f"input[value='hosted-{connector.pk}']")
    window.page.click("text=Get links for 1 row")
    window.page.wait_for_selector("[data-copy]")
    window.settle()
    return window.page.locator("code[id^=link-]").inner_text()


@pytest.mark.parametrize("view", [harness.WIDE, harness.VIEWS[-1]], ids=lambda view: view.name)
def test_a_colleague_agrees_with_the_link_that_the_desk_gave(
    view: harness.View, cast: Scene, colleague: User, open_window: OpenWindow
) -> None:
    PolicyRule.objects.update(is_enabled=False)  # one of the scene's would stop this connector
    connector = Connector.objects.filter(consent="needed").select_related("project").order_by("pk")[0]
    cast.emulator.add_app(connector.project.app_id, connector.project.name)
    admin = open_window(cast.admin, view)
    link = link_from_desk(admin, connector)
    looked_at(admin, "desk-links")
    bea = open_window(colleague, view)
    bea.open(link.removeprefix(bea.base))
    assert link.rsplit("/", 2)[1] not in bea.page.url
    looked_at(bea, "consent-page-of-base44")
    bea.page.click("text=Continue to")
    bea.page.wait_for_selector("text=Waiting for your decision")
    bea.settle()
    looked_at(bea, "consent-opened")
    cast.emulator.consent(connector.project.app_id, connector.integration_type_id)
    tasks.poll_consent(connector.pk)
    bea.page.click("text=See what was granted")
    bea.page.wait_for_selector("h2:text('What was granted')")
    bea.settle()
    looked_at(bea, "consent-granted")
    assert ConsentLink.objects.get(claimed_by=colleague).used_at is not None

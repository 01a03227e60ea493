"""The main job, as a person does it: look, plan, apply, consent, and the files for git. With a real worker."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from connectors.core.base44.emulator import Emulator
from connectors.core.config_files import locate_file
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.models import Connector, Project, Workspace
from tests.browser.conftest import OpenWindow
from tests.browser.harness import Watched
from tests.factories import SHELL, make_project, make_workspace
from tests.servers.worker import Worker

pytestmark = pytest.mark.browser

APP = "app-shop"
FILE = b"""{
  "type": "slackbot",
  "scopes": [
    "chat:write" // order updates
  ]
}
"""
SLOW = 30_000
"""Milliseconds: a worker on a busy machine takes its time."""


@pytest.fixture
def base44() -> Iterator[Emulator]:
    """An app with one connector that nobody declares."""
    with Emulator() as emulator:
        emulator.register(APP, "notion", [])
        yield emulator


@pytest.fixture
def shop(admin: User, base44: Emulator) -> Project:
    """The app's project, with one imported file."""
    workspace = make_workspace("Acme", api_url=base44.url, token=base44.pat, plan=Workspace.Plan.ENTERPRISE)
    project = make_project("shop", workspace=workspace, app_id=APP)
    apply_import(plan_import(project, locate_file("slackbot.jsonc", FILE)), SHELL)
    return project


def test_look_plan_apply_consent_and_export(
    admin: User, shop: Project, base44: Emulator, running_worker: Worker, open_window: OpenWindow
) -> None:
    window = open_window(admin)
    page = window.page
    window.open(f"/admin/connectors/project/{shop.pk}/plan/")
    look_and_apply(page)
    authorise(page)
    expect(page.get_by_text("Connected as admin@acme.example")).to_be_visible(timeout=SLOW)
    slackbot = Connector.objects.get(project=shop, integration_type="slackbot")
    assert slackbot.sync_state == Connector.SyncState.IN_SYNC
    assert "notion" in base44.app(APP).connections
    assert files_of(page, window, shop) == {"slackbot.jsonc": FILE}


def look_and_apply(page: Page) -> None:
    page.get_by_role("button", name="Look at Base44").click()
    expect(page.get_by_text("chat:write").first).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Apply 1 change").click()
    page.wait_for_url("**/live/**")
    expect(page.get_by_role("button", name="Authorise slackbot")).to_be_visible(timeout=SLOW)


def authorise(page: Page) -> None:
    page.get_by_role("button", name="Authorise slackbot").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="consent page").click()
    consent = opened.value
    consent.get_by_role("button", name="Approve all").click()
    consent.close()


def files_of(page: Page, window: Watched, project: Project) -> dict[str, bytes]:
    window.open(f"/admin/connectors/project/{project.pk}/export/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}

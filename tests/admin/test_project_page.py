"""The project's own page: connectors, plan, runs and files at a glance."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.models import Project, SyncRun
from tests.admin.html import parse
from tests.factories import make_connector

READ = "https://www.googleapis.com/auth/gmail.readonly"


def address(project: Project) -> str:
    return reverse("admin:connectors_project_change", args=[project.pk])


@pytest.fixture
def synced(project: Project) -> Project:
    """A project that was compared a moment ago."""
    Project.objects.update(synced_at=timezone.now(), stripe_mode="")
    project.refresh_from_db()
    return project


def test_the_page_shows_connectors_plan_runs_and_files(browser: Client, synced: Project) -> None:
    make_connector(synced, "gmail", [READ], registered_at=timezone.now(), sync_state="not_registered",
                   source=b"{}", source_path="gmail.jsonc")  # fmt: skip
    SyncRun.objects.create(project=synced, kind="sync", state="failed", actor_label="ada", door="admin")
    page = parse(browser.get(address(synced)).content)
    text = {
        part: page.having("aria-labelledby", f"project-{part}")[0].text
        for part in ("connectors", "plan", "runs", "files")
    }
    assert "Not at Base44" in text["connectors"]
    assert READ in text["plan"]
    assert "Failed" in text["runs"]
    assert "gmail.jsonc" in text["files"]


def test_nothing_is_called_in_sync_before_it_was_compared(browser: Client, project: Project) -> None:
    make_connector(project, "gmail", [READ])
    page = parse(browser.get(address(project)).content)
    assert "Base44 has not been asked yet" in page.having("aria-labelledby", "project-plan")[0].text
    assert "In sync" not in page.having("aria-labelledby", "project-state")[0].text


def test_the_error_of_the_last_sync_is_shown(browser: Client, synced: Project) -> None:
    Project.objects.update(sync_error="Base44 answered 503 three times in a row.")
    assert "Base44 answered 503 three times in a row." in browser.get(address(synced)).content.decode()


def test_a_reader_gets_no_buttons_that_change_and_cannot_sync(client: Client, reader: object, project: Project) -> None:
    client.force_login(reader)  # type: ignore[arg-type]
    page = parse(client.get(address(project)).content)
    buttons = [one.text.strip() for one in page.having("class", "pc-btn")]
    assert "Export" in buttons
    assert not {"Plan", "Sync now", "Pull", "Import", "Add connector"} & set(buttons)
    assert client.post(reverse("admin:connectors_project_sync", args=[project.pk])).status_code == 403
    assert not SyncRun.objects.exists()

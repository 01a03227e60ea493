"""Export: the page shows what the download holds."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.test import Client
from django.urls import reverse

from connectors.models import Connector, Event, Project, Workspace
from tests.factories import make_connector, make_project

SOURCE = b'{\r\n  // ours\r\n  "type": "slack",\r\n  "scopes": ["chat:write"]\r\n}\r\n'


@pytest.fixture
def slack(project: Project) -> Connector:
    return make_connector(project, "slack", ["chat:write"], source=SOURCE, source_path="slack.jsonc")


def page(project: Project) -> str:
    return reverse("admin:connectors_project_export", args=[project.pk])


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_an_unchanged_file_is_shown_as_imported(browser: Client, project: Project, slack: Connector) -> None:
    (file,) = browser.get(page(project)).context["files"]
    assert (file.path, file.kind, file.diff) == ("slack.jsonc", "unchanged", "")


def test_a_changed_file_shows_only_what_changes(browser: Client, project: Project, slack: Connector) -> None:
    Connector.objects.update(scopes=["chat:write", "users:read"])
    (file,) = browser.get(page(project)).context["files"]
    changed = [line for line in file.diff.splitlines() if line[0] in "+-" and not line.startswith(("+++", "---"))]
    assert file.kind == "edited"
    assert changed == ['-  "scopes": ["chat:write"]', '+  "scopes": ["chat:write", "users:read"]']


def test_a_connector_without_a_file_gets_one(browser: Client, project: Project) -> None:
    make_connector(project, "gmail", ["mail.read"])
    (file,) = browser.get(page(project)).context["files"]
    assert (file.path, file.kind) == ("gmail.jsonc", "new")


def test_the_zip_holds_the_files_and_goes_on_record(browser: Client, project: Project, slack: Connector) -> None:
    answer = browser.post(page(project))
    assert answer["Content-Disposition"] == 'attachment; filename="crm.zip"'
    assert names(answer.content) == ["base44/connectors/slack.jsonc"]
    assert Event.objects.get(verb="project.exported").actor_label == "operator"


def test_one_file_is_downloaded_byte_for_byte(browser: Client, project: Project, slack: Connector) -> None:
    answer = browser.post(page(project), {"file": "slack.jsonc"})
    assert answer.content == SOURCE
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert Event.objects.get(verb="project.exported").after == {"file": "slack.jsonc"}


@pytest.mark.parametrize("name", ["../settings.py", "/etc/passwd", "gmail.jsonc", ""])
def test_a_file_that_is_not_shown_is_not_downloaded(
    browser: Client, project: Project, slack: Connector, name: str
) -> None:
    answer = browser.post(page(project), {"file": name})
    assert "no such file" in answer.context["problem"]
    assert not Event.objects.exists()


def test_looking_goes_on_no_record(browser: Client, project: Project, slack: Connector) -> None:
    browser.get(page(project))
    assert not Event.objects.exists()


def test_many_projects_come_as_one_zip(
    browser: Client, project: Project, slack: Connector, workspace: Workspace
) -> None:
    other = make_project("shop", workspace=workspace)
    make_connector(other, "gmail", ["mail.read"])
    answer = browser.post(reverse("admin:connectors_project_export_many"), {"ids": [project.pk, other.pk]})
    assert names(answer.content) == ["crm/base44/connectors/slack.jsonc", "shop/base44/connectors/gmail.jsonc"]


def test_no_known_project_gives_no_zip(browser: Client, db: None) -> None:
    assert browser.post(reverse("admin:connectors_project_export_many"), {"ids": ["999", "x"]}).status_code == 404


def test_downloading_many_is_not_answered_to_a_get(browser: Client, project: Project) -> None:
    assert browser.get(reverse("admin:connectors_project_export_many"), {"ids": project.pk}).status_code == 405

"""Import: an upload is shown first, taken over as it was shown, and cannot do more than name connectors."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from django.urls import reverse

from connectors.flows.declare import declare
from connectors.models import Connector, Project, SyncRun, Workspace
from tests.factories import SHELL, make_connector, make_project, make_user

SLACK = b'// ours\n{"type": "slack", "scopes": ["chat:write"]}\n'
GMAIL = b'{"type": "gmail", "scopes": ["mail.read"]}'


def page(project: Project) -> str:
    return reverse("admin:connectors_project_import", args=[project.pk])


def archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, raw in files.items():
            made.writestr(name, raw)
    return buffer.getvalue()


def upload(browser: Client, project: Project, files: Mapping[str, bytes]) -> Any:
    return browser.post(page(project), {"files": [SimpleUploadedFile(name, raw) for name, raw in files.items()]})


def apply(browser: Client, project: Project, shown: Any, **values: Any) -> Any:
    """Posts the second step as the shown page's form does."""
    plan = shown.context["shown"].plan
    form = {"action": "apply", "upload": shown.context["upload"], "fingerprint": plan.fingerprint}
    return browser.post(page(project), {**form, **values})


def declared(project: Project) -> dict[str, list[str]]:
    rows = Connector.objects.filter(project=project, is_declared=True)
    return {row.integration_type_id: row.scopes for row in rows}


def test_an_upload_is_shown_and_changes_nothing(browser: Client, project: Project) -> None:
    make_connector(project, "slack", ["users:read"])
    answer = upload(browser, project, {"slack.jsonc": SLACK, "gmail.json": GMAIL})
    rows = [(row.change.type, row.change.kind.value) for row in answer.context["shown"].rows]
    assert rows == [("gmail", "new"), ("slack", "changed")]
    assert declared(project) == {"slack": ["users:read"]}


def test_what_was_shown_is_taken_over_byte_for_byte(browser: Client, project: Project) -> None:
    answer = apply(browser, project, upload(browser, project, {"slack.jsonc": SLACK}))
    run = SyncRun.objects.get(kind=SyncRun.Kind.IMPORT)
    assert answer["Location"] == reverse("admin:connectors_syncrun_live", args=[run.pk])
    assert bytes(Connector.objects.get(project=project).source or b"") == SLACK


def test_a_zip_of_a_project_is_read(browser: Client, project: Project) -> None:
    made = archive({"base44/connectors/slack.jsonc": SLACK, "base44/config.jsonc": b"{}"})
    answer = apply(browser, project, upload(browser, project, {"repo.zip": made}))
    assert answer.status_code == 302
    assert declared(project) == {"slack": ["chat:write"]}


def test_single_files_say_nothing_of_other_connectors(browser: Client, project: Project) -> None:
    make_connector(project, "notion")
    shown = upload(browser, project, {"slack.jsonc": SLACK, "gmail.json": GMAIL})
    assert shown.context["shown"].plan.missing == ()


def test_what_an_archive_lacks_stays_unless_it_is_ticked_and_confirmed(browser: Client, project: Project) -> None:
    make_connector(project, "notion")
    shown = upload(browser, project, {"c.zip": archive({"connectors/slack.jsonc": SLACK})})
    again = apply(browser, project, shown, remove=["notion"])
    assert again.context["confirm"]
    assert declared(project) == {"notion": []}
    apply(browser, project, shown, remove=["notion"], confirmed="1")
    assert declared(project) == {"slack": ["chat:write"]}


def test_a_faulty_file_is_shown_with_its_place_and_nothing_can_be_taken_over(browser: Client, project: Project) -> None:
    shown = upload(browser, project, {"slack.jsonc": SLACK, "gmail.jsonc": b'{\n  "type": gmail\n}'})
    (error,) = shown.context["shown"].plan.refused
    assert (error.path, error.line, error.column) == ("gmail.jsonc", 2, 11)
    assert not shown.context["shown"].can_apply
    apply(browser, project, shown)
    assert declared(project) == {}


def test_a_forged_removal_is_refused(browser: Client, project: Project) -> None:
    shown = upload(browser, project, {"slack.jsonc": SLACK})
    answer = apply(browser, project, shown, remove=["slack"], confirmed="1")
    assert "nothing to remove" in answer.context["problem"]
    assert declared(project) == {}


def test_a_portal_that_has_changed_since_is_shown_anew_and_the_files_are_kept(
    browser: Client, project: Project
) -> None:
    shown = upload(browser, project, {"slack.jsonc": SLACK})
    declare(project, "slack", ["users:read"], {}, SHELL)
    again = apply(browser, project, shown)
    assert "has changed" in again.context["problem"]
    assert declared(project) == {"slack": ["users:read"]}
    assert apply(browser, project, again).status_code == 302


def test_an_upload_can_be_taken_over_once(browser: Client, project: Project) -> None:
    shown = upload(browser, project, {"slack.jsonc": SLACK})
    apply(browser, project, shown)
    assert "no longer here" in apply(browser, project, shown).context["problem"]


@pytest.mark.parametrize("key", ["", "x", "../../etc", "a" * 300, "key\r\nwith lines", "é"])
def test_a_made_up_key_finds_no_upload(browser: Client, project: Project, key: str) -> None:
    answer = browser.post(page(project), {"action": "apply", "upload": key, "fingerprint": "x"})
    assert "no longer here" in answer.context["problem"]


def test_nobody_takes_over_what_somebody_else_uploaded(browser: Client, project: Project) -> None:
    shown = upload(browser, project, {"slack.jsonc": SLACK})
    other = Client()
    other.force_login(make_user("other", staff=True, superuser=True))
    assert "no longer here" in apply(other, project, shown).context["problem"]


def test_an_upload_belongs_to_the_project_that_it_was_shown_for(browser: Client, project: Project) -> None:
    shown = upload(browser, project, {"slack.jsonc": SLACK})
    assert "no longer here" in apply(browser, make_project("other"), shown).context["problem"]


HOSTILE = {
    "leaves the archive": {"x.zip": archive({"../../evil.jsonc": SLACK})},
    "bomb": {"x.zip": archive({"connectors/slack.jsonc": b" " * 20_000_000})},
    "no archive": {"x.zip": b"PK\x03\x04 nothing"},
    "empty archive": {"x.zip": archive({})},
    "page": {"slack.jsonc": b"<!DOCTYPE html><html><body>Not found</body></html>"},
    "other suffix": {"slack.html": b"<script>alert(1)</script>"},
    "program": {"c.zip": archive({"package.json": b"{}", "a.json": b"{}"})},
    "archive among files": {"a.jsonc": SLACK, "b.jsonc": archive({"slack.jsonc": SLACK})},
    "other suffix among files": {"slack.jsonc": SLACK, "notes.txt": b"hello"},
    "two of a type": {"slack.jsonc": SLACK, "again.jsonc": SLACK},
    "deep": {"slack.jsonc": b"[" * 100_000},
    "not text": {"slack.jsonc": b"\xff\xfe\x00\x01"},
}


@pytest.mark.parametrize("files", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_upload_is_told_and_takes_nothing_over(
    browser: Client, project: Project, files: dict[str, bytes]
) -> None:
    answer = upload(browser, project, files)
    assert answer.status_code == 200
    shown = answer.context["shown"]
    assert answer.context["problem"] or shown.plan.refused
    if shown:
        apply(browser, project, answer)
    assert declared(project) == {}
    assert b"<script>alert" not in answer.content


def test_an_upload_above_the_cap_is_refused(browser: Client, project: Project) -> None:
    with override_settings(UPLOAD_MAX_BYTES=1000):
        answer = upload(browser, project, {"slack.jsonc": b" " * 1001})
    assert "too large" in answer.context["problem"]


def test_nothing_chosen_is_told(browser: Client, project: Project) -> None:
    assert "Choose the files first" in browser.post(page(project), {}).context["problem"]


def test_whoever_may_only_view_sees_no_form(reader: User, project: Project) -> None:
    client = Client()
    client.force_login(reader)
    assert b'type="file"' not in client.get(page(project)).content


# Several projects at once

MANY = "admin:connectors_project_import_many"
REPOSITORY = {
    "apps/crm/base44/.app.jsonc": b'{"id": "app-crm"}',
    "apps/crm/base44/connectors/slack.jsonc": SLACK,
    "apps/shop/base44/connectors/gmail.jsonc": GMAIL,
    "apps/stray/base44/connectors/gmail.jsonc": GMAIL,
}


def upload_many(browser: Client, files: Mapping[str, bytes]) -> Any:
    return browser.post(reverse(MANY), {"files": SimpleUploadedFile("repo.zip", archive(files))})


def apply_many(browser: Client, shown: Any, **values: Any) -> Any:
    plans = [match.plan.plan for match in shown.context["matches"] if match.plan]
    form = {f"fingerprint-{plan.project.pk}": plan.fingerprint for plan in plans}
    return browser.post(reverse(MANY), {"action": "apply", "upload": shown.context["upload"], **form, **values})


@pytest.fixture
def shop(project: Project, workspace: Workspace) -> Project:
    return make_project("shop", workspace=workspace)


def test_projects_are_matched_and_strays_named(browser: Client, project: Project, shop: Project) -> None:
    shown = upload_many(browser, REPOSITORY)
    found = [(match.root, match.plan and match.plan.plan.project) for match in shown.context["matches"]]
    assert found == [("apps/crm", project), ("apps/shop", shop), ("apps/stray", None)]


def test_all_matched_projects_are_taken_over(browser: Client, project: Project, shop: Project) -> None:
    answer = apply_many(browser, upload_many(browser, REPOSITORY))
    assert answer.status_code == 302
    assert (declared(project), declared(shop)) == ({"slack": ["chat:write"]}, {"gmail": ["mail.read"]})


def test_a_project_with_a_faulty_file_holds_up_no_other(browser: Client, project: Project, shop: Project) -> None:
    apply_many(browser, upload_many(browser, {**REPOSITORY, "apps/crm/base44/connectors/x.jsonc": b"{"}))
    assert (declared(project), declared(shop)) == ({}, {"gmail": ["mail.read"]})


def test_a_project_that_has_changed_since_holds_up_no_other(browser: Client, project: Project, shop: Project) -> None:
    shown = upload_many(browser, REPOSITORY)
    declare(project, "notion", [], {}, SHELL)
    answer = apply_many(browser, shown)
    assert "has changed" in answer.context["matches"][0].problem
    assert (declared(project), declared(shop)) == ({"notion": []}, {"gmail": ["mail.read"]})


def test_removals_in_many_projects_want_confirming(browser: Client, project: Project, shop: Project) -> None:
    make_connector(project, "notion")
    shown = upload_many(browser, REPOSITORY)
    ticked = {f"remove-{project.pk}": ["notion"]}
    assert apply_many(browser, shown, **ticked).context["confirm"]
    assert "notion" in declared(project)
    apply_many(browser, shown, **ticked, confirmed="1")
    assert declared(project) == {"slack": ["chat:write"]}


def test_what_holds_no_project_is_told(browser: Client, project: Project) -> None:
    assert "no Base44 project" in upload_many(browser, {"readme.md": b"hello"}).context["problem"]

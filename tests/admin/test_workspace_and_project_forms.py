"""The forms of workspaces and projects: a credential that only goes in, concurrent edits, deleting."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from connectors.models import Connector, Event, Project, SyncRun, Workspace
from tests.admin.html import parse
from tests.factories import make_connector, make_project, make_workspace

TOKEN = "pat-of-ada-0123456789"
OTHER = "pat-of-bob-9876543210"


def address(row: Workspace | Project, page: str = "change") -> str:
    return reverse(f"admin:connectors_{row._meta.model_name}_{page}", args=[row.pk])


def fields_of(client: Client, row: Workspace | Project) -> dict[str, Any]:
    (form,) = parse(client.get(address(row)).content).having("id", f"{row._meta.model_name}_form")
    return dict(form.fields())


@pytest.fixture
def sealed(db: None) -> Workspace:
    """A workspace with a token."""
    return make_workspace("Acme", token=TOKEN)


def test_a_token_is_stored_sealed_and_recorded_without_its_value(browser: Client, workspace: Workspace) -> None:
    browser.post(address(workspace), {**fields_of(browser, workspace), "token": TOKEN})
    workspace.refresh_from_db()
    assert workspace.credential.reveal() == TOKEN
    assert workspace.credential_state == Workspace.CredentialState.UNCHECKED
    assert Event.objects.get(verb="credential.set").after["credential"] == "set"
    assert TOKEN not in str([*Event.objects.values(), *LogEntry.objects.values()])


def test_no_page_ever_holds_the_token(browser: Client, sealed: Workspace) -> None:
    for page in ("change", "history", "delete"):
        content = browser.get(address(sealed, page)).content.decode()
        assert TOKEN not in content
        assert sealed.credential.ciphertext not in content
    assert TOKEN not in browser.get(reverse("admin:connectors_workspace_changelist")).content.decode()


def test_a_token_in_a_form_with_faults_is_not_sent_back(browser: Client, workspace: Workspace) -> None:
    posted = {**fields_of(browser, workspace), "name": "", "token": TOKEN}
    answer = browser.post(address(workspace), posted)
    assert "This field is required" in answer.content.decode()
    assert TOKEN not in answer.content.decode()


def test_an_empty_token_keeps_the_one_that_is_set(browser: Client, sealed: Workspace) -> None:
    browser.post(address(sealed), {**fields_of(browser, sealed), "name": "Acme Labs"})
    sealed.refresh_from_db()
    assert (sealed.name, sealed.credential.reveal()) == ("Acme Labs", TOKEN)


def test_the_credential_can_be_forgotten(browser: Client, sealed: Workspace) -> None:
    browser.post(address(sealed), {**fields_of(browser, sealed), "forget_credential": "on"})
    sealed.refresh_from_db()
    assert not sealed.credential
    assert Event.objects.filter(verb="credential.cleared").exists()


def test_a_workspace_key_is_refused_without_being_quoted(browser: Client, workspace: Workspace) -> None:
    key = "b44k_" + "x" * 20
    answer = browser.post(address(workspace), {**fields_of(browser, workspace), "token": key})
    workspace.refresh_from_db()
    assert not workspace.credential
    assert answer.status_code == 200
    assert key not in answer.content.decode()


def test_another_address_takes_the_token_anew(browser: Client, sealed: Workspace) -> None:
    posted = {**fields_of(browser, sealed), "api_url": "https://elsewhere.example"}
    assert "Enter the token again" in browser.post(address(sealed), posted).content.decode()
    browser.post(address(sealed), {**posted, "token": OTHER})
    sealed.refresh_from_db()
    assert (sealed.api_url, sealed.credential.reveal()) == ("https://elsewhere.example", OTHER)


def test_a_forged_post_changes_nothing_of_the_credential(browser: Client, sealed: Workspace) -> None:
    forged = {"credential": "x", "credential_state": "accepted", "credential_refresh": "y", "credential_account": "z"}
    before = Workspace.objects.values().get(pk=sealed.pk)
    browser.post(address(sealed), {**fields_of(browser, sealed), **forged})
    assert Workspace.objects.values().get(pk=sealed.pk) == before


def test_a_new_workspace_fills_the_catalogue(browser: Client) -> None:
    posted = {"name": "New", "base44_id": "", "api_url": "https://app.base44.com", "plan": "starter", "token": TOKEN}
    browser.post(reverse("admin:connectors_workspace_add"), posted)
    assert Workspace.objects.get().credential.reveal() == TOKEN
    verbs = set(Event.objects.values_list("verb", flat=True))
    assert verbs == {"workspace.added", "credential.set", "catalogue.loaded"}


def test_a_workspace_with_projects_is_not_deleted(browser: Client, project: Project) -> None:
    answer = browser.get(address(project.workspace, "delete"))
    assert "These belong to it" in answer.content.decode()
    browser.post(address(project.workspace, "delete"), {"post": "yes"})
    assert Workspace.objects.filter(pk=project.workspace_id).exists()


def test_the_second_of_two_people_who_edit_a_project_is_told(browser: Client, project: Project) -> None:
    first, second = fields_of(browser, project), fields_of(browser, project)
    browser.post(address(project), {**first, "notes": "Ask Ada first."})
    answer = browser.post(address(project), {**second, "name": "CRM"})
    project.refresh_from_db()
    assert "Somebody has changed this project" in answer.content.decode()
    assert (project.name, project.notes) == ("Crm", "Ask Ada first.")


def test_saving_a_project_leaves_what_a_sync_wrote_meanwhile(browser: Client, project: Project) -> None:
    posted = {**fields_of(browser, project), "name": "CRM"}
    Project.objects.update(sync_error="Base44 answered 503.", stripe_mode="live")
    browser.post(address(project), posted)
    project.refresh_from_db()
    assert (project.name, project.sync_error, project.stripe_mode) == ("CRM", "Base44 answered 503.", "live")
    assert Event.objects.get(verb="project.changed").after == {"name": "CRM"}


def test_saving_a_project_unchanged_records_nothing(browser: Client, project: Project) -> None:
    browser.post(address(project), fields_of(browser, project))
    assert not Event.objects.exists()


@pytest.mark.parametrize("folder", ["../elsewhere", "/etc", "a\\b", "a//b"])
def test_a_connectors_directory_outside_the_repository_is_refused(
    folder: str, browser: Client, project: Project
) -> None:
    browser.post(address(project), {**fields_of(browser, project), "connectors_dir": folder})
    project.refresh_from_db()
    assert project.connectors_dir == "base44/connectors"


def test_deleting_a_project_says_what_goes_and_takes_its_connectors(browser: Client, project: Project) -> None:
    make_connector(project, "gmail", ["a"], registered=["a"])
    SyncRun.objects.create(project=project, kind="sync", state="done", actor_label="x", door="task")
    page = browser.get(address(project, "delete")).content.decode()
    assert "At Base44 nothing changes" in page
    browser.post(address(project, "delete"), {"post": "yes"})
    assert not Project.objects.exists()
    assert not Connector.objects.exists()
    assert Event.objects.get(verb="project.deleted").before["connectors"] == {"gmail": ["a"]}


def test_a_project_with_a_run_under_way_is_kept_and_the_reason_said(browser: Client, project: Project) -> None:
    SyncRun.objects.create(project=project, kind="apply", actor_label="x", door="admin")
    answer = browser.post(address(project, "delete"), {"post": "yes"}, follow=True)
    assert "is under way" in answer.content.decode()
    assert Project.objects.exists()


def test_deleting_a_project_needs_the_right_to_delete_its_connectors(project: Project, viewer: User) -> None:
    make_connector(project, "gmail", ["a"])
    wanted = ["view_project", "delete_project"]
    viewer.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client = Client()
    client.force_login(viewer)
    assert client.post(address(project, "delete"), {"post": "yes"}).status_code == 403
    assert Project.objects.exists()


def test_the_slug_must_be_free(browser: Client, project: Project) -> None:
    other = make_project("erp", workspace=project.workspace)
    answer = browser.post(address(other), {**fields_of(browser, other), "slug": "crm"})
    assert "Project with this Slug already exists" in answer.content.decode()

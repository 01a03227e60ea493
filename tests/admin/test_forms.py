"""The forms of workspaces and projects: what they take, what they refuse in which words, and what goes on record."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from connectors.core.specs import RegisteredState
from connectors.flows.observe import observe
from connectors.models import Connector, Event, IntegrationType, Project, Sealed, SyncRun, Workspace
from connectors.models.workspace import DEFAULT_API_URL
from tests.admin.form_data import address, errors, last_event, save, shown, told
from tests.factories import SHELL, make_connector, make_user, make_workspace

TOKEN = "the-token-that-nobody-may-read"


@pytest.fixture
def stored(db: None) -> Workspace:
    """A workspace whose token Base44 accepts."""
    return make_workspace("Acme", token=TOKEN, credential_account="ops@example.com", api_url=DEFAULT_API_URL)


# --- The credential goes in and never comes out --------------------------------------------------------------------


def test_a_workspace_is_added_with_its_token(browser: Client) -> None:
    answer = save(browser, "workspace", name="Acme", token=f" {TOKEN} ")
    workspace = Workspace.objects.get()
    assert workspace.credential.reveal() == TOKEN
    assert workspace.credential_state == Workspace.CredentialState.UNCHECKED
    assert "Verify" in told(answer)


def test_the_token_is_sealed_in_the_database(browser: Client) -> None:
    save(browser, "workspace", name="Acme", token=TOKEN)
    assert TOKEN not in Workspace.objects.get().credential.ciphertext


def test_no_page_shows_the_token(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, token=TOKEN)
    assert last_event().verb == "credential.set"
    paths = [address("workspace", page, stored.pk) for page in ("change", "history", "delete")]
    paths += [address("workspace", "changelist"), address("event", "changelist")]
    paths += [address("event", "change", event.pk) for event in Event.objects.all()]
    for path in paths:
        page = browser.get(path).content.decode()
        assert TOKEN not in page
        assert stored.credential.ciphertext not in page


def test_a_form_that_comes_back_with_errors_has_forgotten_the_token(browser: Client, stored: Workspace) -> None:
    answer = save(browser, "workspace", stored.pk, name="", token=f"{TOKEN}-2")
    assert errors(answer) == {"name": ["This field is required."]}
    assert TOKEN not in answer.content.decode()


def test_leaving_the_token_empty_keeps_it(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, name="Acme Inc.")
    stored.refresh_from_db()
    assert (stored.name, stored.credential.reveal()) == ("Acme Inc.", TOKEN)
    assert stored.credential_state == Workspace.CredentialState.ACCEPTED
    assert stored.credential_account == "ops@example.com"


def test_another_token_has_to_be_checked_anew(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, token="another-one")
    stored.refresh_from_db()
    assert stored.credential.reveal() == "another-one"
    assert stored.credential_state == Workspace.CredentialState.UNCHECKED
    assert stored.credential_account == ""


def test_a_credential_can_be_forgotten(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, forget_credential="on")
    stored.refresh_from_db()
    assert not stored.credential
    assert stored.credential_state == Workspace.CredentialState.MISSING
    event = last_event()
    assert (event.verb, event.before["credential"], event.after["credential"]) == (
        "credential.cleared",
        "set",
        "not set",
    )


def test_a_token_typed_while_forgetting_is_asked_about(browser: Client, stored: Workspace) -> None:
    answer = save(browser, "workspace", stored.pk, token="another-one", forget_credential="on")
    assert "forget_credential" in errors(answer)
    stored.refresh_from_db()
    assert stored.credential.reveal() == TOKEN


@pytest.mark.parametrize(
    ("token", "words"),
    [("b44k_abc", "workspace key"), ("two words", "copy it again"), ("ünicode", "copy it again")],
)
def test_a_token_that_base44_would_refuse_is_refused_at_once(
    token: str, words: str, browser: Client, stored: Workspace
) -> None:
    answer = save(browser, "workspace", stored.pk, token=token)
    assert words in errors(answer)["token"][0]
    assert token not in answer.content.decode()
    stored.refresh_from_db()
    assert stored.credential.reveal() == TOKEN


def test_another_address_demands_the_token_again(browser: Client, stored: Workspace) -> None:
    answer = save(browser, "workspace", stored.pk, api_url="https://evil.example")
    assert "another address" in errors(answer)["token"][0]
    stored.refresh_from_db()
    assert stored.api_url == DEFAULT_API_URL


def test_another_address_is_taken_with_a_token_for_it(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, api_url="https://proxy.example", token="another-one")
    stored.refresh_from_db()
    assert (stored.api_url, stored.credential.reveal()) == ("https://proxy.example", "another-one")


def test_another_address_is_taken_when_the_credential_is_forgotten(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, api_url="https://proxy.example", forget_credential="on")
    stored.refresh_from_db()
    assert (stored.api_url, stored.credential.reveal()) == ("https://proxy.example", "")


def test_a_slash_at_the_end_makes_no_other_address(browser: Client, stored: Workspace) -> None:
    answer = save(browser, "workspace", stored.pk, api_url=f"{DEFAULT_API_URL}/")
    assert errors(answer) == {}
    stored.refresh_from_db()
    assert stored.api_url == DEFAULT_API_URL


@pytest.mark.parametrize(
    "url", ["app.base44.com", "ftp://app.base44.com", "https://app.base44.com/api", "https://user@host", "javascript:1"]
)
def test_an_address_is_scheme_and_host(url: str, browser: Client) -> None:
    assert "scheme and host" in errors(save(browser, "workspace", name="Acme", api_url=url))["api_url"][0]


def test_a_secret_that_no_key_opens_breaks_no_page(browser: Client, stored: Workspace) -> None:
    Workspace.objects.update(credential=Sealed("sealed with a key that is lost"))
    assert browser.get(address("workspace", "change", stored.pk)).status_code == 200
    assert browser.get(address("workspace", "changelist")).status_code == 200


def test_saving_a_workspace_leaves_alone_what_a_worker_wrote_meanwhile(browser: Client, stored: Workspace) -> None:
    data = shown(browser, address("workspace", "change", stored.pk))
    Workspace.objects.update(credential_state=Workspace.CredentialState.REFUSED, auto_added_scopes={"slack": ["x"]})
    browser.post(address("workspace", "change", stored.pk), {**data, "name": "Renamed"})
    stored.refresh_from_db()
    assert (stored.name, stored.credential_state) == ("Renamed", Workspace.CredentialState.REFUSED)
    assert stored.auto_added_scopes == {"slack": ["x"]}


def test_the_first_workspace_fills_the_catalogue(browser: Client) -> None:
    save(browser, "workspace", name="Acme")
    assert IntegrationType.objects.filter(slug="slack", is_known=True).exists()


# --- Projects -----------------------------------------------------------------------------------------------------

PROJECT = {"name": "CRM", "slug": "crm", "app_id": "app-crm", "environment": "staging"}


def test_a_project_is_added(browser: Client, workspace: Workspace) -> None:
    answer = save(browser, "project", workspace=workspace.pk, **PROJECT)
    project = Project.objects.get()
    assert (project.slug, project.workspace, project.environment) == ("crm", workspace, "staging")
    assert "was added successfully" in told(answer)


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("slug", "not a slug", "letters, numbers, underscores or hyphens"),
        ("slug", "", "required"),
        ("app_id", "https://app.base44.com/x", "letters, digits"),
        ("app_id", "", "required"),
        ("connectors_dir", "../elsewhere", "inside the repository"),
        ("connectors_dir", "/etc", "inside the repository"),
        ("connectors_dir", "base44\\connectors", "inside the repository"),
        ("connectors_dir", "a//b", "inside the repository"),
        ("environment", "nowhere", "valid choice"),
        ("workspace", "987654", "valid choice"),
        ("workspace", "", "required"),
    ],
)
def test_a_project_is_refused_with_the_reason_at_its_field(
    field: str, typed: str, words: str, browser: Client, workspace: Workspace
) -> None:
    answer = save(browser, "project", **{**PROJECT, "workspace": workspace.pk, field: typed})
    assert list(errors(answer)) == [field]
    assert words in errors(answer)[field][0]
    assert not Project.objects.exists()


@pytest.mark.parametrize(("field", "noun"), [("slug", "Slug"), ("app_id", "app id")])
def test_a_slug_and_an_app_belong_to_one_project(field: str, noun: str, browser: Client, project: Project) -> None:
    typed = {**PROJECT, "slug": "other", "app_id": "other", field: getattr(project, field)}
    answer = save(browser, "project", workspace=project.workspace_id, **typed)
    assert f"{noun} already exists" in errors(answer)[field][0]


def test_saving_a_project_leaves_alone_what_a_sync_wrote_meanwhile(browser: Client, project: Project) -> None:
    data = shown(browser, address("project", "change", project.pk))
    observe({project: RegisteredState((), "sandbox")}, SHELL, project.created_at)
    answer = browser.post(address("project", "change", project.pk), {**data, "notes": "Ask Ada first."}, follow=True)
    assert errors(answer) == {}
    project.refresh_from_db()
    assert (project.notes, project.stripe_mode, project.synced_at) == ("Ask Ada first.", "sandbox", project.created_at)


# --- Two people at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["workspace", "project", "connector"])
def test_a_form_that_somebody_overtook_is_refused(model: str, browser: Client, project: Project) -> None:
    row: Any = {
        "workspace": project.workspace,
        "project": project,
        "connector": make_connector(project, "slack", ["chat:write"]),
    }[model]
    field = "scopes" if model == "connector" else "name"
    path = address(model, "change", row.pk)
    mine = shown(browser, path)
    save(browser, model, row.pk, **{field: "theirs"})
    answer = browser.post(path, {**mine, field: "mine"})
    assert "Somebody has changed" in answer.content.decode()
    row.refresh_from_db()
    assert getattr(row, field) == (["theirs"] if model == "connector" else "theirs")


def test_a_form_without_its_version_is_refused(browser: Client, project: Project) -> None:
    data = {**shown(browser, address("project", "change", project.pk)), "version": "", "name": "Forged"}
    assert b"Somebody has changed" in browser.post(address("project", "change", project.pk), data).content


# --- The record ---------------------------------------------------------------------------------------------------


def test_adding_and_changing_is_recorded_with_who_and_what(
    browser: Client, operator: User, workspace: Workspace
) -> None:
    save(browser, "project", workspace=workspace.pk, **PROJECT)
    added = last_event()
    assert (added.verb, added.user, added.door, added.after["slug"]) == ("project.added", operator, "admin", "crm")
    save(browser, "project", Project.objects.get().pk, name="Sales", environment="production")
    changed = last_event()
    assert (changed.verb, changed.before, changed.after) == (
        "project.changed",
        {"name": "CRM", "environment": "staging"},
        {"name": "Sales", "environment": "production"},
    )


@pytest.mark.parametrize("model", ["workspace", "project"])
def test_saving_without_a_change_records_nothing(model: str, browser: Client, project: Project) -> None:
    save(browser, model, project.workspace_id if model == "workspace" else project.pk)
    assert not Event.objects.exists()


def test_a_workspaces_changes_are_recorded_without_its_secret(browser: Client, stored: Workspace) -> None:
    save(browser, "workspace", stored.pk, name="New", plan="pro", token="another-one")
    changed, replaced = Event.objects.order_by("id")
    assert (changed.verb, changed.after) == ("workspace.changed", {"name": "New", "plan": "pro"})
    assert (replaced.verb, replaced.after["credential"]) == ("credential.set", "set")
    assert "another-one" not in f"{list(Event.objects.values())}"


# --- Deleting -----------------------------------------------------------------------------------------------------


def delete(browser: Client, model: str, pk: object) -> Any:
    return browser.post(address(model, "delete", pk), {"post": "yes"}, follow=True)


def test_a_workspace_with_projects_stays_and_the_page_names_them(browser: Client, project: Project) -> None:
    page = browser.get(address("workspace", "delete", project.workspace_id)).content.decode()
    assert "Delete them first" in page
    assert project.name in page
    delete(browser, "workspace", project.workspace_id)
    assert Workspace.objects.exists()
    assert not Event.objects.exists()


def test_an_empty_workspace_goes_with_its_credential(browser: Client, stored: Workspace) -> None:
    page = browser.get(address("workspace", "delete", stored.pk)).content.decode()
    assert "forgets the workspace and its credential" in page
    delete(browser, "workspace", stored.pk)
    assert not Workspace.objects.exists()
    assert (last_event().verb, last_event().before["name"]) == ("workspace.deleted", "Acme")


def test_deleting_a_project_says_what_goes_and_that_base44_keeps_everything(browser: Client, project: Project) -> None:
    make_connector(project, "slack", ["chat:write"])
    page = browser.get(address("project", "delete", project.pk)).content.decode()
    assert "At Base44 nothing changes" in page
    assert "Export its files first" in page
    assert "slack" in page or "Connectors</dt><dd>1</dd>" in page


def test_a_deleted_project_goes_with_its_connectors_and_the_record_keeps_them(
    browser: Client, project: Project
) -> None:
    make_connector(project, "slack", ["chat:write"])
    SyncRun.objects.create(project=project, kind="sync", state="done", actor_label="x", door="admin")
    delete(browser, "project", project.pk)
    assert not Project.objects.exists()
    assert not Connector.objects.exists()
    event = last_event()
    assert (event.verb, event.before["connectors"]) == ("project.deleted", {"slack": ["chat:write"]})


def test_a_project_with_a_run_under_way_is_not_deleted(browser: Client, project: Project) -> None:
    SyncRun.objects.create(project=project, kind="apply", state="running", actor_label="x", door="admin")
    answer = delete(browser, "project", project.pk)
    assert "A run of Crm is under way" in told(answer)
    assert Project.objects.exists()
    assert not Event.objects.exists()


def test_a_project_goes_only_with_the_permission_for_its_connectors(project: Project) -> None:
    user = make_user("projects-only", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_project", "delete_project"]))
    make_connector(project)
    browser = Client()
    browser.force_login(user)
    assert "may not delete everything" in browser.get(address("project", "delete", project.pk)).content.decode()
    assert browser.post(address("project", "delete", project.pk), {"post": "yes"}).status_code == 403
    assert Connector.objects.exists()


# Keys that cannot be any


@pytest.mark.parametrize("key", ["abc", "9" * 40, "1\x00", "-1"])
@pytest.mark.parametrize(("model", "field"), [("project", "workspace"), ("connector", "project")])
def test_a_key_that_cannot_be_one_is_a_message_and_not_a_broken_page(
    client: Client, operator: User, model: str, field: str, key: str
) -> None:
    client.force_login(operator)
    path = address(model, "add")
    assert client.get(path, {field: key}).status_code == 200
    answer = client.post(path, {field: key}, follow=True)
    assert answer.status_code == 200
    assert errors(answer)[field]

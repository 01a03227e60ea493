"""Who may do what on the pages of the admin, whatever they post.

Who gets which page at all is asked in tests/matrix.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from connectors.admin.base import PortalAdmin
from connectors.core.actor import Actor, Door
from connectors.flows.events import record_event
from connectors.models import Connector, IntegrationType, SyncRun
from connectors.models.visibility import VisibleQuerySet
from tests.admin.asking import (
    EDITABLE,
    NAMES,
    OURS,
    PAGES,
    TABLES,
    Page,
    address,
    allowed,
    ask,
    everything,
    is_way_to_run,
    path_of,
)
from tests.factories import (
    make_connector,
    make_project,
    make_type,
    make_workspace,
)


def test_every_row_has_an_admin_that_starts_from_what_one_may_see() -> None:
    assert set(NAMES) == TABLES
    assert all(isinstance(found.model._default_manager.all(), VisibleQuerySet) for found in OURS)


@pytest.mark.parametrize("page", [page for page in PAGES if page.asks == "view"], ids=str)
def test_the_view_permission_is_enough_to_look(page: Page, rows: dict[str, Model], reader: User) -> None:
    assert ask(reader, page, rows).status_code == (302 if is_way_to_run(page) else 200)


@pytest.mark.parametrize("page", [page for page in PAGES if page.asks != "view"], ids=str)
def test_the_view_permission_is_not_enough_to_change(page: Page, rows: dict[str, Model], reader: User) -> None:
    before = everything()
    assert ask(reader, page, rows).status_code == (302 if is_way_to_run(page) else 403)
    assert everything() == before


@pytest.mark.parametrize("model", EDITABLE)
def test_a_form_that_one_may_only_look_at_has_nothing_to_save(model: str, rows: dict[str, Model], reader: User) -> None:
    answer = ask(reader, Page("change", model, "view"), rows)
    assert b'name="_save"' not in answer.content
    assert b'name="version"' not in answer.content
    assert b'type="password"' not in answer.content


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "get"], ids=str)
def test_an_operator_gets_every_page_but_those_that_only_flows_write(
    page: Page, rows: dict[str, Model], operator: User
) -> None:
    opens = page.asks == "view" or page.model in EDITABLE or (page.model, page.name) == ("policyexception", "add")
    expected = 200 if opens else 403
    assert ask(operator, page, rows).status_code == (302 if is_way_to_run(page) else expected)


@pytest.mark.parametrize("model", [name for name in NAMES if name not in EDITABLE])
@pytest.mark.parametrize("page", ["add", "change", "delete"])
def test_what_flows_write_nobody_edits(page: str, model: str, rows: dict[str, Model], operator: User) -> None:
    before = everything()
    # 200: the form of a type's note, which comes back because this is no answer to it.
    assert ask(operator, Page(page, model, page, "post"), rows).status_code in (200, 302, 403)
    assert everything() == before


@pytest.mark.parametrize("permission", ["add", "change", "delete"])
@pytest.mark.parametrize("model", EDITABLE)
def test_each_permission_opens_its_own_page_alone(permission: str, model: str, rows: dict[str, Model]) -> None:
    user = allowed(f"view_{model}", f"{permission}_{model}")
    answers = {name: ask(user, Page(name, model, name), rows).status_code for name in ("add", "delete")}
    assert answers == {name: 200 if name == permission else 403 for name in ("add", "delete")}
    assert (b'name="_save"' in ask(user, Page("change", model, "view"), rows).content) == (permission == "change")


def test_a_row_that_does_not_exist_leads_back_and_not_to_an_error(operator: User, rows: dict[str, Model]) -> None:
    client = Client()
    client.force_login(operator)
    for model in ("workspace", "project", "connector", "event", "integrationtype"):
        for number in ("987654", "abc", "9" * 30, "%00", "_00"):
            for page in ("change", "delete", "history"):
                assert client.get(f"/admin/connectors/{model}/{number}/{page}/").status_code in (302, 403, 404)


# --- Forged POSTs of people who may do something else -------------------------------------------------------------


@pytest.mark.parametrize("action", ["sync_now", "show_plans"])
@pytest.mark.parametrize("model", ["project", "connector"])
def test_whoever_may_only_look_can_neither_sync_nor_plan_in_bulk(
    model: str, action: str, rows: dict[str, Model], reader: User
) -> None:
    before = everything()
    client = Client()
    client.force_login(reader)
    path = path_of(model)
    assert action.encode() not in client.get(path).content
    answer = client.post(path, {"action": action, "_selected_action": str(rows[model].pk)})
    assert "plan" not in answer.headers.get("Location", "")
    assert everything() == before


@pytest.mark.parametrize("model_admin", OURS, ids=NAMES)
def test_nothing_is_deleted_in_bulk(model_admin: PortalAdmin, rows: dict[str, Model], operator: User) -> None:
    before = everything()
    client = Client()
    client.force_login(operator)
    model = str(model_admin.opts.model_name)
    path = path_of(model)
    client.post(path, {"action": "delete_selected", "_selected_action": str(rows[model].pk), "post": "yes"})
    assert everything() == before


def test_a_connector_stays_in_its_project_and_keeps_its_type(rows: dict[str, Model], operator: User) -> None:
    other = make_project("other", workspace=make_workspace("Elsewhere"))
    client = Client()
    client.force_login(operator)
    path = address(Page("change", "connector", "change"), rows)
    version = client.get(path).context["adminform"].form["version"].value()
    make_type("slack")
    data = {"version": version, "project": str(other.pk), "integration_type": "slack", "scopes": "zoo.write"}
    assert client.post(path, data).status_code == 302
    connector = Connector.objects.get()
    assert (connector.project, connector.integration_type_id) == (rows["project"], "zoo")
    assert connector.scopes == ["zoo.write"]


def test_a_form_takes_no_field_that_it_does_not_show(rows: dict[str, Model], operator: User) -> None:
    client = Client()
    client.force_login(operator)
    path = address(Page("change", "connector", "change"), rows)
    version = client.get(path).context["adminform"].form["version"].value()
    forged = {"is_declared": "", "sync_state": "in_sync", "registered_status": "active", "source": "x"}
    client.post(path, {"version": version, "scopes": "zoo.read", **forged})
    connector = Connector.objects.get()
    assert (connector.is_declared, connector.registered_status, connector.source) == (True, "", None)
    assert connector.sync_state == Connector.SyncState.UNKNOWN


@pytest.mark.parametrize("page", [page for page in PAGES if page.method == "post"], ids=str)
def test_a_post_from_elsewhere_is_refused(page: Page, rows: dict[str, Model], operator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.post(address(page, rows), {"post": "yes"}).status_code == 403


def test_a_sync_is_not_started_by_a_link(rows: dict[str, Model], operator: User) -> None:
    before = everything()
    ask(operator, Page("sync", "project", "change"), rows)
    assert everything() == before


def test_names_are_escaped_wherever_they_show(operator: User) -> None:
    evil = "<script>alert(1)</script>"
    project = make_project("x", name=evil, workspace=make_workspace(evil), sync_error=evil)
    connector = make_connector(project, "evil", [evil], registered=[evil], registered_account=evil, sync_note=evil)
    IntegrationType.objects.update(display_name=evil)
    SyncRun.objects.create(project=project, kind="sync", actor_label=evil, door="admin", message=evil)
    event = record_event(Actor(evil, Door.SHELL), "project.added", project, before={evil: evil}, after={evil: [evil]})
    client = Client()
    client.force_login(operator)
    found: dict[str, Model] = {"project": project, "connector": connector, "event": event}
    found |= {"workspace": project.workspace, "integrationtype": connector.integration_type}
    paths = [address(Page("changelist", model, "view"), found) for model in NAMES]
    paths += [address(Page("change", model, "view"), found) for model in found]
    for path in paths:
        assert evil.encode() not in client.get(path).content


# --- Users: nobody makes a superuser of themselves ----------------------------------------------------------------


def edit_user(editor: User, edited: User, **forged: Any) -> Any:
    client = Client()
    client.force_login(editor)
    data = {"username": edited.username, "email": edited.email, "is_active": "on", **forged}
    return client.post(reverse("admin:auth_user_change", args=[edited.pk]), data)


def test_whoever_may_edit_users_gives_nobody_more_power(stranger: User) -> None:
    editor = allowed("view_user", "change_user", "add_user")
    permission = Permission.objects.get(codename="delete_workspace")
    edit_user(editor, editor, is_superuser="on", is_staff="on", user_permissions=str(permission.pk))
    edit_user(editor, stranger, is_superuser="on", is_staff="on")
    editor.refresh_from_db()
    stranger.refresh_from_db()
    assert not editor.is_superuser
    assert not stranger.is_staff
    assert not User.objects.get(pk=editor.pk).has_perm("connectors.delete_workspace")


@pytest.mark.parametrize("page", ["change", "delete"])
def test_whoever_may_edit_users_cannot_touch_a_superuser(page: str, operator: User) -> None:
    editor = allowed("view_user", "change_user", "delete_user")
    client = Client()
    client.force_login(editor)
    assert client.post(reverse(f"admin:auth_user_{page}", args=[operator.pk]), {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=operator.pk, is_superuser=True).exists()


def test_whoever_may_edit_users_cannot_set_a_superusers_password(operator: User) -> None:
    client = Client()
    client.force_login(allowed("view_user", "change_user"))
    path = reverse("admin:auth_user_password_change", args=[operator.pk])
    data = {"usable_password": "true", "password1": "new and long 1", "password2": "new and long 1"}
    assert client.post(path, data).status_code == 403
    assert User.objects.get(pk=operator.pk).check_password("password")


def test_groups_are_for_superusers(operator: User) -> None:
    path = reverse("admin:auth_group_add")
    client = Client()
    client.force_login(allowed("view_group", "add_group", "change_group", "delete_group"))
    assert client.get(path).status_code == 403
    client.force_login(operator)
    assert client.get(path).status_code == 200

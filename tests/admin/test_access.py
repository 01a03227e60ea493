"""Whose rows every list, form, autocomplete and bulk action of the admin starts from, and who may do what there.

Who gets which page at all is asked in tests/matrix.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from connectors.admin.base import PortalAdmin
from connectors.core.actor import Actor, Door
from connectors.flows.events import record_event
from connectors.models import CatalogueScope, Connector, IntegrationType, LedgerEntry, Project, ReviewCampaign, SyncRun
from connectors.models.visibility import VisibleQuerySet
from tests.factories import (
    keep_ledger,
    make_connector,
    make_consent_link,
    make_exception,
    make_incident,
    make_oauth_client,
    make_placement,
    make_project,
    make_repository,
    make_route,
    make_rule,
    make_token,
    make_type,
    make_user,
    make_workspace,
)

TABLES = {
    "workspace",
    "project",
    "integrationtype",
    "connector",
    "syncrun",
    "event",
    "oauthclient",
    "token",
    "consentlink",
    "cataloguescope",
    "ledgerentry",
    "reviewcampaign",
    "incident",
    "alertroute",
    "policyrule",
    "policyexception",
    "repository",
}
"""What connectors are about. tests/matrix asks every page of every admin as everybody, those of people too."""
OURS = [
    found
    for found in admin.site._registry.values()
    if isinstance(found, PortalAdmin) and found.opts.model_name in TABLES
]
NAMES = [str(found.opts.model_name) for found in OURS]
EDITABLE = (
    "workspace",
    "project",
    "connector",
    "oauthclient",
    "cataloguescope",
    "reviewcampaign",
    "alertroute",
    "policyrule",
    "repository",
)
WITHOUT_ROW = ("catalogue", "oauth_support", "offered", "scopes", "accounts", "people")
"""Pages that are about all rows."""
SETUP = ("test", "key", "hostkeys", "webhook", "find", "check")
"""Pages of a repository that show how something stands, and change it on POST."""
SECRET = b"Zebra"
"""Stands in every row: whoever must not see one must not see this word."""


@dataclass(frozen=True)
class Page:
    """A page of an admin. `asks` is what one must be allowed to do there; "post" pages answer no other method."""

    name: str
    model: str
    asks: str
    method: str = "get"

    def __str__(self) -> str:
        return f"{self.model}-{self.name}-{self.method}"


def pages() -> Iterator[Page]:
    """Every page that Django makes for an admin of ours, and those that we hang there."""
    for model in NAMES:
        yield from (Page(name, model, "view") for name in ("changelist", "change", "history"))
        yield from (Page(name, model, name) for name in ("add", "delete"))
        yield from (Page(name, model, name, "post") for name in ("add", "change", "delete"))
    yield Page("catalogue", "connector", "view")
    yield from (Page(name, "integrationtype", "view") for name in ("oauth_support", "offered"))
    yield Page("offered", "integrationtype", "change", "post")
    yield Page("shipped", "cataloguescope", "change", "post")
    yield from (Page(name, "ledgerentry", "view") for name in ("scopes", "accounts", "people"))
    yield Page("check", "oauthclient", "change", "post")
    yield from (Page(name, "alertroute", "change", "post") for name in ("test", "secret"))
    yield Page("rehearsal", "policyrule", "view")
    yield Page("switch", "policyrule", "change", "post")
    yield from (Page(name, "policyexception", "decide", "post") for name in ("decide", "withdraw"))
    yield Page("withdraw", "consentlink", "change", "post")
    yield Page("sync", "project", "change", "post")
    yield from (Page(name, "token", "change", "post") for name in ("refresh", "introspect", "revoke"))
    yield from (Page(name, "reviewcampaign", "view") for name in ("open", "decide", "carry_out", "evidence"))
    yield from (Page(name, "reviewcampaign", "change", "post") for name in ("open", "carry_out", "close"))
    yield from (Page(name, "repository", "view") for name in SETUP)
    yield from (Page(name, "repository", "change", "post") for name in SETUP)
    yield Page("find_list", "repository", "view")
    yield Page("autocomplete:project", "placement", "view")
    for model_admin in OURS:
        for field in model_admin.autocomplete_fields or ():
            yield Page(f"autocomplete:{field}", str(model_admin.opts.model_name), "view")


PAGES = list(pages())
AUTOCOMPLETES = [page for page in PAGES if page.name.startswith("autocomplete")]


@pytest.fixture
def rows(db: None) -> dict[str, Model]:
    """One row of every model, each with the secret word in its name."""
    word = SECRET.decode()
    workspace = make_workspace(f"{word} workspace")
    project = make_project("p", workspace=workspace, name=f"{word} project")
    kind = make_type("zoo", display_name=f"{word} type")
    connector = make_connector(project, "zoo", ["zoo.read"])
    run = SyncRun.objects.create(project=project, kind="sync", actor_label=word, door="admin", message=word)
    client = make_oauth_client("zoo", name=f"{word} client", workspace=workspace)
    event = record_event(Actor(word, Door.SHELL), "project.added", project)
    made: dict[str, Model] = {
        "workspace": workspace,
        "project": project,
        "integrationtype": kind,
        "connector": connector,
        "syncrun": run,
        "event": event,
        "oauthclient": client,
        "token": make_token(connector, oauth_client=client, account=word),
        "consentlink": make_consent_link(connector, oauth_client=client, note=word),
        "cataloguescope": CatalogueScope.objects.create(provider="slack", name=word, title=word, is_shipped=False),
        "incident": make_incident(title=word, workspace=workspace, project=project, connector=connector),
        "alertroute": make_route(word, emails=[f"{word}@example.com"]),
    }
    made["repository"] = repository = make_repository(f"{word} repository", url=f"file:///{word}/apps.git", token=word)
    make_placement(project, repository)
    made["reviewcampaign"] = ReviewCampaign.objects.create(
        name=f"{word} review", workspace=workspace, due_at=timezone.now() + dt.timedelta(days=14)
    )
    made["policyrule"] = rule = make_rule(f"{word} policy", is_enabled=False)
    made["policyexception"] = make_exception(rule, project, reason=word)
    keep_ledger(connector)
    made["ledgerentry"] = LedgerEntry.objects.get()
    return made


def address(page: Page, rows: dict[str, Model]) -> str:
    if page.name.startswith("autocomplete"):
        asked = {"app_label": "connectors", "model_name": page.model, "field_name": page.name.split(":")[1], "term": ""}
        return f"{reverse('admin:autocomplete')}?{urlencode(asked)}"
    args = [] if page.name in ("changelist", "add", *WITHOUT_ROW) else [rows[page.model].pk]
    found = reverse(f"admin:connectors_{page.model}_{page.name}", args=args)
    return f"{found}?type=zoo" if page.name == "catalogue" else found


def ask(user: User | None, page: Page, rows: dict[str, Model]) -> Any:
    client = Client()
    if user is not None:
        client.force_login(user)
    send = client.post if page.method == "post" else client.get
    return send(address(page, rows), {"post": "yes"} if page.method == "post" else None)


def is_way_to_run(page: Page) -> bool:
    """A run or ledger entry has no form: its address leads to another page, which asks for permission itself."""
    return page.model in ("syncrun", "ledgerentry") and page.name == "change"


def everything() -> dict[str, list[dict[str, Any]]]:
    """All rows of all models, to see whether anything has changed."""
    rows = {str(found.opts.model_name): list(found.model._base_manager.order_by("pk").values()) for found in OURS}
    # That somebody was turned away is on record, and changes nothing.
    return rows | {"event": [row for row in rows["event"] if row["verb"] != "access.denied"]}


def allowed(*codenames: str) -> User:
    """Staff with exactly these permissions."""
    user = make_user("+".join(codenames)[:150], staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


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


# --- Rows that one may not know of -------------------------------------------------------------------------------
# A superuser who is no longer staff has every permission and may see no row: what these tests ask goes to the
# admin's own views, behind the door that would turn such a user away.


@pytest.fixture
def blind(db: None) -> User:
    """Every permission, and not one visible row."""
    return make_user("blind", superuser=True)


def request_of(user: Any, path: str = "/", data: dict[str, Any] | None = None) -> HttpRequest:
    factory = RequestFactory()
    request = factory.get(path) if data is None else factory.post(path, data)
    request.user = user
    request.session = {}  # type: ignore[assignment]
    request._messages = CookieStorage(request)  # type: ignore[attr-defined]
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return request


def drawn(answer: Any) -> bytes:
    content: bytes = answer.render().content if hasattr(answer, "render") else answer.content
    return content


@pytest.mark.parametrize("model_admin", OURS, ids=NAMES)
def test_only_active_staff_see_rows(model_admin: PortalAdmin, rows: dict[str, Model], operator: User) -> None:
    gone = make_user("gone", staff=True, superuser=True)
    gone.is_active = False
    assert model_admin.get_queryset(request_of(operator)).exists()
    for user in (make_user("other", superuser=True), gone, AnonymousUser()):
        assert not model_admin.get_queryset(request_of(user)).exists()


@pytest.mark.parametrize("model_admin", OURS, ids=NAMES)
def test_a_list_shows_no_row_that_one_may_not_see(
    model_admin: PortalAdmin, rows: dict[str, Model], blind: User
) -> None:
    assert SECRET not in drawn(model_admin.changelist_view(request_of(blind)))


@pytest.mark.parametrize("view", ["change_view", "delete_view", "history_view"])
@pytest.mark.parametrize("model", [*EDITABLE, "integrationtype", "event"])
def test_a_row_that_one_may_not_see_is_as_if_it_did_not_exist(
    view: str, model: str, rows: dict[str, Model], blind: User
) -> None:
    before = everything()
    page: Callable[..., HttpResponse] = getattr(OURS[NAMES.index(model)], view)
    for data in (None, {"post": "yes"}):
        try:
            answer = page(request_of(blind, data=data), str(rows[model].pk))
        except (Http404, PermissionDenied):
            continue
        assert answer.status_code == 302
        assert SECRET not in answer.content
    assert everything() == before


@pytest.mark.parametrize("page", AUTOCOMPLETES, ids=str)
def test_autocompletion_offers_no_row_that_one_may_not_see(page: Page, rows: dict[str, Model], blind: User) -> None:
    answer = admin.site.autocomplete_view(request_of(blind, address(page, rows)))
    assert b'"results": []' in answer.content


@pytest.mark.parametrize("page", AUTOCOMPLETES, ids=str)
def test_autocompletion_finds_rows_for_those_who_may_see_them(
    page: Page, rows: dict[str, Model], operator: User
) -> None:
    assert SECRET in ask(operator, page, rows).content


@pytest.mark.parametrize("model_admin", OURS, ids=NAMES)
def test_a_filter_names_no_row_that_one_may_not_see(
    model_admin: PortalAdmin, rows: dict[str, Model], blind: User
) -> None:
    asked = {
        "project": {"workspace__id__exact": rows["workspace"].pk},
        "connector": {
            "project__workspace__id__exact": rows["workspace"].pk,
            "project__id__exact": rows["project"].pk,
            "integration_type__slug__exact": "zoo",
        },
        "syncrun": {"project__id__exact": rows["project"].pk},
        "event": {"project__id__exact": rows["project"].pk},
        "oauthclient": {"workspace__id__exact": rows["workspace"].pk},
        "consentlink": {"connector__project__id__exact": rows["project"].pk},
        "incident": {"workspace__id__exact": rows["workspace"].pk, "project__id__exact": rows["project"].pk},
        "policyexception": {"project__id__exact": rows["project"].pk, "rule__id__exact": rows["policyrule"].pk},
        "ledgerentry": {
            "project__workspace__id__exact": rows["workspace"].pk,
            "project__id__exact": rows["project"].pk,
            "integration_type__slug__exact": "zoo",
        },
        "token": {
            "oauth_client__id__exact": rows["oauthclient"].pk,
            "connector__project__workspace__id__exact": rows["workspace"].pk,
            "connector__project__id__exact": rows["project"].pk,
        },
    }.get(str(model_admin.opts.model_name), {})
    assert SECRET not in drawn(model_admin.changelist_view(request_of(blind, f"/?{urlencode(asked)}")))


@pytest.mark.parametrize("model_admin", OURS, ids=NAMES)
def test_a_foreign_key_takes_no_row_that_one_may_not_see(
    model_admin: PortalAdmin, rows: dict[str, Model], blind: User
) -> None:
    keys = [field for field in model_admin.opts.get_fields() if isinstance(field, ForeignKey)]
    for key in keys:
        field = model_admin.formfield_for_foreignkey(key, request_of(blind))
        if isinstance(field.queryset, VisibleQuerySet):
            assert not field.queryset.exists()


def test_a_forged_project_takes_no_workspace_that_one_may_not_see(rows: dict[str, Model], blind: User) -> None:
    data = {
        "name": "Forged",
        "slug": "forged",
        "app_id": "forged",
        "environment": "staging",
        "connectors_dir": "connectors",
        "workspace": str(rows["workspace"].pk),
    }
    with pytest.raises(PermissionDenied):
        OURS[NAMES.index("project")].add_view(request_of(blind, data=data))
    assert not Project.objects.filter(slug="forged").exists()


def test_a_forged_connector_takes_no_project_that_one_may_not_see(rows: dict[str, Model], blind: User) -> None:
    data = {"project": str(rows["project"].pk), "integration_type": "zoo", "scopes": "forged"}
    answer = OURS[NAMES.index("connector")].add_view(request_of(blind, data=data))
    assert b"Select a valid choice" in drawn(answer)
    assert Connector.objects.get().scopes == ["zoo.read"]


def test_the_catalogue_offers_no_type_that_one_may_not_see(blind: User, operator: User) -> None:
    make_type("slack")
    view: Callable[[HttpRequest], HttpResponse] = OURS[NAMES.index("connector")].catalogue_view
    assert b"bookmarks:read" in view(request_of(operator, "/?type=slack")).content
    assert view(request_of(blind, "/?type=slack")).content == b'{"catalogue": []}'


@pytest.mark.parametrize("action", ["sync_now", "show_plans", "export_zip"])
@pytest.mark.parametrize("model", ["project", "connector"])
def test_bulk_actions_do_nothing_to_rows_that_one_may_not_see(
    model: str, action: str, rows: dict[str, Model], blind: User
) -> None:
    before = everything()
    data = {"action": action, "_selected_action": str(rows[model].pk), "select_across": "1"}
    answer = OURS[NAMES.index(model)].changelist_view(request_of(blind, data=data))
    assert answer.status_code == 302 or SECRET not in drawn(answer)
    assert everything() == before


# --- Forged POSTs of people who may do something else -------------------------------------------------------------


@pytest.mark.parametrize("action", ["sync_now", "show_plans"])
@pytest.mark.parametrize("model", ["project", "connector"])
def test_whoever_may_only_look_can_neither_sync_nor_plan_in_bulk(
    model: str, action: str, rows: dict[str, Model], reader: User
) -> None:
    before = everything()
    client = Client()
    client.force_login(reader)
    path = reverse(f"admin:connectors_{model}_changelist")
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
    path = reverse(f"admin:connectors_{model}_changelist")
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

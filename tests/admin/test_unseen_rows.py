"""A row that one may not see is as if it did not exist: in lists, forms, autocompletion, filters and bulk actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, Model
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory

from connectors.admin.base import PortalAdmin
from connectors.models import Connector, Project
from connectors.models.visibility import VisibleQuerySet
from tests.admin.asking import (
    AUTOCOMPLETES,
    EDITABLE,
    NAMES,
    OURS,
    SECRET,
    Page,
    address,
    ask,
    everything,
)
from tests.factories import (
    make_type,
    make_user,
)

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

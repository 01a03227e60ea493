"""What stands above the ledger's list and its groups: the ways between them, and views that somebody has saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import actor_of, require, route
from connectors.core.errors import Refused
from connectors.flows.saved_views import filters_in, may_remove, may_share, remove_view, save_view, usable_views
from connectors.models import Connector, SavedView

ADD_VIEW = "connectors.add_savedview"
DELETE_VIEW = "connectors.delete_savedview"

MOST_WAITING = 10_000
"""Counting connectors that the ledger has not taken in ends there."""

_PAGES = {
    SavedView.Page.LIST: "admin:connectors_ledgerentry_changelist",
    SavedView.Page.SCOPES: "admin:connectors_ledgerentry_scopes",
    SavedView.Page.ACCOUNTS: "admin:connectors_ledgerentry_accounts",
    SavedView.Page.PEOPLE: "admin:connectors_ledgerentry_people",
}


@dataclass(frozen=True, slots=True)
class Way:
    """A link above the list: a tab, or a saved view. `is_here`: its page with exactly its filters is open."""

    title: str
    href: str
    is_here: bool
    is_shared: bool = False
    removable: int | None = None


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_ledgerentry_save_view` and `..._remove_view`, which take a POST only."""
    return [
        route(model_admin, "views/save/", save, "save_view"),
        route(model_admin, "views/<int:object_id>/remove/", remove, "remove_view"),
    ]


def around(request: HttpRequest, page: SavedView.Page) -> dict[str, Any]:
    """What `ledger/around.html` shows above a page of the ledger; two queries."""
    query, user = filters_in(request.GET.urlencode()), request.user
    views = usable_views(user)
    waiting = Connector.objects.visible_to(user).without_ledger().order_by()
    deletes, shares = user.has_perm(DELETE_VIEW), may_share(user)
    return {
        "tabs": [Way(str(tab.label), _address(tab, query), tab == page) for tab in SavedView.Page],
        "views": [
            Way(
                view.name,
                _address(view.page, view.query),
                (view.page, view.query) == (page, query),
                view.is_shared,
                view.pk if deletes and may_remove(view, user, shares=shares) else None,
            )
            for view in views
        ],
        "not_compared": waiting[:MOST_WAITING].count(),
        "ledger_page": page.value,
        "ledger_query": query,
        "may_save_view": user.has_perm(ADD_VIEW),
        "may_share_view": shares,
    }


def save(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Keeps the filters of the page that the form stood on, and leads back to it."""
    _guard(model_admin, request, ADD_VIEW)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    page, query = request.POST.get("page", ""), request.POST.get("query", "")
    name = request.POST.get("name", "").replace("\0", "")
    shared = request.POST.get("shared") == "yes" and may_share(request.user)
    try:
        assert request.user.is_authenticated  # noqa: S101 - the admin lets nobody else in
        save_view(request.user, page, name, query, shared=shared, actor=actor_of(request))
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The view is saved: it stands above the list.")
    return HttpResponseRedirect(_address(page, filters_in(query)))


def remove(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Removes a view of one's own, or a shared one for whoever may share."""
    _guard(model_admin, request, DELETE_VIEW)
    view = next((view for view in usable_views(request.user) if view.pk == object_id), None)
    if view is None:
        raise Http404
    if not may_remove(view, request.user, shares=may_share(request.user)):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    page = view.page
    remove_view(view, actor_of(request))
    messages.success(request, f"The view “{view.name}” is removed.")
    return HttpResponseRedirect(_address(page, ""))


def _guard(model_admin: ModelAdmin[Any], request: HttpRequest, permission: str) -> None:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    require(request, permission)


def _address(page: str, query: str) -> str:
    name = _PAGES.get(SavedView.Page(page) if page in SavedView.Page.values else SavedView.Page.LIST)
    address = reverse(str(name))
    return f"{address}?{query}" if query else address

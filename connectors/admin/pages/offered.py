"""Bring the catalogue up to date: from what Base44 offers a workspace, and from what is shipped with the portal."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Max
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern

from connectors.admin.pages.frame import actor_of, draw, ids_of, route
from connectors.core.errors import PortalError, Refused
from connectors.flows.catalogue import load_catalogue, refresh_offered
from connectors.flows.connect import client_for
from connectors.models import CatalogueScope, IntegrationType, Workspace
from connectors.models.visibility import may_everywhere

CHANGE_TYPE = "connectors.change_integrationtype"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_integrationtype_offered`."""
    return [route(model_admin, "offered/", offered_page, "offered")]


def offered_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Says when Base44 was last asked. POST asks it again, or loads the shipped catalogue."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    problem = ""
    if request.method == "POST":
        if not may_everywhere(request.user, CHANGE_TYPE):
            raise PermissionDenied
        try:
            said = _load(request) if request.POST.get("action") == "load" else _ask(request)
        except PortalError as error:
            problem = str(error)
        else:
            messages.success(request, said)
            return HttpResponseRedirect(request.path)
    types = IntegrationType.objects.visible_to(request.user)
    scopes = CatalogueScope.objects.visible_to(request.user)
    return draw(
        model_admin,
        request,
        "integration_type/offered.html",
        title="Refresh the catalogue",
        problem=problem,
        workspaces=Workspace.objects.visible_to(request.user).order_by("name"),
        chosen=request.POST.get("workspace", ""),
        asked_at=types.aggregate(at=Max("offered_at"))["at"],
        offered=types.exclude(offered_at=None).count(),
        types=types.count(),
        scopes=scopes.count(),
        said=scopes.said_by_the_team().count(),
        may_change=may_everywhere(request.user, CHANGE_TYPE),
    )


def _ask(request: HttpRequest) -> str:
    """Asks Base44 for the chosen workspace; what came of it, in a sentence."""
    ids = ids_of([request.POST.get("workspace", "")])
    workspace = Workspace.objects.visible_to(request.user).filter(pk__in=ids).first()
    if workspace is None:
        raise Refused("Choose the workspace for which Base44 is to be asked.")
    differing = refresh_offered(workspace, client_for(workspace), actor_of(request))
    if not differing:
        return "Base44 offers what is in the catalogue already."
    names = ", ".join(sorted(str(type_) for type_ in differing[:10]))
    more = f" and {len(differing) - 10} more" if len(differing) > 10 else ""
    return f"New or changed at Base44: {names}{more}."


def _load(request: HttpRequest) -> str:
    loaded = load_catalogue(actor_of(request))
    if not loaded:
        return "The catalogue is as it was shipped already."
    types = f"{loaded.types} type{'' if loaded.types == 1 else 's'}"
    return f"Brought up to date: {types} and {loaded.scopes} scope{'' if loaded.scopes == 1 else 's'}."

"""The ledger of one connector: its scopes by the four sides, why they differ, and what to do next."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from connectors.admin.pages.download import answer, asked_for
from connectors.admin.pages.frame import draw, route, visible
from connectors.admin.pages.ledger_matrix import VIEW_LEDGER, connectors_for_matrix, matrices
from connectors.flows.reports import ledger_table
from connectors.models import LedgerEntry
from connectors.models.visibility import may


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_connector_ledger`."""
    return [route(model_admin, "<int:object_id>/ledger/", ledger_page, "ledger")]


def ledger_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Compares the connector's sides as they are now; a file holds what the ledger has kept of them."""
    connector = visible(model_admin, request, connectors_for_matrix(), object_id)
    may_take = may(request.user, VIEW_LEDGER, connector)
    if kind := asked_for(request):
        if not may_take:
            raise PermissionDenied
        entries = LedgerEntry.objects.visible_to(request.user).filter(connector=connector)
        about = f"{connector.integration_type.display_name} in {connector.project.name}"
        stale = "" if connector.ledger_at else ". The ledger has not taken in its latest changes yet"
        return answer(request, ledger_table(entries, about + stale), kind, target=connector)
    (matrix,) = matrices([connector], request.user)
    title = f"Scopes of {connector.integration_type.display_name} in {connector.project.name}"
    return draw(
        model_admin,
        request,
        "ledger/connector.html",
        title=title,
        original=connector,
        matrix=matrix,
        connector=connector,
        may_take=may_take,
        may_see_ledger=may(request.user, VIEW_LEDGER),
    )

"""The ledger of one project: the scopes of all its connectors by the four sides."""

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
from connectors.models import LedgerEntry, Project
from connectors.models.visibility import may

ONLY_DIFFERENCES = "differences"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_ledger`, which takes `?only=differences`."""
    return [route(model_admin, "<int:object_id>/ledger/", ledger_page, "ledger")]


def ledger_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Compares the sides of every connector as they are now; a file holds what the ledger has kept of them."""
    project = visible(model_admin, request, Project.objects.select_related("workspace"), object_id)
    only = request.GET.get("only") == ONLY_DIFFERENCES
    may_take = may(request.user, VIEW_LEDGER, project)
    if kind := asked_for(request):
        if not may_take:
            raise PermissionDenied
        entries = LedgerEntry.objects.visible_to(request.user).filter(project=project)
        about = f"{project.name}{', only differences' if only else ''}"
        return answer(request, ledger_table(entries.differing() if only else entries, about), kind, target=project)
    rows = connectors_for_matrix().visible_to(request.user).filter(project=project)
    found = matrices(rows.order_by("integration_type__display_name", "pk"), request.user)
    return draw(
        model_admin,
        request,
        "ledger/project.html",
        title=f"Scopes of {project.name}",
        original=project,
        project=project,
        may_take=may_take,
        matrices=[matrix for matrix in found if matrix.differing or not only],
        connector_count=len(found),
        scope_count=sum(len(matrix.lines) for matrix in found),
        differing=sum(matrix.differing for matrix in found),
        only=only,
    )

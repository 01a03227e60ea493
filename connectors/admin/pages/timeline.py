"""The timeline of a connector: what each of its sides began and ceased to list, when, through what and by whom."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from connectors.admin.pages import download
from connectors.admin.pages.frame import draw, route, visible
from connectors.admin.pages.history_changes import VIEW_RUN, step_of
from connectors.admin.pages.history_form import parsed
from connectors.flows.history_changes import timeline
from connectors.flows.reports import timeline_table
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_connector_timeline`, which takes `?before=` for what is older."""
    return [route(model_admin, "<int:object_id>/timeline/", timeline_page, "timeline")]


def timeline_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows what happened to the connector's scopes, newest first. Reads, and changes nothing."""
    rows = Connector.objects.select_related("project__workspace", "integration_type").defer("source", "project__notes")
    connector = visible(model_admin, request, rows, object_id)
    if kind := download.asked_for(request):
        return download.answer(request, timeline_table(connector), kind, target=connector)
    before = parsed(request.GET.get("before", ""))
    found, facts = timeline(connector, before=before), ScopeFacts()
    return draw(
        model_admin,
        request,
        "history/timeline.html",
        title=f"Timeline of {connector.integration_type} in {connector.project}",
        original=connector,
        connector=connector,
        steps=[step_of(facts, connector.integration_type_id, moment) for moment in found.moments],
        is_newest=before is None,
        older=f"?{urlencode({'before': found.before.isoformat()})}" if found.before else "",
        may_see_ledger=request.user.has_perm("connectors.view_ledgerentry"),
        may_see_runs=request.user.has_perm(VIEW_RUN),
    )

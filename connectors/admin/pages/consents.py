"""Everything in one project that waits for somebody to give consent."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from connectors.admin.pages.frame import CHANGE_CONNECTOR, draw, route, visible
from connectors.admin.pages.scopes import chips
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, Project
from connectors.models.visibility import may


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_consents`."""
    return [route(model_admin, "<int:object_id>/consents/", consents_page, "consents")]


def consents_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The connectors that need consent, each with its scopes and an Authorise button."""
    project = visible(model_admin, request, Project.objects.select_related("workspace"), object_id)
    waiting = (
        Connector.objects.visible_to(request.user)
        .filter(project=project, is_declared=True)
        .exclude(consent=Connector.Consent.NONE)
        .select_related("integration_type")
        .defer("source")
    )
    facts = ScopeFacts()
    rows = [{"connector": row, "chips": chips(facts, row.integration_type_id, kept=row.scopes)} for row in waiting]
    return draw(
        model_admin,
        request,
        "consents.html",
        title=f"Consent in {project}",
        original=project,
        project=project,
        rows=rows,
        may_authorise=may(request.user, CHANGE_CONNECTOR, project),
    )

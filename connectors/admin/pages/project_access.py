"""Who can do something in a project or a workspace, through what, and when they were here last."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from connectors.admin.pages import download
from connectors.admin.pages.frame import draw, route, visible
from connectors.core.role_words import ABILITIES, ability_called
from connectors.flows.access_reports import place_table
from connectors.flows.access_words import may_see_people, who_can
from connectors.models import Project

GIVE = "connectors.add_membership"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_access` and `admin:connectors_workspace_access`, with `?can=` an ability's key."""
    return [route(model_admin, "<int:object_id>/access/", access, "access")]


def access(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Everybody whose word counts here, or with `?can=` those who can do that."""
    place = visible(model_admin, request, model_admin.model._default_manager.all(), object_id)
    if not may_see_people(request.user, place):
        raise PermissionDenied
    ability = ability_called(request.GET.get("can", ""))
    people = who_can(place, ability)
    if kind := download.asked_for(request):
        table = place_table(place, people, ability.text if ability else "")
        return download.answer(request, table, kind, target=place)
    return draw(
        model_admin,
        request,
        "people/place_access.html",
        title=f"Who can do what in {place}",
        original=place,
        place=place,
        is_project=isinstance(place, Project),
        people=people,
        abilities=ABILITIES,
        ability=ability,
        may_give=request.user.has_perm(GIVE, place),
    )

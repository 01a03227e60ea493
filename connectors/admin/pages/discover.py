"""Discover: the apps that a workspace's credential reaches, and projects made from the ticked ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern

from connectors.admin.pages.frame import ADD_PROJECT, CHANGE_PROJECT, actor_of, draw, fragment, require, route, visible
from connectors.core.errors import PortalError, Refused
from connectors.flows.connect import client_for
from connectors.flows.discover import Discovery, FoundApp, choose, create_projects, list_apps
from connectors.models import Project, Workspace
from connectors.models.visibility import may
from connectors.tasks import start_sync


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_workspace_discover` and the list that htmx asks for."""
    return [
        route(model_admin, "<int:object_id>/discover/", discover_page, "discover"),
        route(model_admin, "<int:object_id>/discover/apps/", apps, "discover_apps"),
    ]


def discover_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The page; its list is asked for by the page itself, for Base44 may take its time. POST makes projects."""
    workspace = _workspace(model_admin, request, object_id)
    problem = ""
    if request.method == "POST":
        try:
            _create(request, workspace)
            return HttpResponseRedirect(request.path)
        except PortalError as error:
            problem = str(error)
    return draw(
        model_admin,
        request,
        "discover.html",
        title=f"Apps of {workspace}",
        original=workspace,
        workspace=workspace,
        problem=problem,
        chosen=request.POST.getlist("app"),
    )


def apps(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The list of apps as Base44 gives it now. Reads, and changes nothing."""
    workspace = _workspace(model_admin, request, object_id)
    context: dict[str, Any] = {"workspace": workspace, "environments": Project.Environment.choices}
    try:
        found = list_apps(workspace, client_for(workspace))
        context |= _hiding(found, request)
    except PortalError as error:
        context["problem"] = str(error)
    chosen = request.GET.getlist("app")
    return fragment(request, "discover_apps.html", **context, chosen=chosen, may_add=True)


def _workspace(model_admin: ModelAdmin[Any], request: HttpRequest, pk: int) -> Workspace:
    """The workspace, for those who may add projects to it: the list tells of apps that are not theirs yet."""
    workspace = visible(model_admin, request, Workspace.objects.all(), pk)
    require(request, ADD_PROJECT, workspace)
    return workspace


def _hiding(found: Discovery, request: HttpRequest) -> dict[str, Any]:
    """The apps; a project that this person may not see is not named, though its app is taken."""
    ids = [app.project.pk for app in found.apps if app.project]
    mine = set(Project.objects.visible_to(request.user).filter(pk__in=ids).values_list("pk", flat=True))
    return {"apps": found.apps, "new": len(found.new), "capped": found.capped, "mine": mine}


def _create(request: HttpRequest, workspace: Workspace) -> None:
    """Makes the ticked projects, all or none, each in the environment chosen for it."""
    wanted = request.POST.getlist("app")
    if not wanted:
        raise Refused("Nothing is ticked. Tick the apps that the portal is to manage.")
    chosen = choose(list_apps(workspace, client_for(workspace)), wanted)
    created = _create_all(request, workspace, chosen)
    messages.success(request, f"Added {len(created)} project{'' if len(created) == 1 else 's'}.")
    if request.POST.get("sync") and may(request.user, CHANGE_PROJECT, workspace):
        start_sync(created, actor_of(request))
        messages.info(request, "Their connectors are being read from Base44; the list of projects shows when.")


@transaction.atomic
def _create_all(request: HttpRequest, workspace: Workspace, chosen: Sequence[FoundApp]) -> list[Project]:
    by_environment: dict[str, list[FoundApp]] = defaultdict(list)
    for app in chosen:
        environment = request.POST.get(f"environment-{app.app_id}", Project.Environment.DEVELOPMENT)
        if environment not in Project.Environment.values:
            raise Refused(f"There is no environment {environment[:30]!r}.")
        by_environment[environment].append(app)
    actor = actor_of(request)
    return [
        project
        for environment, group in by_environment.items()
        for project in create_projects(workspace, group, actor, environment)
    ]

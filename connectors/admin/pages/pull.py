"""Pull: what differs at Base44, seen from the portal, and taking it in, all or one by one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import CHANGE_PROJECT, actor_of, draw, require, route, visible
from connectors.admin.pages.scopes import Chip, chips
from connectors.core.errors import PortalError, Refused
from connectors.core.policy import PolicyNote
from connectors.core.pull import PullChange
from connectors.flows.connect import client_for
from connectors.flows.pull import accept_pull, policy_notes, pull_fingerprint, show_pull, stored_pull
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Project
from connectors.models.visibility import may


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One line of the table."""

    change: PullChange
    chips: list[Chip]
    ticked: bool
    policy: tuple[PolicyNote, ...] = ()


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_pull`."""
    return [route(model_admin, "<int:object_id>/pull/", pull_page, "pull")]


def pull_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows how Base44 differed when it was last read. POST looks again, or takes in what is ticked."""
    project = visible(model_admin, request, Project.objects.select_related("workspace"), object_id)
    if request.method != "POST":
        return _draw(model_admin, request, project)
    require(request, CHANGE_PROJECT, project)
    try:
        if request.POST.get("action") != "accept":
            show_pull(project, client_for(project.workspace), actor_of(request))
            return HttpResponseRedirect(request.path)
        return _accept(request, project)
    except PortalError as error:
        return _draw(model_admin, request, project, problem=str(error), ticked=request.POST.getlist("take"))


def _accept(request: HttpRequest, project: Project) -> HttpResponse:
    changes, types = stored_pull(project), request.POST.getlist("take")
    if pull_fingerprint(changes) != request.POST.get("fingerprint"):
        raise Refused("What differs at Base44 has changed since it was shown. Nothing was taken in: look at it again.")
    if not types:
        raise Refused("Nothing is ticked, so there is nothing to take in.")
    run = accept_pull(project, changes, types, actor_of(request))
    return HttpResponseRedirect(reverse("admin:connectors_syncrun_live", args=[run.pk]))


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    project: Project,
    *,
    problem: str = "",
    ticked: Collection[str] | None = None,
) -> HttpResponse:
    changes, facts = stored_pull(project), ScopeFacts()
    notes = policy_notes(project, changes)
    return draw(
        model_admin,
        request,
        "pull.html",
        title=f"Pull into {project}",
        original=project,
        project=project,
        problem=problem,
        rows=[replace(_row(change, ticked, facts), policy=notes.get(change.type, ())) for change in changes],
        fingerprint=pull_fingerprint(changes),
        missing=sum(change.destructive for change in changes),
        may_change=may(request.user, CHANGE_PROJECT, project),
    )


def _row(change: PullChange, ticked: Collection[str] | None, facts: ScopeFacts) -> ChangeRow:
    """Everything is ticked at first but what would take a connector out of the portal."""
    chosen = not change.destructive if ticked is None else change.type in ticked
    return ChangeRow(change, chips(facts, change.type, added=change.added, removed=change.removed), chosen)

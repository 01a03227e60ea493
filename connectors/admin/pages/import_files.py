"""Import into one project: upload, see what it would change, then take over all of it or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages import uploads
from connectors.admin.pages.frame import CHANGE_PROJECT, actor_of, draw, require, route, visible
from connectors.admin.pages.plan import needs_confirming
from connectors.admin.pages.scopes import Chip, chips
from connectors.core.errors import PortalError, Refused
from connectors.core.pull import ChangeKind
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import ImportChange, ImportPlan, plan_import
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Project, RepositoryFile
from connectors.models.visibility import may

SHOWN_FIRST = (ChangeKind.NEW, ChangeKind.CHANGED, ChangeKind.MISSING, ChangeKind.UNCHANGED)
CHANGED_SINCE = "The portal has changed since this import was shown. Nothing was taken over: this is how it stands now."


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One connector of the import. `origin` is its file in a repository, where it comes from one."""

    change: ImportChange
    chips: list[Chip]
    origin: RepositoryFile | None = None


@dataclass(frozen=True, slots=True)
class ShownImport:
    """An import plan as a page shows it. `chosen` are the missing types whose removal is ticked."""

    plan: ImportPlan
    rows: list[ChangeRow]
    chosen: Collection[str] = ()

    @property
    def writes(self) -> int:
        """How many connectors are taken over."""
        return sum(row.change.writes for row in self.rows)

    @property
    def differing(self) -> list[ChangeRow]:
        """The rows worth reading on a page of many projects: those that stay as they are, without a word, are not."""
        return [
            row for row in self.rows if row.change.kind != ChangeKind.UNCHANGED or row.change.writes or row.change.notes
        ]

    @property
    def can_apply(self) -> bool:
        """Whether there is anything to do, and nothing in the way."""
        return not self.plan.refused and not self.plan.stopped and bool(self.writes or self.plan.missing)

    @property
    def checkbox(self) -> str:
        """Name of the removals' checkboxes on a page of several projects."""
        return f"remove-{self.plan.project.pk}"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_import`."""
    return [route(model_admin, "<int:object_id>/import/", import_page, "import")]


def import_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks for files; POST shows what they would change, and a second POST takes them over."""
    project = visible(model_admin, request, Project.objects.select_related("workspace"), object_id)
    if request.method != "POST":
        return _draw(model_admin, request, project)
    require(request, CHANGE_PROJECT, project)
    try:
        if request.POST.get("action") == "apply":
            return _apply(model_admin, request, project)
        upload = uploads.received(request)
        plan = plan_import(project, uploads.located(upload))
        key = uploads.keep(request, _place(project), upload)
    except PortalError as error:
        return _draw(model_admin, request, project, problem=str(error))
    return _draw(model_admin, request, project, plan=shown(plan), key=key)


def shown(
    plan: ImportPlan,
    chosen: Collection[str] = (),
    facts: ScopeFacts | None = None,
    origins: Mapping[str, RepositoryFile] | None = None,
) -> ShownImport:
    """The plan with what its table needs: what changes first, what stays last. `facts` are read unless given.

    `origins` are the files of the types that come from a repository.
    """
    facts, origins = facts or ScopeFacts(), origins or {}
    ordered = sorted(plan.changes, key=lambda change: SHOWN_FIRST.index(change.kind))
    rows = [
        ChangeRow(
            change,
            chips(facts, change.type, added=change.added, removed=change.removed),
            origins.get(change.type),
        )
        for change in ordered
    ]
    return ShownImport(plan, rows, chosen)


def _apply(model_admin: ModelAdmin[Any], request: HttpRequest, project: Project) -> HttpResponse:
    upload = uploads.kept(request, _place(project))
    plan = plan_import(project, uploads.located(upload))
    removals, key = request.POST.getlist("remove"), request.POST.get("upload", "")
    if plan.fingerprint != request.POST.get("fingerprint"):
        return _draw(model_admin, request, project, plan=shown(plan), key=key, problem=CHANGED_SINCE)
    if needs_confirming(request, removals):
        return _draw(model_admin, request, project, plan=shown(plan, removals), key=key, confirm=True)
    try:
        run = apply_import(plan, actor_of(request), remove_missing=removals)
    except Refused as error:
        again = shown(plan_import(project, plan.files), removals)
        return _draw(model_admin, request, project, plan=again, key=key, problem=str(error))
    uploads.forget(request, _place(project))
    return HttpResponseRedirect(reverse("admin:connectors_syncrun_live", args=[run.pk]))


def _place(project: Project) -> str:
    return f"project-{project.pk}"


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    project: Project,
    *,
    plan: ShownImport | None = None,
    key: str = "",
    confirm: bool = False,
    problem: str = "",
) -> HttpResponse:
    return draw(
        model_admin,
        request,
        "import.html",
        title=f"Import into {project}",
        original=project,
        project=project,
        shown=plan,
        upload=key,
        confirm=confirm,
        problem=problem,
        may_change=may(request.user, CHANGE_PROJECT, project),
    )

"""Export: what the files would look like, with their difference from what was imported, and the download."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.http import content_disposition_header

from connectors.admin.pages.approval_gate import ask_all, gates
from connectors.admin.pages.frame import actor_of, draw, ids_of, route, visible
from connectors.core.config_files import FileChange, unified_diff
from connectors.core.errors import PortalError
from connectors.flows.approval_matters import files_matter
from connectors.flows.approvals import Matter, demanded
from connectors.flows.export_files import declared_by, export_zip, hand_out_file, plan_project_export, plan_zip
from connectors.models import Project
from connectors.models.approval import Subject

MAX_PROJECTS = 1000


@dataclass(frozen=True, slots=True)
class ShownFile:
    """One file: its text as exported, and as a diff where it differs from the imported one."""

    path: str
    type: str
    kind: str
    text: str
    diff: str = ""


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_export` and `_export_many`, which takes `ids`."""
    return [
        route(model_admin, "<int:object_id>/export/", export_page, "export"),
        route(model_admin, "export/", export_many, "export_many"),
    ]


def export_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows the files. POST downloads them: all as a zip, or the one named `file`; or asks for approval of that.

    All of it goes on record.
    """
    project = visible(model_admin, request, Project.objects.select_related("workspace"), object_id)
    files: tuple[FileChange, ...] = ()
    problem = ""
    try:
        files = _files(project)
        if request.method == "POST":
            return _download(request, project)
    except PortalError as error:
        problem = str(error)
    found = gates(request, [_matter(project)]) if files and demanded(project, Subject.EXPORT) else []
    return draw(
        model_admin,
        request,
        "export.html",
        title=f"Export {project}",
        original=project,
        project=project,
        files=[_shown(change) for change in files],
        changed=sum(change.kind != "unchanged" for change in files),
        problem=problem,
        gate=found[0] if found else None,
        reason=request.POST.get("reason", ""),
    )


def export_many(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """POST with `ids`: one zip with the files of all these projects that the person may see."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    ids = ids_of([*request.POST.getlist("ids"), *request.GET.getlist("ids")])[:MAX_PROJECTS]
    projects = list(Project.objects.visible_to(request.user).filter(pk__in=ids))
    if not projects:
        raise Http404
    try:
        return attachment("connectors.zip", export_zip(projects, actor_of(request)), "application/zip")
    except PortalError as error:
        messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:connectors_project_changelist"))


def attachment(name: str, content: bytes, content_type: str = "application/octet-stream") -> HttpResponse:
    """An answer that the browser saves and never draws."""
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = content_disposition_header(as_attachment=True, filename=name) or "attachment"
    answer["Cache-Control"] = "no-store"
    return answer


def _files(project: Project) -> tuple[FileChange, ...]:
    """What exporting over the imported files would do: those are what the project's repository held."""
    (declared,) = declared_by([project])
    return plan_project_export(project, dict(declared.sources.values()))


def _matter(project: Project) -> Matter:
    """The project's archive, as somebody else approves it."""
    (result,) = plan_zip([project])
    return files_matter(project, result.changes)


def _download(request: HttpRequest, project: Project) -> HttpResponse:
    if request.POST.get("ask"):
        ask_all(request, [_matter(project)])
        return HttpResponseRedirect(request.path)
    name = request.POST.get("file")
    if name is None:
        return attachment(f"{project.slug}.zip", export_zip([project], actor_of(request)), "application/zip")
    return attachment(name, hand_out_file(project, name, actor_of(request)))


def _shown(change: FileChange) -> ShownFile:
    text = (change.after or b"").decode("utf-8", "replace")
    diff = unified_diff(change) if change.kind == "edited" else ""
    return ShownFile(change.path, change.type, change.kind, text, diff)

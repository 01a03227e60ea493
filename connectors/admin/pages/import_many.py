"""Import a repository of several projects: each is matched to one of the portal's and taken over on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages import uploads
from connectors.admin.pages.frame import CHANGE_PROJECT, actor_of, draw, require, route
from connectors.admin.pages.import_files import CHANGED_SINCE, ShownImport, shown
from connectors.admin.pages.plan import needs_confirming
from connectors.core.errors import ConfigFileError, PortalError
from connectors.flows.import_files import Match, apply_import, match_projects
from connectors.flows.import_plan import plan_import
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Project

MAX_PROJECTS = 200
PLACE = "many"


@dataclass(frozen=True, slots=True)
class ShownMatch:
    """One project of the archive; `plan` is None where it belongs to no project that this person may change."""

    root: str
    plan: ShownImport | None = None
    problem: str = ""


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_import_many`."""
    return [route(model_admin, "import/", import_page, "import_many")]


def import_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Asks for an archive; POST shows what each project in it would change, and a second POST takes them over."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return _draw(model_admin, request)
    require(request, CHANGE_PROJECT)
    try:
        if request.POST.get("action") == "apply":
            return _apply(model_admin, request)
        upload = uploads.received(request)
        matches = _matches(request, upload)
        key = uploads.keep(request, PLACE, upload)
    except PortalError as error:
        return _draw(model_admin, request, problem=str(error))
    return _draw(model_admin, request, matches=_all_planned(request, matches), key=key)


def _matches(request: HttpRequest, upload: uploads.Upload) -> list[Match]:
    found = uploads.located_projects(upload)
    if len(found) > MAX_PROJECTS:
        name = upload[0][0]
        raise ConfigFileError(name, f"holds {len(found)} projects; at most {MAX_PROJECTS} are imported at once")
    matches = match_projects(found, Project.objects.visible_to(request.user))
    ids = [match.project.pk for match in matches if match.project]
    rows = Project.objects.filter(pk__in=ids).permitted(request.user, "change_project")
    mine = set(rows.values_list("pk", flat=True))
    return [_unless_forbidden(match, mine) for match in matches]


def _unless_forbidden(match: Match, mine: set[int]) -> Match:
    if match.project is None or match.project.pk in mine:
        return match
    return Match(match.files, None, f"You may not change {match.project}, so these files are left out.")


def _all_planned(request: HttpRequest, matches: list[Match]) -> list[ShownMatch]:
    facts = ScopeFacts()
    return [_planned(match, request, facts) for match in matches]


def _planned(match: Match, request: HttpRequest, facts: ScopeFacts) -> ShownMatch:
    root = match.files.root or match.files.folder
    if match.project is None:
        return ShownMatch(root, problem=match.problem)
    plan = plan_import(match.project, match.files)
    return ShownMatch(root, shown(plan, request.POST.getlist(f"remove-{match.project.pk}"), facts))


def _apply(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    matches = _all_planned(request, _matches(request, uploads.kept(request, PLACE)))
    wanted = [match.plan for match in matches if match.plan and match.plan.can_apply]
    confirm = needs_confirming(request, [type_ for plan in wanted for type_ in plan.chosen])
    key = request.POST.get("upload", "")
    if confirm:
        return _draw(model_admin, request, matches=matches, key=key, confirm=True)
    done, problems = 0, {}
    for plan in wanted:
        project = plan.plan.project
        try:
            done += _take_over(request, plan)
        except PortalError as error:
            problems[project.pk] = str(error)
    if done:
        messages.success(request, f"Took over the files of {done} project{'' if done == 1 else 's'}.")
    if problems:
        again = [_again(match, problems, request) for match in matches]
        return _draw(model_admin, request, matches=again, key=key)
    uploads.forget(request, PLACE)
    if not done:
        messages.info(request, "There was nothing to take over.")
    return HttpResponseRedirect(reverse("admin:connectors_project_changelist"))


def _take_over(request: HttpRequest, shown_plan: ShownImport) -> int:
    """1 when the project's files were taken over, 0 when nothing of it was to be. Raises Refused."""
    plan = shown_plan.plan
    if not shown_plan.writes and not shown_plan.chosen:
        return 0
    if plan.fingerprint != request.POST.get(f"fingerprint-{plan.project.pk}"):
        raise ConfigFileError(plan.project.slug, CHANGED_SINCE)
    apply_import(plan, actor_of(request), remove_missing=shown_plan.chosen)
    return 1


def _again(match: ShownMatch, problems: dict[int, str], request: HttpRequest) -> ShownMatch:
    """The project as it stands now, and why it was not taken over."""
    if match.plan is None:
        return match
    plan = match.plan.plan
    again = shown(plan_import(plan.project, plan.files), match.plan.chosen)
    return ShownMatch(match.root, again, problems.get(plan.project.pk, ""))


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    *,
    matches: list[ShownMatch] | None = None,
    key: str = "",
    confirm: bool = False,
    problem: str = "",
) -> HttpResponse:
    plans = [match.plan for match in matches or [] if match.plan]
    return draw(
        model_admin,
        request,
        "import_many.html",
        title="Import several projects",
        matches=matches,
        writes=sum(plan.writes for plan in plans if not plan.plan.refused),
        can_apply=any(plan.can_apply for plan in plans),
        upload=key,
        confirm=confirm,
        problem=problem,
        may_change=request.user.has_perm(CHANGE_PROJECT),
    )

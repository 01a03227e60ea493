"""The plans of several projects on one page: what a bulk action on the list of projects leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern

from connectors.admin.pages.approval_gate import Gate, plan_gates
from connectors.admin.pages.frame import CHANGE_PROJECT, MAX_IDS, actor_of, draw, ids_of, route
from connectors.admin.pages.plan import ShownPlan, needs_confirming, open_applies, plan_with, shown
from connectors.core.errors import PortalError
from connectors.flows.plan import stored_plans
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, Project, SyncRun
from connectors.models.visibility import may_everywhere
from connectors.tasks import start_apply, start_sync


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_plan_many`, which takes `?ids=1,2,3`."""
    return [route(model_admin, "plan/", plans_page, "plan_many")]


def plans_page(model_admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Shows each project's plan. POST reads them all again (in the background), or applies one or all of them."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    asked = ids_of(request.GET.getlist("ids"))
    projects = _projects(request, asked[:MAX_IDS])
    allowed = _allowed(request, projects)
    if request.GET.get("busy"):
        return _is_busy(projects)
    chosen: dict[int, list[str]] = {}
    problems: dict[int, str] = {}
    confirm = False
    if request.method == "POST":
        wanted = _wanted(request, projects, allowed)
        if request.POST.get("action") != "apply":
            start_sync(allowed, actor_of(request))
            return HttpResponseRedirect(request.get_full_path())
        chosen = {project.pk: request.POST.getlist(f"remove-{project.pk}") for project in allowed}
        confirm = needs_confirming(request, [type_ for project in wanted for type_ in chosen[project.pk]])
        problems = {} if confirm else _apply(request, wanted, chosen)
        if not confirm and not problems:
            return HttpResponseRedirect(request.get_full_path())
    plans = _shown(request, projects, chosen, problems)
    can_be_applied = [plan for plan in plans if not (plan.run or plan.is_held_back) and plan.project in allowed]
    return draw(
        model_admin,
        request,
        "plan_many.html",
        title="Plans",
        plans=plans,
        left_out=len(asked[MAX_IDS:]),
        limit=MAX_IDS,
        open_runs=SyncRun.objects.open().filter(project__in=projects).count(),
        ids=",".join(str(project.pk) for project in projects),
        changes=sum(plan.changes for plan in can_be_applied),
        removals=[action for plan in can_be_applied for action in plan.removals],
        confirm=confirm,
        only=request.POST.get("only", ""),
        allowed=allowed,
    )


def _projects(request: HttpRequest, ids: Sequence[int]) -> list[Project]:
    rows = Project.objects.visible_to(request.user).select_related("workspace").in_bulk(ids)
    return [rows[pk] for pk in ids if pk in rows]


def _allowed(request: HttpRequest, projects: Sequence[Project]) -> list[Project]:
    """Those that this person may sync and apply; the plans of the others are only shown."""
    if may_everywhere(request.user, CHANGE_PROJECT):
        return list(projects)
    rows = Project.objects.filter(pk__in=[project.pk for project in projects])
    mine = set(rows.permitted(request.user, "change_project").values_list("pk", flat=True))
    return [project for project in projects if project.pk in mine]


def _wanted(request: HttpRequest, projects: Sequence[Project], allowed: Sequence[Project]) -> list[Project]:
    """Those that the POST is about: one, or all that this person may change. 403 when they may change none of it."""
    only = request.POST.get("only", "")
    wanted = [project for project in projects if not only or only == str(project.pk)]
    if wanted and not any(project in allowed for project in wanted):
        raise PermissionDenied
    return [project for project in wanted if project in allowed]


def _apply(request: HttpRequest, projects: Sequence[Project], chosen: dict[int, list[str]]) -> dict[int, str]:
    """Starts each project's plan; by project, why one was not started."""
    problems: dict[int, str] = {}
    started = 0
    for project in projects:
        fingerprint = request.POST.get(f"fingerprint-{project.pk}", "")
        if not fingerprint:
            continue  # it had nothing to apply when it was shown
        try:
            start_apply(project, plan_with(request, project, fingerprint), chosen[project.pk], actor_of(request))
            started += 1
        except PortalError as error:
            problems[project.pk] = str(error)
    if started:
        messages.success(request, f"Started to apply {started} plan{'' if started == 1 else 's'}.")
    return problems


def _is_busy(projects: Sequence[Project]) -> HttpResponse:
    """For htmx: nothing while runs are under way, and a reload of the page when they are over."""
    answer = HttpResponse(status=204)
    if not SyncRun.objects.open().filter(project__in=list(projects)).exists():
        answer["HX-Refresh"] = "true"
    return answer


def _shown(
    request: HttpRequest, projects: Sequence[Project], chosen: dict[int, list[str]], problems: dict[int, str]
) -> list[ShownPlan]:
    plans, runs, facts = stored_plans(projects), open_applies(projects), ScopeFacts()
    gates = plan_gates(request, {project: plans[project.pk] for project in projects})
    waiting: dict[int, list[Connector]] = {project.pk: [] for project in projects}
    for row in Connector.objects.filter(project__in=projects).exclude(consent=Connector.Consent.NONE).defer("source"):
        waiting[row.project_id].append(row)
    return [
        shown(
            project,
            plans[project.pk],
            chosen=chosen.get(project.pk) or _approved_removals(gates.get(project.pk)),
            problem=problems.get(project.pk, ""),
            connectors=waiting[project.pk],
            runs=runs,
            facts=facts,
            gate=gates.get(project.pk),
        )
        for project in projects
    ]


def _approved_removals(gate: Gate | None) -> Sequence[str]:
    """What is ticked to begin with: the removals that somebody has approved."""
    return gate.granted.proposal["removals"] if gate is not None and gate.granted else ()

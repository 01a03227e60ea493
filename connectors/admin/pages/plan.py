"""The plan of one project: what would be set, asked and removed at Base44, and the button that does it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from connectors.admin.pages.approval_gate import Gate, plan_gates, tell_asked
from connectors.admin.pages.frame import CHANGE_PROJECT, actor_of, draw, require, route, visible
from connectors.admin.pages.scopes import Chip, chips
from connectors.core.errors import PortalError, Refused
from connectors.core.plan import Action, ActionKind, Plan
from connectors.flows.apply import ask_to_apply
from connectors.flows.connect import client_for
from connectors.flows.plan import show_plan, stored_plan
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, Project, SyncRun
from connectors.models.visibility import may
from connectors.tasks import start_apply

KEPT_IN_SESSION = "shown_plans"
MAX_KEPT = 10
STALE_AFTER = dt.timedelta(minutes=15)
"""A look at Base44 that is older is said to be old: the periodic sync comes about as often."""


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One line of the plan's table. `waiting` is the connector that was set already and waits for consent."""

    action: Action
    chips: list[Chip]
    waiting: Connector | None = None
    live: bool = False

    @property
    def problem(self) -> str:
        """Why it cannot be applied, but for what the policies say: that is shown with a way on."""
        text = self.action.problem
        for note in self.action.policy:
            text = text.replace(note.text, "")
        return text.strip()


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """A project's plan as a page shows it; `plan` None: Base44 was never read. `run` is the apply under way.

    `gate` says how approval stands where another person has to approve it first.
    """

    project: Project
    plan: Plan | None
    rows: list[ActionRow]
    run: SyncRun | None = None
    chosen: Collection[str] = ()
    confirm: bool = False
    problem: str = ""
    gate: Gate | None = None

    @property
    def is_held_back(self) -> bool:
        """Whether somebody else has to approve it before this person can apply it."""
        return self.gate is not None and self.gate.granted is None

    @property
    def changes(self) -> int:
        """How many actions the button carries out without anything ticked."""
        return sum(not row.action.destructive and not row.action.problem for row in self.rows)

    @property
    def removals(self) -> list[Action]:
        """What can be ticked."""
        return [row.action for row in self.rows if row.action.destructive]

    @property
    def checkbox(self) -> str:
        """Name of the removals' checkboxes on a page of several plans."""
        return f"remove-{self.project.pk}"

    @property
    def is_old(self) -> bool:
        """Whether Base44 was last read so long ago that the page should say it."""
        seen = self.project.synced_at
        return seen is not None and timezone.now() - seen > STALE_AFTER

    @property
    def consents(self) -> int:
        """How many of the changes take effect only when a person has agreed."""
        return sum(row.action.needs_consent and not row.action.problem for row in self.rows)


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_project_plan`."""
    return [route(model_admin, "<int:object_id>/plan/", plan_page, "plan")]


def plan_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows the plan against the last look at Base44. POST looks again, or applies what was shown."""
    project = visible(model_admin, request, Project.objects.select_related("workspace"), object_id)
    if request.method != "POST":
        return _draw(model_admin, request, project, stored_plan(project))
    require(request, CHANGE_PROJECT, project)
    try:
        if request.POST.get("action") == "apply":
            return _apply(model_admin, request, project)
        return _look(model_admin, request, project)
    except PortalError as error:
        chosen = request.POST.getlist("remove")
        return _draw(model_admin, request, project, stored_plan(project), chosen=chosen, problem=str(error))


def shown(
    project: Project,
    plan: Plan | None,
    *,
    chosen: Collection[str] = (),
    confirm: bool = False,
    problem: str = "",
    connectors: Iterable[Connector] | None = None,
    runs: Mapping[int, SyncRun] | None = None,
    facts: ScopeFacts | None = None,
    gate: Gate | None = None,
) -> ShownPlan:
    """The plan with what its table needs. `connectors`, `runs` and `facts` are read here unless the caller has them."""
    facts = facts or ScopeFacts()
    if connectors is None:
        connectors = project.connectors.exclude(consent=Connector.Consent.NONE).defer("source")
    if runs is None:
        runs = open_applies([project])
    waiting = {row.integration_type_id: row for row in connectors if _is_waiting(row)}
    rows = [_row(action, waiting.get(action.type), facts) for action in plan.actions] if plan else []
    return ShownPlan(project, plan, rows, runs.get(project.pk), chosen, confirm, problem, gate)


def open_applies(projects: Collection[Project]) -> dict[int, SyncRun]:
    """The applies that are queued or running, by project."""
    runs = SyncRun.objects.open().filter(project__in=list(projects), kind=SyncRun.Kind.APPLY)
    return {run.project_id: run for run in runs}


def plan_with(request: HttpRequest, project: Project, fingerprint: str) -> Plan:
    """The plan of this fingerprint, which this person was shown. Raises Refused when it is out of date."""
    kept = request.session.get(KEPT_IN_SESSION, {}).get(str(project.pk))
    for plan in (stored_plan(project), Plan.from_json(kept) if kept else None):
        if plan is not None and plan.fingerprint == fingerprint:
            return plan
    raise Refused(
        "What is declared, or what Base44 has, has changed since that plan was shown. Nothing was done: this is the "
        "plan as it is now."
    )


def needs_confirming(request: HttpRequest, removals: Collection[str]) -> bool:
    """True when something would be removed and the dialog that names it was not answered (no JavaScript, say)."""
    return bool(removals) and request.POST.get("confirmed") != "1"


def _apply(model_admin: ModelAdmin[Any], request: HttpRequest, project: Project) -> HttpResponse:
    plan = plan_with(request, project, request.POST.get("fingerprint", ""))
    removals = request.POST.getlist("remove")
    if request.POST.get("ask"):
        ask_to_apply(project, plan, removals, actor_of(request), request.POST.get("reason", ""))
        tell_asked(request)
        return HttpResponseRedirect(request.path)
    if needs_confirming(request, removals):
        return _draw(model_admin, request, project, plan, chosen=removals, confirm=True)
    run = start_apply(project, plan, removals, actor_of(request))
    return HttpResponseRedirect(reverse("admin:connectors_syncrun_live", args=[run.pk]))


def _look(model_admin: ModelAdmin[Any], request: HttpRequest, project: Project) -> HttpResponse:
    plan = show_plan(project, client_for(project.workspace), actor_of(request))
    _keep(request, project, plan)
    project.refresh_from_db(fields=["synced_at", "stripe_mode", "sync_error"])
    stored = stored_plan(project)
    if stored is None or (plan.fingerprint, set(plan.warnings)) != (stored.fingerprint, set(stored.warnings)):
        # Base44 left something out this time, so the rows hold more than this plan may rely on: show it as it is.
        return _draw(model_admin, request, project, plan)
    return HttpResponseRedirect(request.path)


def _keep(request: HttpRequest, project: Project, plan: Plan) -> None:
    """Keeps the plan where only this person's session reaches it. It holds no secrets."""
    kept = dict(request.session.get(KEPT_IN_SESSION, {}))
    kept.pop(str(project.pk), None)
    kept[str(project.pk)] = plan.as_json()
    request.session[KEPT_IN_SESSION] = dict(list(kept.items())[-MAX_KEPT:])


def _is_waiting(row: Connector) -> bool:
    asked = row.consent in (Connector.Consent.NEEDED, Connector.Consent.PENDING)
    return asked and row.last_set_scopes == row.scopes


def _row(action: Action, waiting: Connector | None, facts: ScopeFacts) -> ActionRow:
    live = action.kind == ActionKind.REMOVE_STRIPE and action.status_before != "sandbox"
    kept = action.scopes if action.kind == ActionKind.CONSENT else ()
    found = chips(facts, action.type, added=action.added, removed=action.removed, kept=kept)
    return ActionRow(action, found, None if action.destructive else waiting, live)


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    project: Project,
    plan: Plan | None,
    *,
    chosen: Collection[str] | None = None,
    confirm: bool = False,
    problem: str = "",
) -> HttpResponse:
    """The page; unless somebody has just chosen removals, those are ticked for which approval stands."""
    gate = plan_gates(request, {project: plan}).get(project.pk)
    if chosen is None:
        chosen = gate.row.proposal["removals"] if gate and gate.row else ()
    return draw(
        model_admin,
        request,
        "plan.html",
        title=f"Plan for {project}",
        original=project,
        shown=shown(project, plan, chosen=chosen, confirm=confirm, problem=problem, gate=gate),
        project=project,
        may_apply=may(request.user, CHANGE_PROJECT, project),
        reason=request.POST.get("reason", ""),
    )

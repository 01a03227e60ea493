"""A run as it happens: steps, progress, Cancel, and Authorise where a step waits for a person."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone

from connectors.admin.pages.frame import (
    CHANGE_CONNECTOR,
    CHANGE_PROJECT,
    draw,
    fragment,
    require,
    route,
    visible,
)
from connectors.admin.pages.scopes import Chip, chips
from connectors.core.plan import ActionKind
from connectors.flows.runs import cancel_run
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, SyncRun, SyncStep
from connectors.models.visibility import may

STEP_WORDS = {
    ActionKind.SET: "Set the scopes of",
    ActionKind.CONSENT: "Ask for consent again for",
    ActionKind.PROVISION: "Install",
    ActionKind.REMOVE: "Remove",
    ActionKind.REMOVE_STRIPE: "Uninstall",
    "new": "Take in",
    "changed": "Change",
    "unchanged": "Leave as it is:",
    "missing": "Take out of the portal:",
    "refuse": "Refuse",
}
OVER = (
    SyncStep.State.DONE,
    SyncStep.State.CONSENT,
    SyncStep.State.FAILED,
    SyncStep.State.SKIPPED,
    SyncStep.State.CANCELLED,
    SyncStep.State.INTERRUPTED,
)
WAITS = (Connector.Consent.NEEDED, Connector.Consent.PENDING, Connector.Consent.FAILED, Connector.Consent.GIVEN_UP)


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One line of the run; `connector` is set where somebody can authorise it."""

    type: str
    words: str
    state: str
    state_words: str
    text: str
    seconds: float | None = None
    chips: tuple[Chip, ...] = ()
    connector: Connector | None = None


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_syncrun_live`, the part of it that htmx asks for, and `_cancel`."""
    return [
        route(model_admin, "<int:object_id>/live/", live_page, "live"),
        route(model_admin, "<int:object_id>/live/steps/", live_steps, "live_steps"),
        route(model_admin, "<int:object_id>/cancel/", cancel, "cancel"),
    ]


def live_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The run, which the page follows until it is over."""
    run = _run(model_admin, request, object_id)
    title = f"{run.get_kind_display()} of {run.project}"
    return draw(model_admin, request, "run.html", title=title, original=run, **_context(request, run))


def live_steps(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The part of the page that changes."""
    run = _run(model_admin, request, object_id)
    return fragment(request, "run_steps.html", **_context(request, run))


def cancel(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks the run to stop after the step that it is at."""
    run = _run(model_admin, request, object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_PROJECT, run.project)
    if not cancel_run(run):
        messages.info(request, "The run was over already.")
    return HttpResponseRedirect(reverse("admin:connectors_syncrun_live", args=[run.pk]))


def _run(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> SyncRun:
    return visible(model_admin, request, SyncRun.objects.select_related("project__workspace", "user"), object_id)


def _context(request: HttpRequest, run: SyncRun) -> dict[str, Any]:
    steps = _steps(run)
    over = sum(step.state in OVER for step in steps)
    return {
        "run": run,
        "project": run.project,
        "steps": steps,
        "steps_done": over,
        "steps_total": len(steps),
        "current": next((step for step in steps if step.state == SyncStep.State.RUNNING), None),
        "took": _took(run),
        "waiting": [step for step in steps if step.connector],
        "may_cancel": run.is_open and may(request.user, CHANGE_PROJECT, run.project),
        "may_authorise": may(request.user, CHANGE_CONNECTOR, run.project),
    }


def _steps(run: SyncRun) -> list[ShownStep]:
    """The recorded steps; before a worker has begun, what the plan says will be done."""
    rows, facts = list(run.steps.all()), ScopeFacts()
    if not rows:
        actions = run.plan.get("actions", []) if run.is_open else []
        return [_planned(action, run.removals, facts) for action in actions]
    waits = {}
    if any(row.state == SyncStep.State.CONSENT for row in rows):
        waiting = Connector.objects.filter(project=run.project_id, consent__in=WAITS).defer("source")
        waits = {row.integration_type_id: row for row in waiting}
    return [_shown(row, waits.get(row.type), facts) for row in rows]


def _shown(row: SyncStep, connector: Connector | None, facts: ScopeFacts) -> ShownStep:
    state, words, text = row.state, row.get_state_display(), row.message or row.reason
    if row.state == SyncStep.State.CONSENT and connector is None:
        state, words, text = SyncStep.State.DONE, "Settled since", "Set; the consent that it needed is settled."
    before, after = row.before.get("scopes") or [], (row.after or {}).get("scopes")
    return ShownStep(
        row.type,
        _words(row.action),
        state,
        words,
        text,
        row.duration.total_seconds() if row.duration else None,
        _changed(facts, row.type, before, after),
        connector if row.state == SyncStep.State.CONSENT else None,
    )


def _changed(facts: ScopeFacts, type_: str, before: list[str], after: list[str] | None) -> tuple[Chip, ...]:
    if after is None:
        return ()
    added = [scope for scope in after if scope not in before]
    return tuple(chips(facts, type_, added=added, removed=[scope for scope in before if scope not in after]))


def _planned(action: dict[str, Any], removals: list[str], facts: ScopeFacts) -> ShownStep:
    left_out = action.get("destructive") and action["type"] not in removals
    state = SyncStep.State.SKIPPED if left_out else SyncStep.State.PLANNED
    text = "Not removed: nobody ticked it." if left_out else action.get("reason", "")
    changed = tuple(chips(facts, action["type"], added=action.get("added", ()), removed=action.get("removed", ())))
    return ShownStep(action["type"], _words(action["action"]), state, str(state.label), text, None, changed)


def _words(action: str) -> str:
    return STEP_WORDS.get(action, action.replace("_", " ").capitalize())


def _took(run: SyncRun) -> dt.timedelta | None:
    if run.started_at and not run.finished_at:
        return timezone.now() - run.started_at
    return run.duration

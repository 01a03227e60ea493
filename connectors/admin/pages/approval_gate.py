"""What a page says where another person has to approve first: what waits, what was approved, and the way to ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest
from django.utils import timezone

from connectors.admin.pages.frame import actor_of
from connectors.core.plan import Plan
from connectors.flows.approvals import Matter, ask, counts_for, demanding, needing, of_print
from connectors.models import Approval, Project
from connectors.models.approval import ApprovalQuerySet, Subject
from connectors.models.visibility import may

VIEW = "connectors.view_approval"


@dataclass(frozen=True, slots=True)
class Gate:
    """How approval stands for one thing in one project, for the person who looks.

    `granted` lets them do it, `own` they approved themselves, `waiting` nobody has decided on; at most one is set.
    `is_linked`: they may see the approval's page.
    """

    granted: Approval | None = None
    own: Approval | None = None
    waiting: Approval | None = None
    is_linked: bool = False

    @property
    def row(self) -> Approval | None:
        """The approval that the page speaks of."""
        return self.granted or self.own or self.waiting


def plan_gates(request: HttpRequest, plans: Mapping[Project, Plan | None]) -> dict[int, Gate]:
    """How approval stands for these plans whatever is ticked, by the ids of the projects that need one."""
    watched = demanding(list(plans), Subject.PLAN)
    if not watched:
        return {}
    rows: dict[int, list[Approval]] = {pk: [] for pk in watched}
    prints = {project.pk: plan.fingerprint for project, plan in plans.items() if plan is not None}
    for row in _standing(Approval.objects.filter(project__in=watched, subject=Subject.PLAN)):
        if row.proposal["plan"]["fingerprint"] == prints.get(row.project_id):
            rows[row.project_id].append(row)
    return {project.pk: _gate(request, project, rows[project.pk]) for project in plans if project.pk in watched}


def gates(request: HttpRequest, matters: Iterable[Matter]) -> list[Gate]:
    """How approval stands for each of these that needs one."""
    found = []
    for matter in needing(matters):
        same = _standing(of_print(matter.subject, matter.project, matter.fingerprint))
        found.append(_gate(request, matter.project, same))
    return found


def ask_all(request: HttpRequest, matters: Sequence[Matter]) -> None:
    """Asks for all of these that need approval, with the reason that was typed. Raises Refused without one."""
    for matter in needing(matters):
        ask(matter, actor_of(request), request.POST.get("reason", ""))
    tell_asked(request)


def tell_asked(request: HttpRequest) -> None:
    """The message for whoever has asked."""
    messages.success(request, "Asked. Whoever may approve it here finds it under Approvals; nothing was done yet.")


def _standing(rows: ApprovalQuerySet) -> list[Approval]:
    now = timezone.now()
    states = (Approval.State.OPEN, Approval.State.APPROVED)
    return list(rows.filter(state__in=states, expires_at__gt=now).select_related("decided_by", "project"))


def _gate(request: HttpRequest, project: Project, rows: Sequence[Approval]) -> Gate:
    actor, linked = actor_of(request), may(request.user, VIEW, project)
    approved = [row for row in rows if row.state == Approval.State.APPROVED]
    if granted := next((row for row in approved if counts_for(row, actor)), None):
        return Gate(granted=granted, is_linked=linked)
    if own := next((row for row in approved if row.decided_by_id == actor.user_id), None):
        return Gate(own=own, is_linked=linked)
    waiting = next((row for row in rows if row.state == Approval.State.OPEN), None)
    return Gate(waiting=waiting, is_linked=linked)

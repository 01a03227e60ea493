"""Say what needs another person's approval in which environment, and no longer; each on record."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows.events import changes, record_event
from connectors.models import ApprovalDemand, PolicyRule, Project
from connectors.models.approval import Subject
from connectors.models.visibility import Person, may_everywhere

CHANGE_DEMAND = "connectors.change_approvaldemand"
CHANGE_POLICY = "connectors.change_policyrule"


@transaction.atomic
def save_demand(row: ApprovalDemand, actor: Actor) -> ApprovalDemand:
    """Stores the rule. Raises Refused when it asks for nothing."""
    if not row.subjects:
        raise Refused("Choose at least one thing that needs approval, or delete the rule.")
    stored = ApprovalDemand.objects.filter(pk=row.pk).first() if row.pk else None
    row.save()
    old, new = changes(shown(stored) if stored else {}, shown(row))
    if new:
        record_event(actor, "approval_rule.changed" if stored else "approval_rule.added", row, before=old, after=new)
    return row


@transaction.atomic
def delete_demand(row: ApprovalDemand, actor: Actor) -> None:
    """Lets one person do these things alone again."""
    record_event(actor, "approval_rule.deleted", row, before=shown(row))
    row.delete()


def refuse_escape(before: Project, after: Project, user: Person) -> None:
    """Raises Refused when somebody would take an app to where rules that they may not change demand less.

    Without this, whoever edits a project could call it a development project for a moment, or let another one stand
    for its app, and do everything alone. `before` and `after` are the project as it is stored and as it would be.
    """
    if _place(before) == _place(after):
        return
    kept = _bound(after, user) if before.app_id == after.app_id else set()
    bound = _bound(before, user)
    if lost := bound - kept:
        raise Refused(
            f"{_needs(lost)} Only somebody who may change the approval rules can change the project's workspace, "
            "environment or app."
        )
    if Subject.EXCEPTION in bound and (policy := _policy_left_behind(before, after, user)):
        raise Refused(
            f"Here an exception from a policy needs another person, and the policy {policy} would no longer hold for "
            "the project. Only somebody who may change the policies can change what it goes by."
        )


def refuse_forgetting(project: Project, user: Person) -> None:
    """Raises Refused when rules that somebody may not change demand another person for the project.

    The same app could be added again a moment later, as a project for which nothing is demanded.
    """
    if bound := _bound(project, user):
        raise Refused(f"{_needs(bound)} Only somebody who may change the approval rules can delete the project.")


def _bound(project: Project, user: Person) -> set[Subject]:
    """What needs another person's approval by rules that this person may not change: having some power is not enough.

    An owner of a project changes no rule of its workspace, and an owner of that none of all workspaces.
    """
    here = ApprovalDemand.objects.filter(
        Q(workspace=None) | Q(workspace=project.workspace_id), environment=project.environment
    ).order_by()
    rows = list(here)
    theirs = set(here.permitted(user, CHANGE_DEMAND.partition(".")[2]).values_list("pk", flat=True)) if rows else set()
    named = {name for row in rows if row.pk not in theirs for name in row.subjects}
    return {subject for subject in Subject if subject.value in named}


def _needs(subjects: set[Subject]) -> str:
    listed = ", ".join(str(subject.label).lower() for subject in Subject if subject in subjects)
    return f"Here this needs another person's approval: {listed}."


def _policy_left_behind(before: Project, after: Project, user: Person) -> str:
    """The name of a policy that stops things in the project and would not any more; "" for none."""
    if may_everywhere(user, CHANGE_POLICY):
        return ""
    stopping = PolicyRule.objects.filter(is_enabled=True).exclude(effect=PolicyRule.Effect.WARN)
    left = (row.name for row in stopping.order_by("pk") if _holds_for(row, before) and not _holds_for(row, after))
    return next(left, "")


def _holds_for(rule: PolicyRule, project: Project) -> bool:
    is_there = not rule.environments or project.environment in rule.environments
    return is_there and (not rule.tags or not set(rule.tags).isdisjoint(project.tags))


def _place(project: Project) -> tuple[str, int, str, list[str]]:
    return project.environment, project.workspace_id, project.app_id, sorted(project.tags)


def shown(row: ApprovalDemand) -> dict[str, Any]:
    """What an event says of it."""
    return {"workspace": row.workspace_id, "environment": row.environment, "subjects": sorted(row.subjects)}

"""Say what needs another person's approval in which environment, and no longer; each on record."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows.approvals import demanding
from connectors.flows.events import changes, record_event
from connectors.models import ApprovalDemand, Project
from connectors.models.approval import Subject
from connectors.models.visibility import Person, may

CHANGE_DEMAND = "connectors.change_approvaldemand"


@transaction.atomic
def save_demand(row: ApprovalDemand, actor: Actor) -> ApprovalDemand:
    """Stores the rule. Raises Refused when it asks for nothing."""
    if not row.subjects:
        raise Refused("Choose at least one thing that needs approval, or delete the rule.")
    stored = ApprovalDemand.objects.filter(pk=row.pk).first() if row.pk else None
    row.save()
    old, new = changes(_shown(stored) if stored else {}, _shown(row))
    if new:
        record_event(actor, "approval_rule.changed" if stored else "approval_rule.added", row, before=old, after=new)
    return row


@transaction.atomic
def delete_demand(row: ApprovalDemand, actor: Actor) -> None:
    """Lets one person do these things alone again."""
    record_event(actor, "approval_rule.deleted", row, before=_shown(row))
    row.delete()


def refuse_escape(before: Project, after: Project, user: Person) -> None:
    """Raises Refused when somebody would take an app to where less needs approval, and may not change such rules.

    Without this, whoever edits a project could call it a development project for a moment, or let another one stand
    for its app, and do everything alone. `before` and `after` are the project as it is stored and as it would be.
    """
    if _place(before) == _place(after):
        return
    stays = before.app_id == after.app_id
    lost = [
        subject for subject in Subject if demanding([before], subject) and not (stays and demanding([after], subject))
    ]
    if lost and not may(user, CHANGE_DEMAND, before):
        raise Refused(
            f"Here this needs another person's approval: {', '.join(str(one.label).lower() for one in lost)}. Only "
            "somebody who may change the approval rules can change the project's workspace, environment or app."
        )


def _place(project: Project) -> tuple[str, int, str]:
    return project.environment, project.workspace_id, project.app_id


def _shown(row: ApprovalDemand) -> dict[str, Any]:
    return {"workspace": row.workspace_id, "environment": row.environment, "subjects": sorted(row.subjects)}

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
    """Raises Refused when somebody would take a project to where less needs approval, and may not change such rules.

    Without this, whoever edits a project could call it a development project for a moment and do everything alone.
    `before` and `after` are the same project as it is stored and as it would be.
    """
    if (before.environment, before.workspace_id) == (after.environment, after.workspace_id):
        return
    lost = [subject.label for subject in Subject if demanding([before], subject) and not demanding([after], subject)]
    if lost and not may(user, CHANGE_DEMAND, before):
        raise Refused(
            f"Here another person's approval is needed, and there it would not be: {', '.join(map(str, lost))}. Only "
            "somebody who may change the approval rules can move the project."
        )


def _shown(row: ApprovalDemand) -> dict[str, Any]:
    return {"workspace": row.workspace_id, "environment": row.environment, "subjects": sorted(row.subjects)}

"""Let the portal forget a project or an empty workspace. Nothing happens at Base44."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.approval_matters import ending_matters
from connectors.flows.approval_rules import shown
from connectors.flows.approvals import allow
from connectors.flows.events import record_event, record_lost_tokens
from connectors.flows.memberships import roles_in_words
from connectors.models import (
    ApprovalDemand,
    Connector,
    Invitation,
    Membership,
    PolicyException,
    Project,
    SyncRun,
    Token,
    Workspace,
)


@transaction.atomic
def forget_project(project: Project, actor: Actor) -> None:
    """Deletes the project with its connectors and runs; the event keeps what was declared.

    Raises Refused while a run is under way: it would write to rows that are gone; ApprovalNeeded when live tokens would
    go with it, and another person has to approve the forgetting of each. The events of the past stay.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    if SyncRun.objects.open().filter(project=project).exists():
        raise Refused(f"A run of {project} is under way. Wait for it or cancel it, then delete the project.")
    connectors = Connector.objects.filter(project=project)
    declared = {row.integration_type_id: row.scopes for row in connectors.declared().defer("source")}
    tokens = Token.objects.filter(connector__project=project).alive().with_names()
    allow([matter for token in tokens for matter in ending_matters([token], "forget")], actor)
    exceptions = PolicyException.objects.filter(project=project).select_related("rule").order_by("pk")
    before = {
        "slug": project.slug,
        "app_id": project.app_id,
        "environment": project.environment,
        "connectors": declared,
        "exceptions": [f"{row.rule}: {row.state}" for row in exceptions],
        **_access_to(project=project),
    }
    record_event(actor, "project.deleted", project, before=before)
    record_lost_tokens(actor, connectors)
    ledger.note_gone(connectors.values_list("pk", flat=True), actor, "project.deleted")
    connectors.delete()
    project.delete()


@transaction.atomic
def forget_workspace(workspace: Workspace, actor: Actor) -> None:
    """Deletes a workspace that nothing belongs to any more, with its credential.

    The event keeps who had roles in it and what needed another person's approval there. Raises ProtectedError while it
    has projects or OAuth clients.
    """
    demands = ApprovalDemand.objects.filter(workspace=workspace).order_by("pk")
    before = {
        "name": workspace.name,
        "api_url": workspace.api_url,
        "approval_rules": [shown(row) for row in demands],
        **_access_to(workspace=workspace),
    }
    record_event(actor, "workspace.deleted", workspace, before=before)
    workspace.delete()


def _access_to(**place: Any) -> dict[str, list[str]]:
    """Whose access ends with the place."""
    open_ones = Invitation.objects.open(timezone.now()).filter(**place).order_by("pk")
    return {
        "roles": roles_in_words(Membership.objects.filter(**place)),
        "invitations": [f"{row.email}: {row.role}" for row in open_ones],
    }

"""Let the portal forget a project. Nothing happens at Base44."""

from __future__ import annotations

from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.approval_matters import ending_matters
from connectors.flows.approvals import allow
from connectors.flows.events import record_event, record_lost_tokens
from connectors.models import Connector, Project, SyncRun, Token


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
    before = {"slug": project.slug, "app_id": project.app_id, "environment": project.environment}
    record_event(actor, "project.deleted", project, before={**before, "connectors": declared})
    record_lost_tokens(actor, connectors)
    ledger.note_gone(connectors.values_list("pk", flat=True), actor, "project.deleted")
    connectors.delete()
    project.delete()

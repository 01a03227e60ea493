"""Change what the portal asks for: a connector's scopes and config, or that it should be there at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.scopes import tidy
from connectors.flows import ledger
from connectors.flows.approval_matters import ending_matters
from connectors.flows.approvals import allow
from connectors.flows.catalogue import ensure_types
from connectors.flows.compare import RECOMPUTED, recompute, rules_of
from connectors.flows.events import changes, record_event, record_lost_tokens
from connectors.flows.policies import refuse_broken
from connectors.models import Connector, Project, Token

DECLARED_FIELDS = ["is_declared", "scopes", "connection_config"]


@transaction.atomic
def declare(
    project: Project,
    type_: str,
    scopes: Sequence[str],
    connection_config: Mapping[str, str],
    actor: Actor,
    *,
    check_config: bool = True,
) -> Connector:
    """The connector with exactly these scopes (order kept, blanks and repeats dropped) and config, saved.

    Raises Refused when the config does not fit the type, unless `check_config` is False: Base44 does not list the
    config of what it has, so taking a connector in from there must not ask for it; the next plan names what is
    missing. Raises PolicyRefused when a rule stops what is added. Nothing is sent to Base44: that is for a plan.
    """
    ensure_types([type_])
    connector = _locked(project, type_) or Connector(project=project, integration_type_id=type_, is_declared=False)
    before = _declared(connector) if connector.pk else {}
    refuse_broken(project, type_, scopes, connector.scopes if connector.is_declared else None)
    connector.is_declared = True
    connector.scopes = list(tidy(scopes))
    connector.connection_config = dict(connection_config)
    if check_config:
        _refuse_faults(connector)
    return save_declaration(connector, before, actor)


@transaction.atomic
def undeclare(connector: Connector, actor: Actor) -> bool:
    """The portal no longer asks for it. True when the row went; False when Base44 still has it.

    What Base44 has stays in sight with `is_declared` False, and the next plan proposes to remove it there. Raises
    ApprovalNeeded when a live token would go with the row, and another person has to approve that.
    """
    row = _locked(connector.project, connector.integration_type_id)
    if row is None:
        return True
    before = _declared(row)
    if row.registered_scopes is None:
        allow(ending_matters(Token.objects.filter(connector=row).alive().with_names(), "forget"), actor)
        record_event(actor, "connector.undeclared", row, before=before)
        record_lost_tokens(actor, Connector.objects.filter(pk=row.pk))
        ledger.note_gone([row.pk], actor, "connector.undeclared")
        row.delete()
        return True
    row.is_declared, row.scopes, row.connection_config = False, [], {}
    row.source, row.source_path, row.source_read_at = None, "", None
    recompute([row], rules_of(row.project.workspace))
    row.save(update_fields=[*DECLARED_FIELDS, *RECOMPUTED, "source", "source_path", "source_read_at", "updated_at"])
    record_event(actor, "connector.undeclared", row, before=before, after=_declared(row))
    ledger.note([row.pk], actor, "connector.undeclared")
    return False


def save_declaration(connector: Connector, before: Mapping[str, Any], actor: Actor) -> Connector:
    """Saves the declared fields alone, with a fresh verdict and an event. Call it inside a transaction."""
    recompute([connector], rules_of(connector.project.workspace))
    old, new = changes(before, _declared(connector))
    if connector.pk is None:
        connector.save()
        record_event(actor, "connector.declared", connector, after=_declared(connector))
        ledger.note([connector.pk], actor, "connector.declared")
    else:
        connector.save(update_fields=[*DECLARED_FIELDS, *RECOMPUTED, "updated_at"])
        if new:
            record_event(actor, "connector.changed", connector, before=old, after=new)
            ledger.note([connector.pk], actor, "connector.changed")
    return connector


def _refuse_faults(connector: Connector) -> None:
    try:
        connector.clean()
    except ValidationError as error:
        raise Refused(f"{connector.integration_type_id}: {' '.join(error.messages)}") from None


def _locked(project: Project, type_: str) -> Connector | None:
    rows = Connector.objects.select_for_update(of=("self",)).select_related("project__workspace")
    return rows.filter(project=project, integration_type_id=type_).first()


def _declared(connector: Connector) -> dict[str, Any]:
    return {field: getattr(connector, field) for field in DECLARED_FIELDS}

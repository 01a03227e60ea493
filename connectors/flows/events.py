"""The one place through which every change is put on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.trace import current_trace
from connectors.core.trail.clock import event_time
from connectors.core.trail.form import event_form, plain
from connectors.models import Connector, Event, Project, Sealed, Token, Workspace
from connectors.models.trail_keys import trail_keys


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object, for `record_events`."""

    target: models.Model
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    reason: str = ""


def record_event(
    actor: Actor,
    verb: str,
    target: models.Model,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    note: str = "",
    reason: str = "",
) -> Event:
    """Writes down who did what to which object. Secrets are written as "set" or "not set", never as they are.

    Runs inside the caller's transaction, so that a change and its event stand or fall together.
    """
    return record_events(actor, verb, [Change(target, before or {}, after or {}, note, reason)])[0]


def record_events(actor: Actor, verb: str, happened: Iterable[Change]) -> list[Event]:
    """As `record_event`, for the same thing done to many objects: one statement for all of them."""
    at, rows = event_time(timezone.now()), [_event(actor, verb, change) for change in happened]
    key = trail_keys().first
    for row in rows:
        row.at, row.key_id = at, key.key_id
        row.digest = key.of_event(event_form(row.content()))
    return Event.objects.bulk_create(rows)


def _event(actor: Actor, verb: str, change: Change) -> Event:
    trace = current_trace()
    return Event(
        verb=verb,
        user_id=actor.user_id,
        actor_label=actor.label[:200],
        door=str(actor.door),
        workspace_id=_workspace_id(change.target),
        project_id=_project_id(change.target),
        target_type=change.target._meta.model_name or "",
        target_id=str(change.target.pk or ""),
        target_label=_label(change.target)[:200],
        before=_masked(change.before),
        after=_masked(change.after),
        note=str(change.note),
        reason=str(change.reason),
        request_id=trace.request_id or trace.task_id,
        address=trace.address,
    )


def record_lost_tokens(actor: Actor, connectors: models.QuerySet[Connector]) -> None:
    """For connectors that are about to be deleted: their tokens go with them, and stay valid at the provider."""
    tokens = Token.objects.filter(connector__in=connectors).exclude(state=Token.State.REVOKED)
    rows = tokens.select_related("connector__project", "connector__integration_type").defer("connector__source")
    note = "Its connector was deleted. It was not revoked: at the provider it stays valid."
    record_events(actor, "token.forgotten", [Change(row, {"account": row.account}, note=note) for row in rows])


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two mappings cut down to the keys whose values differ: what an event should show."""
    keys = [key for key in after if before.get(key) != after[key]]
    return {key: before.get(key) for key in keys}, {key: after[key] for key in keys}


def _connector(target: models.Model) -> Connector | None:
    """The connector that the target is or belongs to, as tokens and consent links do."""
    found = target if isinstance(target, Connector) else getattr(target, "connector", None)
    return found if isinstance(found, Connector) else None


def _project_id(target: models.Model) -> int | None:
    if isinstance(target, Project):
        return target.pk
    connector = _connector(target)
    return connector.project_id if connector else getattr(target, "project_id", None)


def _workspace_id(target: models.Model) -> int | None:
    """Of the target itself, or of its project where that is at hand; asking for it would cost a query each."""
    if isinstance(target, Workspace):
        return target.pk
    if (own := getattr(target, "workspace_id", None)) is not None:
        return int(own)
    connector = _connector(target)
    project = connector.project if connector else getattr(target, "project", None)
    return project.workspace_id if isinstance(project, Project) else None


def _label(target: models.Model) -> str:
    connector = _connector(target)
    if connector is None:
        return str(target)
    place = f"{connector.integration_type_id} in {connector.project}"
    return place if connector is target else f"{target._meta.verbose_name} of {place}"


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    shown = {
        key: ("set" if value else "not set") if isinstance(value, Sealed) else value for key, value in values.items()
    }
    found: dict[str, Any] = plain(shown)  # the digest is of what a database gives back
    return found

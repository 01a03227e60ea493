"""Pull: show how Base44 differs from what the portal declares, and take it in, all or one by one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence

from django.db import transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.base44.client import Base44Client
from connectors.core.errors import Refused
from connectors.core.policy import PolicyNote
from connectors.core.pull import PullChange, make_pull
from connectors.flows.compare import declared_specs, registered_state, rules_of
from connectors.flows.declare import declare, undeclare
from connectors.flows.events import record_event
from connectors.flows.observe import observe
from connectors.flows.plan import look_at
from connectors.flows.policies import Proposal, notes_of
from connectors.models import Connector, Project, SyncRun, SyncStep


def show_pull(project: Project, client: Base44Client, actor: Actor) -> tuple[PullChange, ...]:
    """How Base44 differs this moment; what it said is stored on the way. Raises ApiError when it cannot be read."""
    observe({project: look_at(project, client)}, actor, timezone.now())
    return stored_pull(project)


def stored_pull(project: Project) -> tuple[PullChange, ...]:
    """How Base44 differed when it was last read; nothing when it never was."""
    project.refresh_from_db(fields=["stripe_mode", "synced_at"])
    if project.synced_at is None:
        return ()
    rows = list(project.connectors.all())
    return make_pull(declared_specs(rows), registered_state(project, rows), rules=rules_of(project.workspace))


def policy_notes(project: Project, changes: Sequence[PullChange]) -> dict[str, tuple[PolicyNote, ...]]:
    """By type, what the policies say of taking these changes in. What they stop is refused when it is taken in."""
    after = {change.type: change.scopes_after for change in changes if not change.destructive}
    declared = project.connectors.declared().filter(integration_type_id__in=list(after))
    before = dict(declared.values_list("integration_type_id", "scopes"))
    return notes_of([Proposal(project, after, before)])[project.pk]


def pull_fingerprint(changes: Sequence[PullChange]) -> str:
    """Changes when what is shown changes: a form carries it, so that nobody takes in what they did not see."""
    told = [[c.type, c.kind, c.added, c.removed, c.scopes_after] for c in changes]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@transaction.atomic
def accept_pull(
    project: Project, changes: Sequence[PullChange], types: Collection[str] | None, actor: Actor
) -> SyncRun:
    """Takes the shown `changes` of `types` into the portal, all or none; the run's steps say what was done.

    `types` None means all but those that would take a connector out of the portal: these must be named.
    Raises Refused when the portal or what it knows of Base44 has changed since they were shown.
    """
    if tuple(changes) != stored_pull(project):
        raise Refused("What differs at Base44 has changed since it was shown. Nothing was taken in: look again.")
    wanted = {change.type for change in changes if not change.destructive} if types is None else set(types)
    if unknown := wanted - {change.type for change in changes}:
        raise Refused(f"Nothing differs for {', '.join(sorted(unknown))}.")
    run = _open(project, actor)
    steps = [_take(run, place, change, change.type in wanted, actor) for place, change in enumerate(changes)]
    SyncStep.objects.bulk_create(steps)
    left = sum(step.state == SyncStep.State.SKIPPED for step in steps)
    run.message = f"{len(steps) - left} taken in, {left} left as they are"
    run.save(update_fields=["message"])
    record_event(actor, "project.pulled", project, after={"types": sorted(wanted)})
    return run


def _open(project: Project, actor: Actor) -> SyncRun:
    now = timezone.now()
    return SyncRun.objects.create(
        project=project,
        kind=SyncRun.Kind.PULL,
        state=SyncRun.State.DONE,
        user_id=actor.user_id,
        actor_label=actor.label,
        door=actor.door,
        started_at=now,
        finished_at=now,
    )


def _take(run: SyncRun, place: int, change: PullChange, wanted: bool, actor: Actor) -> SyncStep:
    step = SyncStep(
        run=run,
        position=place,
        type=change.type,
        action=change.kind.value,
        reason=change.reason,
        state=SyncStep.State.DONE if wanted else SyncStep.State.SKIPPED,
        message="" if wanted else "Left as it is.",
    )
    row = Connector.objects.filter(project=run.project, integration_type_id=change.type).first()
    step.before = {"scopes": row.scopes if row else []}
    if not wanted:
        return step
    if change.destructive:
        if row is not None:
            undeclare(row, actor)
        return step
    config = row.connection_config if row else {}
    declare(run.project, change.type, change.scopes_after, config, actor, check_config=False)
    step.after = {"scopes": list(change.scopes_after)}
    return step

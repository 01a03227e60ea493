"""Plan: look at Base44 now, and say what applying would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.utils import timezone

from connectors.core.actions import fingerprint
from connectors.core.actor import Actor
from connectors.core.base44.client import Base44Client
from connectors.core.catalog import ConfigField
from connectors.core.errors import CredentialError
from connectors.core.plan import Action, Plan, make_plan
from connectors.core.policy import PolicyNote
from connectors.core.specs import RegisteredState
from connectors.flows.compare import declared_specs, registered_state, rules_of
from connectors.flows.observe import observe
from connectors.flows.policies import Proposal, notes_of
from connectors.models import Connector, IntegrationType, Project, Workspace


def show_plan(project: Project, client: Base44Client, actor: Actor) -> Plan:
    """The plan against what Base44 says this moment, which is stored on the way. Sets nothing at Base44.

    Raises ApiError when Base44 cannot be read: a plan from an old look would promise what may not be so.
    """
    state = look_at(project, client)
    observe({project: state}, actor, timezone.now())
    return plan_against(project, state)


def stored_plan(project: Project, connectors: Sequence[Connector] | None = None) -> Plan | None:
    """The plan against what Base44 was last seen to have, without asking it; None when it was never seen."""
    if project.synced_at is None:
        return None
    rows = list(project.connectors.all()) if connectors is None else connectors
    return _plan(project, registered_state(project, rows), rows)


def stored_plans(projects: Sequence[Project]) -> dict[int, Plan | None]:
    """`stored_plan` of many projects by their ids, in two queries however many there are; workspaces must be loaded."""
    rows: dict[int, list[Connector]] = {project.pk: [] for project in projects}
    for row in Connector.objects.filter(project__in=list(projects)).defer("source"):
        rows[row.project_id].append(row)
    offered = _offered()
    seen = [project for project in projects if project.synced_at]
    plans = {
        project: _made(project, registered_state(project, rows[project.pk]), rows[project.pk], offered)
        for project in seen
    }
    judged = _judged(plans)
    return {project.pk: judged.get(project.pk) for project in projects}


def look_at(project: Project, client: Base44Client) -> RegisteredState:
    """What Base44 says of the project now. A refused credential is noted on the workspace before it is raised."""
    try:
        return client.registered_state(project.app_id)
    except CredentialError as error:
        if error.status == 401:
            Workspace.objects.filter(pk=project.workspace_id).update(
                credential_state=Workspace.CredentialState.REFUSED, credential_checked_at=timezone.now()
            )
        raise


def plan_against(project: Project, state: RegisteredState) -> Plan:
    """The plan that takes `state` to what the portal declares now."""
    return _plan(project, state, list(project.connectors.all()))


def _plan(project: Project, state: RegisteredState, rows: Sequence[Connector]) -> Plan:
    return _judged({project: _made(project, state, rows, _offered())})[project.pk]


def _made(
    project: Project, state: RegisteredState, rows: Sequence[Connector], offered: Mapping[str, Sequence[ConfigField]]
) -> tuple[Plan, RegisteredState]:
    told = [row for row in rows if row.last_set_scopes is not None and row.consent == Connector.Consent.NONE]
    plan = make_plan(
        declared_specs(rows),
        state,
        rules=rules_of(project.workspace),
        offered=offered,
        known_config={row.integration_type_id: row.last_set_config or {} for row in told},
        last_set={row.integration_type_id: row.last_set_scopes or [] for row in told},
        acting_account=project.workspace.credential_account,
    )
    return plan, state


def _judged(plans: Mapping[Project, tuple[Plan, RegisteredState]]) -> dict[int, Plan]:
    """The plans with what the policies say; a few queries for all of them, one while no rule is in force."""
    changes = [Proposal(project, _after(plan), _before(plan)) for project, (plan, _) in plans.items()]
    notes = notes_of(changes)
    return {project.pk: _with_notes(plan, state, notes[project.pk]) for project, (plan, state) in plans.items()}


def _after(plan: Plan) -> dict[str, Sequence[str]]:
    """What each connector that is set would have at Base44."""
    return {action.type: action.scopes for action in plan.actions if not action.destructive}


def _before(plan: Plan) -> dict[str, Sequence[str]]:
    """What those that are there already have, in the spelling in which they are set where that means the same."""
    return {
        action.type: [*(scope for scope in action.scopes if scope not in action.added), *action.removed]
        for action in plan.actions
        if action.status_before and not action.destructive
    }


def _with_notes(plan: Plan, state: RegisteredState, notes: Mapping[str, tuple[PolicyNote, ...]]) -> Plan:
    """What a rule stops gets a problem, so that it is not applied and the rest of the plan is."""
    if not notes:
        return plan
    actions = tuple(
        action if action.destructive else _with_problem(replace(action, policy=notes.get(action.type, ())))
        for action in plan.actions
    )
    return replace(plan, actions=actions, fingerprint=fingerprint(state, actions))


def _with_problem(action: Action) -> Action:
    stopped = [note.text for note in action.policy if note.stops]
    return replace(action, problem=" ".join(filter(None, [action.problem, *stopped])))


def _offered() -> Mapping[str, Sequence[ConfigField]]:
    """Every type of the catalogue, shipped or named by Base44, with the settings that it wants."""
    rows = IntegrationType.objects.filter(is_known=True).values_list("slug", "connection_config_fields")
    return {slug: [ConfigField(**field) for field in fields] for slug, fields in rows}

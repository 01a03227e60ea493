"""Write down what Base44 was seen to have, for many projects at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.scopes import ScopeRules
from connectors.core.specs import STRIPE, RegisteredConnector, RegisteredState
from connectors.flows import ledger
from connectors.flows.catalogue import ensure_types
from connectors.flows.compare import RECOMPUTED, recompute, rules_of
from connectors.flows.events import Change, record_events
from connectors.models import Connector, Project, Token

OBSERVED = ["registered_status", "registered_scopes", "registered_account"]


@dataclass(slots=True)
class Observation:
    """What one look at a project changed: integration types by what happened to them at Base44."""

    project: Project
    appeared: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    total: int = 0

    def __bool__(self) -> bool:
        return bool(self.appeared or self.changed or self.gone)

    def in_words(self) -> str:
        """`4 connectors at Base44; new: slack; changed: gmail`."""
        parts = [f"{self.total} connector{'' if self.total == 1 else 's'} at Base44"]
        for label, types in (("new", self.appeared), ("changed", self.changed), ("gone", self.gone)):
            if types:
                parts.append(f"{label}: {', '.join(types)}")
        return "; ".join(parts) if len(parts) > 1 else f"{parts[0]}; nothing changed"


def observe(
    states: Mapping[Project, RegisteredState],
    actor: Actor,
    now: dt.datetime,
    *,
    through: str = "project.observed",
    runs: Mapping[int, int] | None = None,
) -> dict[int, Observation]:
    """Stores the registered states and what follows from them; by project id, what changed.

    The ledger's history names what the change came `through`, and the sync run that found it (`runs`, by project).

    A handful of queries however many projects there are. An event is recorded for a project in which something
    changed. The projects' workspaces must be loaded.
    """
    with transaction.atomic():
        ensure_types({row.type for state in states.values() for row in state.connectors} | _stripe_types(states))
        by_project = _rows_by_project(states)
        batch = _Batch(now, _holding_a_token(states))
        seen = {
            project.pk: batch.add(project, state, by_project.get(project.pk, {})) for project, state in states.items()
        }
        ledger.note_gone(batch.deleted, actor, through, now=now)
        batch.save(states)
        ledger.note(batch.written, actor, through, now=now, runs=runs)
        record_events(actor, "project.observed", [_change(found) for found in seen.values() if found])
    return seen


def _stripe_types(states: Mapping[Project, RegisteredState]) -> set[str]:
    return {STRIPE} if any(state.stripe_mode for state in states.values()) else set()


def _rows_by_project(projects: Iterable[Project]) -> dict[int, dict[str, Connector]]:
    found: dict[int, dict[str, Connector]] = {}
    ids = sorted(project.pk for project in projects)
    # Locked, so that a declaration saved meanwhile waits and computes its verdict on what is written here; projects
    # first and everything by its key, as imports, readings and the ledger do: otherwise each could wait for the other.
    list(Project.objects.select_for_update(of=("self",), no_key=True).filter(pk__in=ids).order_by("pk").only("pk"))
    rows = Connector.objects.select_for_update(of=("self",)).defer("source").filter(project__in=ids)
    for row in rows.order_by("pk"):
        found.setdefault(row.project_id, {})[row.integration_type_id] = row
    return found


def _holding_a_token(projects: Iterable[Project]) -> set[int]:
    """Connectors that nobody asks for and whose token still opens something: they must not go out of sight."""
    rows = Token.objects.exclude(state=Token.State.REVOKED)
    found = rows.filter(connector__project__in=list(projects), connector__is_declared=False)
    return set(found.values_list("connector_id", flat=True))


class _Batch:
    """Collects what is to be created, updated and deleted, so that a fleet costs a few statements."""

    def __init__(self, now: dt.datetime, holding: set[int]) -> None:
        self.now, self._holding = now, holding
        self.created: list[Connector] = []
        self.updated: list[Connector] = []
        self.deleted: list[int] = []
        self._rules: dict[int, ScopeRules] = {}

    def add(self, project: Project, state: RegisteredState, rows: dict[str, Connector]) -> Observation:
        seen = Observation(project)
        listed = _listed(project, state, rows)
        seen.total = len(listed)
        for type_, registered in listed.items():
            if type_ not in rows:
                self._create(project, registered)
                seen.appeared.append(type_)
        touched = []
        for type_, row in rows.items():
            before = _observed(row)
            _take_over(row, listed.get(type_))
            if _observed(row) != before:
                _bucket(seen, row, had=before[1] is not None).append(type_)
            if not row.is_declared and row.registered_scopes is None and row.pk not in self._holding:
                self.deleted.append(row.pk)
            else:
                touched.append((row, (before, _verdict(row), row.registered_at is None)))
        self._judge(project, touched)
        return seen

    @property
    def written(self) -> list[int]:
        """The connectors that are new or differ from before, once saved."""
        return [row.pk for row in (*self.created, *self.updated)]

    def save(self, projects: Iterable[Project]) -> None:
        Connector.objects.filter(pk__in=self.deleted).delete()
        Connector.objects.bulk_create(self.created)
        self._save_updated()
        touched = list(projects)
        Connector.objects.filter(project__in=touched).update(registered_at=self.now)
        for mode in {project.stripe_mode for project in touched}:
            same = [project.pk for project in touched if project.stripe_mode == mode]
            Project.objects.filter(pk__in=same).update(stripe_mode=mode, synced_at=self.now, sync_error="")
        for project in touched:  # who holds the instance must not go on with what was known before
            project.synced_at, project.sync_error = self.now, ""

    def _save_updated(self) -> None:
        """As `bulk_update`, whose CASE for each field and row takes seconds for a fleet's first sync.

        The rows are there and locked by this transaction, so each INSERT meets its row and becomes an UPDATE.
        """
        fields = [*OBSERVED, *RECOMPUTED]
        shells = [
            Connector(
                pk=row.pk,
                project_id=row.project_id,
                integration_type_id=row.integration_type_id,
                **{field: getattr(row, field) for field in fields},
            )
            for row in self.updated
        ]
        Connector.objects.bulk_create(
            shells, batch_size=500, update_conflicts=True, unique_fields=["pk"], update_fields=fields
        )

    def _create(self, project: Project, registered: RegisteredConnector | None) -> None:
        assert registered is not None  # noqa: S101 - only listed types get here
        row = Connector(project=project, integration_type_id=registered.type, is_declared=False, registered_at=self.now)
        _take_over(row, registered)
        recompute([row], self._rules_of(project))
        self.created.append(row)

    def _judge(self, project: Project, touched: Sequence[tuple[Connector, tuple[object, object, bool]]]) -> None:
        for row, _ in touched:
            row.registered_at = self.now
        recompute([row for row, _ in touched], self._rules_of(project))
        for row, (before, verdict, first_look) in touched:
            if first_look or _observed(row) != before or _verdict(row) != verdict:
                self.updated.append(row)

    def _rules_of(self, project: Project) -> ScopeRules:
        if project.workspace_id not in self._rules:
            self._rules[project.workspace_id] = rules_of(project.workspace)
        return self._rules[project.workspace_id]


def _listed(
    project: Project, state: RegisteredState, rows: Mapping[str, Connector]
) -> dict[str, RegisteredConnector | None]:
    """What Base44 has by type, Stripe among it. What could not be learnt stays as it was last seen."""
    listed: dict[str, RegisteredConnector | None] = {row.type: row for row in state.connectors}
    if state.stripe_mode is not None:
        project.stripe_mode = state.stripe_mode
    if project.stripe_mode in (Project.StripeMode.SANDBOX, Project.StripeMode.LIVE):
        listed[STRIPE] = RegisteredConnector(STRIPE, project.stripe_mode)
    if state.odd_rows:
        for type_, row in rows.items():
            if row.registered is not None:
                listed.setdefault(type_, row.registered)
    return listed


def _take_over(row: Connector, registered: RegisteredConnector | None) -> None:
    row.registered_status = registered.status[:50] if registered else ""
    row.registered_scopes = list(registered.scopes) if registered else None
    row.registered_account = registered.account[:200] if registered else ""


def _bucket(seen: Observation, row: Connector, *, had: bool) -> list[str]:
    if row.registered_scopes is None:
        return seen.gone
    return seen.changed if had else seen.appeared


def _observed(row: Connector) -> tuple[str, list[str] | None, str]:
    return row.registered_status, row.registered_scopes, row.registered_account


def _verdict(row: Connector) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in RECOMPUTED)


def _change(seen: Observation) -> Change:
    after = {"new": seen.appeared, "changed": seen.changed, "gone": seen.gone}
    return Change(seen.project, after={k: v for k, v in after.items() if v})

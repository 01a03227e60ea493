"""Keep the ledger's history: open a period when a side begins to list a scope, end it when it stops."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.core.ledger import ScopeVerdict, Side, Sides
from connectors.models import Connector, ScopePeriod
from connectors.models.ledger import MAX_SCOPE

Place = tuple[int, str]
"""A project's id and an integration type: a connector, also one that was deleted and added again."""
Key = tuple[str, str]
"""A side and a scope, "" for the side itself."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What made the change: the event's verb, who acts, when, and by project the sync run that found it."""

    through: str
    by: str
    at: dt.datetime
    runs: Mapping[int, int]


class History:
    """The open periods of some connectors, and what is to be opened and ended among them."""

    def __init__(self, open_periods: Iterable[ScopePeriod]) -> None:
        self._open: dict[Place, dict[Key, ScopePeriod]] = defaultdict(dict)
        for period in open_periods:
            if period.project_id is not None:
                self._open[period.project_id, period.type_slug][period.side, period.scope] = period
        self._ended: list[ScopePeriod] = []
        self._begun: list[ScopePeriod] = []
        self._since: dict[tuple[Place, str], dt.datetime] = {}

    @classmethod
    def of(cls, places: Iterable[Place]) -> History:
        """With the open periods of these connectors."""
        wanted = set(places)
        rows = ScopePeriod.objects.open().order_by().filter(project__in={project for project, _ in wanted})
        rows = rows.filter(type_slug__in={type_ for _, type_ in wanted})
        return cls(row for row in rows if (row.project_id, row.type_slug) in wanted)

    def take(
        self, connector: Connector, verdicts: Iterable[ScopeVerdict], sides: Sides, token_account: str, cause: Cause
    ) -> None:
        """Notes what differs between the open periods and what the sides list now. Nothing is written yet."""
        place = (connector.project_id, connector.integration_type_id)
        wanted = _listed(connector, tuple(verdicts), sides, token_account)
        known = self._open[place]
        for key, period in list(known.items()):
            if key not in wanted or (period.account, period.is_listed) != wanted[key]:
                self._ended.append(known.pop(key))
        for key, (account, is_listed) in wanted.items():
            if key not in known:
                known[key] = _period(connector, key, account, cause, is_listed=is_listed)
                self._begun.append(known[key])
        for (_, scope), period in known.items():
            self._since[place, scope] = min(self._since.get((place, scope), period.since), period.since)

    def since(self, connector: Connector, scope: str, default: dt.datetime) -> dt.datetime:
        """When the first of the sides that list the scope now began to; `take` comes first."""
        return self._since.get(((connector.project_id, connector.integration_type_id), scope), default)

    def save(self, cause: Cause) -> None:
        """Writes what `take` noted: three statements at most for each run that found something."""
        by_run: dict[int | None, list[int]] = defaultdict(list)
        for period in self._ended:
            by_run[cause.runs.get(period.project_id or 0)].append(period.pk)
        for run, ids in by_run.items():
            ScopePeriod.objects.filter(pk__in=ids).update(
                until=cause.at, ended_through=cause.through, ended_by=cause.by[:200], ended_run_id=run
            )
        ScopePeriod.objects.bulk_create(self._begun, batch_size=500)
        self._ended, self._begun = [], []

    def end_all(self, cause: Cause) -> None:
        """Ends every open period: the connectors are about to go."""
        self._ended = [period for periods in self._open.values() for period in periods.values()]
        self._open.clear()
        self.save(cause)


def _listed(
    connector: Connector, verdicts: tuple[ScopeVerdict, ...], sides: Sides, token_account: str
) -> dict[Key, tuple[str, bool]]:
    """What is so now; for the side itself, its account and whether it has the connector at all."""
    accounts = {Side.REGISTERED: connector.registered_account, Side.GRANTED: token_account}
    found: dict[Key, tuple[str, bool]] = {}
    for side in Side:
        if getattr(sides, side.value) is None:
            continue
        found[side.value, ""] = (accounts.get(side, "")[:254], _is_there(connector, side))
        for verdict in verdicts:
            if getattr(verdict, side.value):
                found[side.value, verdict.scope[:MAX_SCOPE]] = ("", True)
    return found


def _is_there(connector: Connector, side: Side) -> bool:
    """Whether the side has the connector at all: one that nobody asks for is not an empty declaration."""
    if side is Side.DECLARED:
        return connector.is_declared
    if side is Side.REPOSITORY:
        return connector.repository_scopes is not None
    return connector.registered_scopes is not None if side is Side.REGISTERED else True


def _period(connector: Connector, key: Key, account: str, cause: Cause, *, is_listed: bool) -> ScopePeriod:
    side, scope = key
    return ScopePeriod(
        project_id=connector.project_id,
        project_label=connector.project.name,
        type_slug=connector.integration_type_id,
        side=side,
        scope=scope,
        account=account,
        is_listed=is_listed,
        since=cause.at,
        begun_through=cause.through[:50],
        begun_by=cause.by[:200],
        begun_run_id=cause.runs.get(connector.project_id),
    )

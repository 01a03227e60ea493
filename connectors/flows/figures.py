"""The portal in numbers, for machines that watch it and for the operations page. Cheap: asked every few seconds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Min, QuerySet

from connectors.flows.vitals import Vital, vitals
from connectors.models import (
    AlertDelivery,
    Connector,
    Heartbeat,
    Incident,
    Project,
    Repository,
    RepositoryRun,
    Severity,
    SyncRun,
    Token,
)

LATELY = dt.timedelta(hours=1)
QUERIES = 12
"""Whatever there is to count."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Work of one kind in one state; `oldest` is when the first of it was asked for."""

    kind: str
    state: str
    count: int
    oldest: dt.datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """What `figures` found at one moment. Mappings go from a state, kind or severity to a number."""

    at: dt.datetime
    vitals: list[Vital]
    processes: list[Heartbeat]
    connectors: dict[str, int]
    tokens: dict[str, int]
    queues: list[Queue]
    finished: dict[tuple[str, str], int]
    """Work that ended within `LATELY`, by kind and state."""
    incidents: dict[str, int]
    failing_projects: int
    failing_repositories: int
    waiting_alerts: int

    @property
    def waiting(self) -> int:
        """Work that no worker has begun."""
        return sum(queue.count for queue in self.queues if queue.state == "queued")

    def oldest(self, state: str) -> dt.datetime | None:
        """When the oldest work in this state was asked for."""
        return min((queue.oldest for queue in self.queues if queue.state == state), default=None)


def figures(now: dt.datetime) -> Figures:
    """Counts everything once, in `QUERIES` queries."""
    processes = list(Heartbeat.objects.all())
    return Figures(
        at=now,
        vitals=vitals(now, processes),
        processes=processes,
        connectors=_by(Connector.objects.all(), "sync_state", Connector.SyncState.values),
        tokens=_by(Token.objects.all(), "state", Token.State.values),
        queues=[*_queues(SyncRun.objects.open(), ""), *_queues(RepositoryRun.objects.open(), "repository_")],
        finished=_finished(SyncRun.objects.all(), "", now) | _finished(RepositoryRun.objects.all(), "repository_", now),
        incidents=_incidents(),
        failing_projects=Project.objects.exclude(sync_error="").count(),
        failing_repositories=Repository.objects.filter(state=Repository.State.FAILING).count(),
        waiting_alerts=AlertDelivery.objects.due(now).count(),
    )


def _by(rows: QuerySet[Connector] | QuerySet[Token], field: str, values: Iterable[str]) -> dict[str, int]:
    """How many rows there are of each value; 0 for those that no row has."""
    counted = dict(rows.order_by().values_list(field).annotate(Count("pk")))
    return dict.fromkeys(values, 0) | counted


def _incidents() -> dict[str, int]:
    counted = dict(Incident.objects.open().order_by().values_list("severity").annotate(Count("pk")))
    return {severity.name.lower(): counted.get(severity.value, 0) for severity in Severity}


def _queues(rows: QuerySet[SyncRun] | QuerySet[RepositoryRun], prefix: str) -> list[Queue]:
    grouped = rows.order_by().values_list("kind", "state").annotate(Count("pk"), Min("created_at"))
    return [Queue(f"{prefix}{kind}", state, count, oldest) for kind, state, count, oldest in grouped]


def _finished(
    rows: QuerySet[SyncRun] | QuerySet[RepositoryRun], prefix: str, now: dt.datetime
) -> dict[tuple[str, str], int]:
    # By when they were asked for, too: there is an index on that, and work that took longer is rare.
    lately = rows.filter(created_at__gte=now - 2 * LATELY, finished_at__gte=now - LATELY)
    grouped = lately.order_by().values_list("kind", "state").annotate(Count("pk"))
    return {(f"{prefix}{kind}", state): count for kind, state, count in grouped}

"""Who hears of which incidents: queues a message for each route that wants one. `flows.alerts` sends them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.models import AlertDelivery, AlertRoute, Incident, Project

Phase, State = AlertDelivery.Phase, AlertDelivery.State

FLAPPING = dt.timedelta(minutes=10)
"""What comes back within this time was never over: the end of an incident is told of only after it."""
CHUNK = 500


class Concern(Protocol):
    """What routes look at in an incident."""

    kind: str
    severity: int
    workspace_id: int | None
    project_id: int | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What one route wants to hear of; empty conditions hold always.

    A route that names places hears of what is there, and of what its projects suffer from though it is not theirs
    alone: their workspace's credential, an OAuth client. Whoever may run such a route may see these incidents too.
    """

    route: AlertRoute
    kinds: frozenset[str]
    min_severity: int
    workspaces: frozenset[int]
    projects: Mapping[int, int]
    """Its projects with their workspaces."""
    environments: frozenset[str]

    def wants(self, item: Concern, environment: str | None) -> bool:
        """Whether an incident of this environment, None where it has none, belongs on the route."""
        if item.severity < self.min_severity or (self.kinds and item.kind not in self.kinds):
            return False
        if self.environments and environment is not None and environment not in self.environments:
            return False
        return self._is_here(item)

    def _is_here(self, item: Concern) -> bool:
        is_local = self.route.is_local or self.workspaces or self.projects
        if not is_local or (item.workspace_id is not None and item.workspace_id in self.workspaces):
            return True
        if item.project_id is not None:
            return item.project_id in self.projects
        if item.kind not in Incident.FELT_BY_PROJECTS:
            return False
        return item.workspace_id is None or item.workspace_id in self.projects.values()


def wishes(routes: Iterable[AlertRoute] | None = None) -> list[Wish]:
    """What the routes in use want, or these; in a fixed number of queries."""
    rows = AlertRoute.objects.in_use() if routes is None else routes
    by_key = {route.pk: route for route in rows}
    workspaces = _chosen(AlertRoute.workspaces.through.objects, by_key, "workspace_id")
    projects = _chosen(AlertRoute.projects.through.objects, by_key, "project_id")
    chosen = {pk for keys in projects.values() for pk in keys}
    homes = dict(Project.objects.filter(pk__in=chosen).values_list("pk", "workspace_id")) if chosen else {}
    return [
        Wish(
            route,
            frozenset(route.kinds),
            route.min_severity,
            frozenset(workspaces.get(pk, ())),
            {project: homes[project] for project in projects.get(pk, ()) if project in homes},
            frozenset(route.environments),
        )
        for pk, route in by_key.items()
    ]


def tell_opened(
    incidents: Sequence[Incident], environments: Mapping[int, str], now: dt.datetime, found: Sequence[Wish]
) -> int:
    """Queues a message that they began for every route that wants it; returns how many. Quiet hours come later.

    `environments` are those of their projects, `found` what the routes want (`wishes`).
    """
    rows = (
        AlertDelivery(route=wish.route, incident=incident, phase=Phase.OPENED, next_attempt_at=now)
        for wish in found
        for incident in incidents
        if wish.wants(incident, environments.get(incident.project_id or 0))
    )
    return len(AlertDelivery.objects.bulk_create(rows, batch_size=CHUNK))


def tell_over(incidents: Collection[int], now: dt.datetime) -> int:
    """Queues a message that they are over for the routes which were told, or are being told, that they began."""
    told = 0
    for keys in chunks(incidents):
        openings = AlertDelivery.objects.filter(incident__in=keys, phase=Phase.OPENED, route__says_recovery=True)
        rows = openings.exclude(state__in=[State.DROPPED, State.GIVEN_UP]).order_by().values_list("route", "incident")
        told += len(
            AlertDelivery.objects.bulk_create(
                AlertDelivery(
                    route_id=route, incident_id=incident, phase=Phase.RECOVERED, next_attempt_at=now + FLAPPING
                )
                for route, incident in rows
            )
        )
    return told


def take_back_over(incidents: Collection[int], now: dt.datetime) -> None:
    """They came back at once: nobody hears that they were over, and who has heard nothing yet hears that they began."""
    for keys in chunks(incidents):
        rows = AlertDelivery.objects.filter(incident__in=keys)
        rows.filter(phase=Phase.RECOVERED, state=State.QUEUED).delete()
        rows.filter(phase=Phase.OPENED, state=State.DROPPED, attempts=0, route__is_enabled=True).update(
            state=State.QUEUED, next_attempt_at=now
        )


def chunks(keys: Iterable[int]) -> Iterator[list[int]]:
    """The keys in portions that a statement can take."""
    whole = list(keys)
    for start in range(0, len(whole), CHUNK):
        yield whole[start : start + CHUNK]


def _chosen(through: object, routes: Collection[int], column: str) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    rows = through.filter(alertroute__in=list(routes))  # type: ignore[attr-defined]
    for route, key in rows.values_list("alertroute_id", column):
        found.setdefault(route, set()).add(key)
    return found

"""/metrics in Prometheus' format, for whoever knows METRICS_TOKEN; without one there is no such page.

Everything is counted when it is asked for, from the database: web processes keep no counters of their own, so any of
them gives the same answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from connectors import __version__
from connectors.flows.figures import Figures, figures
from connectors.flows.operations import TrailState, trail_state

PATH = "/metrics"
PREFIX = "connector_portal"


class MetricsMiddleware:
    """Answers /metrics ahead of the check of the Host header and of the redirect to HTTPS, as /healthz is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the question for figures, pass on everything else."""
        is_asked = request.path_info == PATH and request.method in ("GET", "HEAD")
        return metrics(request) if is_asked and settings.METRICS_TOKEN else self._get_response(request)


def metrics(request: HttpRequest) -> HttpResponse:
    """The figures; 401 for whoever does not know the token."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer", "Cache-Control": "no-store"})
    registry = CollectorRegistry()
    registry.register(PortalCollector(figures(timezone.now()), trail_state()))
    return HttpResponse(
        generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"}
    )


class PortalCollector(Collector):
    """Figures as Prometheus wants them."""

    def __init__(self, found: Figures, trail: TrailState) -> None:
        self._found, self._trail = found, trail

    def collect(self) -> Iterator[Metric]:
        """Every family, also those that count nothing just now."""
        found = self._found
        yield InfoMetricFamily(PREFIX, "The version that answers.", {"version": __version__})
        yield from self._vitals()
        yield _by("connectors", "Connectors by how they compare.", ["state"], _rows(found.connectors))
        yield _by("tokens", "Tokens held by the portal, by state.", ["state"], _rows(found.tokens))
        yield _by("incidents_open", "Open incidents by severity.", ["severity"], _rows(found.incidents))
        yield from self._queues()
        finished = [([kind, state], count) for (kind, state), count in found.finished.items()]
        yield _by("runs_last_hour", "Work that ended in the last hour.", ["kind", "state"], finished)
        yield _one("projects_failing", "Projects that could not be read.", found.failing_projects)
        yield _one("repositories_failing", "Repositories that cannot be read.", found.failing_repositories)
        yield from self._trail_families()
        yield _one("alerts_due", "Alerts that are due and not sent.", found.waiting_alerts)

    def _vitals(self) -> Iterator[Metric]:
        found = self._found
        yield _by("healthy", "1: the part works.", ["part"], [([v.name], int(v.is_well)) for v in found.vitals])
        ages = [([row.kind, row.name], (found.at - row.beat_at).total_seconds()) for row in found.processes]
        yield _by("heartbeat_age_seconds", "Since a process was heard of.", ["kind", "process"], ages)
        lags = [([row.name], row.lag) for row in found.processes if row.lag is not None]
        yield _by("queue_lag_seconds", "How long what was sent waited for a worker.", ["process"], lags)
        overdue = next((vital.seconds or 0.0 for vital in found.vitals if vital.name == "tokens"), 0.0)
        yield _one("token_refresh_overdue_seconds", "How long the oldest due token has waited.", overdue)

    def _trail_families(self) -> Iterator[Metric]:
        yield _one("trail_unsealed_events", "Events that no segment seals yet; counting ends.", self._trail.unsealed)
        yield _one("trail_faults", "Faults of the trail that nobody has explained.", self._trail.faults)
        checked = self._trail.checked_at
        yield _one(
            "trail_checked_timestamp_seconds",
            "When it was checked last, 0: never.",
            checked.timestamp() if checked else 0,
        )

    def _queues(self) -> Iterator[Metric]:
        queues, labels = self._found.queues, ["kind", "state"]
        counts = [([queue.kind, queue.state], queue.count) for queue in queues]
        yield _by("runs_open", "Work that waits or is under way.", labels, counts)
        ages = [([queue.kind, queue.state], (self._found.at - queue.oldest).total_seconds()) for queue in queues]
        yield _by("runs_open_oldest_seconds", "Since the oldest of it was asked for.", labels, ages)


def _rows(counts: dict[str, int]) -> list[tuple[list[str], int]]:
    return [([name], count) for name, count in counts.items()]


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _by(name: str, text: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family

"""What the operations page shows beside the figures: what was done last, what fails, and how the trail stands."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from connectors.flows.backup import last_backup
from connectors.models import (
    Event,
    Project,
    Repository,
    RepositoryRun,
    SyncRun,
    TokenRefresh,
    TrailCheck,
    TrailSegment,
    TrailStream,
)

SHOWN = 5
UNSEALED_COUNTED = 10_000
"""Counting what no segment seals yet ends there."""
QUERIES = 12


@dataclass(frozen=True, slots=True)
class Last:
    """When something was last done; `at` None: never. `note` says what it came to."""

    what: str
    at: dt.datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrailState:
    """How the trail stands. `unsealed` counts up to `UNSEALED_COUNTED`; `faults` are those nobody has explained."""

    segments: int
    sealed_at: dt.datetime | None
    unsealed: int
    checked_at: dt.datetime | None
    faults: int
    failing_streams: list[str]


@dataclass(frozen=True, slots=True)
class Operations:
    """One look at the portal."""

    lasts: list[Last]
    failing_projects: list[Project]
    failing_repositories: list[Repository]
    trail: TrailState


def operations() -> Operations:
    """Reads what is shown, in `QUERIES` queries."""
    return Operations(
        lasts=_lasts(),
        failing_projects=list(Project.objects.exclude(sync_error="").order_by("name")[:SHOWN]),
        failing_repositories=list(Repository.objects.filter(state=Repository.State.FAILING).order_by("name")[:SHOWN]),
        trail=trail_state(),
    )


def trail_state() -> TrailState:
    """How far the trail is sealed and what its checks found."""
    newest = TrailSegment.objects.light().order_by("-number").first()
    above = newest.last_id if newest else 0
    checked = TrailCheck.objects.order_by("-pk").values_list("finished_at", flat=True).first()
    failing = TrailStream.objects.filter(is_enabled=True, failures__gt=0)
    return TrailState(
        segments=newest.number if newest else 0,
        sealed_at=newest.sealed_at if newest else None,
        unsealed=Event.objects.filter(pk__gt=above).order_by()[:UNSEALED_COUNTED].count(),
        checked_at=checked,
        faults=sum(check.fault_count for check in TrailCheck.objects.unsettled()),
        failing_streams=list(failing.order_by("name").values_list("name", flat=True)[:SHOWN]),
    )


def _lasts() -> list[Last]:
    synced = Project.objects.exclude(synced_at=None).order_by("-synced_at").values_list("synced_at", flat=True).first()
    applied = SyncRun.objects.filter(kind=SyncRun.Kind.APPLY).exclude(finished_at=None).order_by("-pk").first()
    exports = RepositoryRun.objects.filter(kind=RepositoryRun.Kind.EXPORT).exclude(finished_at=None)
    exported = exports.order_by("-pk").first()
    refreshed = TokenRefresh.objects.order_by("-pk").first()
    backup = last_backup()
    return [
        Last("Project read at Base44", synced),
        Last("Plan applied", applied.finished_at, applied.get_state_display()) if applied else Last("Plan applied"),
        Last("Token refreshed", refreshed.at, refreshed.get_outcome_display())
        if refreshed
        else Last("Token refreshed"),
        Last("Repository written", exported.finished_at, exported.get_state_display())
        if exported
        else Last("Repository written"),
        Last("Backup", backup.at, str(backup.after.get("backup", ""))) if backup else Last("Backup"),
    ]

"""Whether what works in the background does its work: workers, scheduler, refreshes. For probes, figures and people."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings

from connectors.models import Heartbeat, Token


@dataclass(frozen=True, slots=True)
class Vital:
    """One part: whether it is well, and in a sentence how it is. `seconds` is what was measured, None: nothing."""

    name: str
    is_well: bool
    text: str
    seconds: float | None = None


def vitals(now: dt.datetime, processes: list[Heartbeat] | None = None) -> list[Vital]:
    """The parts that work in the background, in two queries. They may be unwell while pages are served very well."""
    processes = list(Heartbeat.objects.all()) if processes is None else processes
    return [_workers(processes, now), _scheduler(processes, now), _refreshes(now)]


def _workers(processes: list[Heartbeat], now: dt.datetime) -> Vital:
    patience = dt.timedelta(seconds=settings.WORKER_SILENT_AFTER)
    workers = [row for row in processes if row.kind == Heartbeat.Kind.WORKER]
    alive = [row for row in workers if row.beat_at > now - patience]
    latest = max((row.beat_at for row in workers), default=None)
    seconds = (now - latest).total_seconds() if latest else None
    if alive:
        return Vital("worker", True, f"{len(alive)} worker{'' if len(alive) == 1 else 's'} at work.", seconds)
    if seconds is None:
        return Vital("worker", False, "No worker has ever been heard of, so nothing is synced, applied or refreshed.")
    return Vital("worker", False, f"The last worker was heard of {words(seconds)} ago.", seconds)


def _scheduler(processes: list[Heartbeat], now: dt.datetime) -> Vital:
    row = next((row for row in processes if row.kind == Heartbeat.Kind.SCHEDULER), None)
    if row is None:
        return Vital("scheduler", False, "Nothing that the scheduler sends has ever come to a worker.")
    # What was late once, and what does not come at all.
    late = max(row.lag or 0.0, (now - row.beat_at).total_seconds())
    if late <= settings.SCHEDULER_LATE_AFTER:
        return Vital("scheduler", True, f"What was due came to a worker {words(row.lag or 0.0)} later.", late)
    return Vital("scheduler", False, f"What is due comes to workers late: {words(late)}.", late)


def _refreshes(now: dt.datetime) -> Vital:
    due = Token.objects.due(now).values_list("refresh_at", flat=True).first()
    if due is None:
        return Vital("tokens", True, "No token waits for its refresh.", 0.0)
    late = (now - due).total_seconds()
    if late <= settings.TOKEN_LATE_AFTER:
        return Vital("tokens", True, f"The oldest due token has waited {words(late)} for its refresh.", late)
    return Vital("tokens", False, f"A token has waited {words(late)} for its refresh.", late)


def words(seconds: float) -> str:
    """A duration as people say it: 0.4 → "less than a second", 90 → "90 seconds", 7200 → "2 hours"."""
    if seconds < 1:
        return "less than a second"
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}s"
    whole = int(seconds)
    return f"{whole} second{'' if whole == 1 else 's'}"

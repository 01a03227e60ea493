"""Say that a process lives: workers of themselves, the scheduler by what it sends."""

from __future__ import annotations

import datetime as dt

from connectors.models import Heartbeat

SCHEDULER_NAME = "scheduler"
EVERY = dt.timedelta(seconds=15)
FORGOTTEN_AFTER = dt.timedelta(days=1)
"""A worker that was killed cannot say goodbye; after this long nobody asks for it any more."""


def beat(kind: str, name: str, now: dt.datetime, *, version: str = "", lag: float | None = None) -> None:
    """Writes down that this process was heard of. A new name, or one that was silent for long, counts as started."""
    said = {"kind": kind, "version": version, "beat_at": now, "lag": lag}
    goes_on = Heartbeat.objects.filter(name=name, version=version, beat_at__gt=now - FORGOTTEN_AFTER)
    if not goes_on.update(**said):
        Heartbeat.objects.update_or_create(name=name, defaults={**said, "started_at": now})


def scheduler_beat(sent_at: dt.datetime | None, now: dt.datetime) -> None:
    """What the scheduler sent has come to a worker: both live, and this is how long it took."""
    lag = max(0.0, (now - sent_at).total_seconds()) if sent_at else None
    beat(Heartbeat.Kind.SCHEDULER, SCHEDULER_NAME, now, lag=lag)


def leave(name: str) -> None:
    """A process that ends in order is not missed."""
    Heartbeat.objects.filter(name=name).delete()


def prune(now: dt.datetime) -> int:
    """Forgets workers that have long been silent; how many. The scheduler is never forgotten: there should be one."""
    gone = Heartbeat.objects.filter(kind=Heartbeat.Kind.WORKER, beat_at__lt=now - FORGOTTEN_AFTER)
    return gone.delete()[0]

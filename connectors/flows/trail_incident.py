"""What is wrong with the trail, for those who are told of incidents."""

from __future__ import annotations

import datetime as dt

from connectors.flows.incident_sources import Wrong
from connectors.models import Incident, Severity, TrailCheck, TrailStream

KEY = "trail"
PATIENCE = dt.timedelta(minutes=15)
"""For how long a stream may fail before somebody hears of it."""
SHOWN = 10
"""Faults that the incident names; the command lists them all."""


def trail_incidents(now: dt.datetime) -> dict[str, Wrong]:
    """Everything about the trail that somebody has to hear of, by key."""
    return {item.key: item for item in (*_faults(), *_streams(now))}


def _faults() -> list[Wrong]:
    """One thing that is wrong as long as no later check of the same segments found everything in order."""
    checks = TrailCheck.objects.unsettled()
    if not checks:
        return []
    texts = list(dict.fromkeys(fault["text"] for check in checks for fault in check.faults))
    more = [] if len(texts) <= SHOWN else [f"And {len(texts) - SHOWN} more."]
    detail = "\n".join([*texts[:SHOWN], *more, "See all of it with: manage.py verify_audit_trail"])
    title = "The audit trail is not as it was written"
    return [Wrong(KEY, Incident.Kind.TRAIL, Severity.CRITICAL, title, detail)]


def _streams(now: dt.datetime) -> list[Wrong]:
    """Streams that get nothing through, those that were switched off for it too."""
    failing = TrailStream.objects.filter(failing_since__lte=now - PATIENCE).order_by("pk")
    return [
        Wrong(
            f"{KEY}:stream:{stream.pk}",
            Incident.Kind.TRAIL,
            Severity.WARNING,
            f"Audit trail stream failing: {stream.name}",
            f"{stream.last_error}{'' if stream.is_enabled else ' It was switched off.'}",
            is_terminal=not stream.is_enabled,
        )
        for stream in failing
    ]

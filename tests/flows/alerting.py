"""Incidents that begin and end as the watch would have it, and what alerts come of it."""

from __future__ import annotations

import datetime as dt

from connectors.flows.alert_routing import tell_opened, tell_over, wishes
from connectors.models import AlertDelivery, Incident

NOW = dt.datetime(2030, 3, 5, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


def begin(*incidents: Incident, now: dt.datetime = NOW) -> None:
    """They are open from now on."""
    tell_opened(incidents, {}, now, wishes())


def end(*incidents: Incident, now: dt.datetime = NOW) -> None:
    """They are over."""
    keys = [incident.pk for incident in incidents]
    Incident.objects.filter(pk__in=keys).update(closed_at=now)
    tell_over(keys, now)


def states() -> list[tuple[str, str]]:
    """Phase and state of each message."""
    return list(AlertDelivery.objects.order_by("phase", "state").values_list("phase", "state"))

"""Hours in which nobody wants to be disturbed: daily, in a time zone, also over midnight."""

from __future__ import annotations

import datetime as dt
import zoneinfo


def quiet_end(now: dt.datetime, start: dt.time, end: dt.time, zone: zoneinfo.ZoneInfo) -> dt.datetime | None:
    """When the quiet hours in which `now` falls are over, in UTC; None when it falls in none.

    `start` 22:00 and `end` 07:00 are a night: at 23:00 the answer is tomorrow's 07:00. Equal times are no hours at all.
    """
    local = now.astimezone(zone)
    clock, day = local.time(), local.date()
    if start < end:
        if not start <= clock < end:
            return None
    elif start == end or end <= clock < start:
        return None
    elif clock >= start:
        day += dt.timedelta(days=1)
    over = dt.datetime.combine(day, end, zone)
    if over.astimezone(dt.UTC) <= now:  # when clocks go back that time comes twice, and the first one is past
        over = over.replace(fold=1)
    return over.astimezone(dt.UTC)

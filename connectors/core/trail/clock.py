"""When events happened: now, but for samples, which are given a past. Nothing else may date an event."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ago: ContextVar[dt.timedelta] = ContextVar("trail_ago", default=dt.timedelta())


def event_time(now: dt.datetime) -> dt.datetime:
    """What an event that is recorded now has as its time."""
    return now - _ago.get()


@contextmanager
def dated_back(ago: dt.timedelta) -> Iterator[None]:
    """Events that are recorded inside say that they happened so long ago. For the demo's samples alone."""
    token = _ago.set(ago)
    try:
        yield
    finally:
        _ago.reset(token)

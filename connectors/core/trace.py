"""To which request or task whatever happens now belongs: read by the record of events and by log lines.

A context variable, because flows are called from many doors and would otherwise hand it through every signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

SENT_AT = "portal_sent_at"
"""The header of a task's message that says when it was sent, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Trace:
    """`request_id` names the request that it all began with, `task_id` the task; `address` is the caller's."""

    request_id: str = ""
    address: str = ""
    task_id: str = ""


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)
_NONE = Trace()


def current_trace() -> Trace:
    """The trace of what runs now; an empty one outside any request and task."""
    return _current.get() or _NONE


@contextmanager
def traced(trace: Trace) -> Iterator[Trace]:
    """Everything inside belongs to this request or task."""
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)

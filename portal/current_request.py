"""The request that is answered now, for log lines. Imports no application: logging is set up before there are any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest

_current: ContextVar[HttpRequest | None] = ContextVar("request", default=None)


@contextmanager
def answering(request: HttpRequest) -> Iterator[None]:
    """Everything inside happens for this request."""
    token = _current.set(request)
    try:
        yield
    finally:
        _current.reset(token)


def current_user_id() -> int | None:
    """Who makes the request that is answered now, where that is known already; never asks the database."""
    user = getattr(_current.get(), "_cached_user", None)
    return getattr(user, "pk", None)

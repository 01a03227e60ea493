"""Requests with a NUL in them, which no browser sends: PostgreSQL takes none in a text.

Forms refuse one in words. Where a view looks something up by a bare parameter, the database refuses it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponseBase
from django.views.defaults import bad_request

from connectors.admin.pages.frame import holds_nul


class NulMiddleware:
    """Answers 400 in place of an error that a NUL in the request has caused."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """None, so that it stays an error of ours, unless the request holds a NUL."""
        return bad_request(request, exception) if isinstance(exception, DataError) and _holds_nul(request) else None


def _holds_nul(request: HttpRequest) -> bool:
    return "\0" in request.path or holds_nul(request.GET) or holds_nul(request.POST)

"""What is far too large is refused before a byte of it is read: Django would first write it all to disk."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render

AROUND = 2**20
"""What a form may be larger than the files in it. Pages refuse in their own words what is a little too large."""
API = "/api/"
"""These read up to limits of their own, and answer in their own form."""


class UploadLimitMiddleware:
    """Answers 413, with a page that says how large an upload may be."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse by the announced length: a body without one is never read by Django at all."""
        announced = request.META.get("CONTENT_LENGTH") or "0"
        is_too_large = announced.isdecimal() and int(announced) > settings.UPLOAD_MAX_BYTES + AROUND
        if not is_too_large or request.path_info.startswith(API):
            return self._get_response(request)
        answer = render(None, "413.html", {"megabytes": settings.UPLOAD_MAX_BYTES / 1024 / 1024}, status=413)
        answer["Connection"] = "close"  # nobody reads what still comes
        return answer

"""Answers that ask to come back later."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string


def later(
    request: HttpRequest, status: int, sentence: str, seconds: int, context: Mapping[str, object] | None = None
) -> HttpResponse:
    """The page of this status, asking to wait so many seconds; builds and scripts get the sentence instead."""
    if request.path.startswith("/api/"):
        answer = HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
    else:
        answer = HttpResponse(render_to_string(f"{status}.html", dict(context or {})), status=status)
    answer["Retry-After"] = str(seconds)
    answer["Cache-Control"] = "no-store"
    return answer

"""Each request has a name and an address: events and log lines that it causes carry both, also from workers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from connectors.core.trace import Trace, traced
from portal.current_request import answering

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


class TraceMiddleware:
    """Everything inside runs as part of this request, and the answer says its name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request inside its trace."""
        trace = Trace(request_id=request_id_of(request), address=address_of(request))
        with traced(trace), answering(request):
            answer = self._get_response(request)
        answer[HEADER] = trace.request_id
        return answer


def request_id_of(request: HttpRequest) -> str:
    """The name that the proxy gave the request, or a new one: a visitor must not choose what stands on record."""
    given = request.headers.get(HEADER, "") if settings.BEHIND_PROXY else ""
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex


def address_of(request: HttpRequest) -> str:
    """The caller's address, through as many proxies as are trusted; "" where it makes no sense."""
    try:
        return str(get_adapter().get_client_ip(request))
    except (PermissionDenied, ImproperlyConfigured):
        return ""

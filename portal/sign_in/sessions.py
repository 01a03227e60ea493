"""One's sessions: which browsers are logged in from where, when each was last seen, and how to log them out."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from connectors.admin.pages.frame import actor_of
from connectors.flows.events import record_event
from connectors.flows.sign_in import end_sessions

SEEN = "portal_seen"
"""In a session: when its row was brought up to date last."""
SEEN_EVERY = dt.timedelta(minutes=5)
"""How old "last seen" may be. Writing it at each request would be a write for every page that anybody reads."""

_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


class LastSeenMiddleware:
    """Notes every few minutes from where a session is used, and keeps a session that is used from ending."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        seen = request.session.get(SEEN) if request.user.is_authenticated else None
        if seen is not None and time.time() - seen > SEEN_EVERY.total_seconds():
            note_session(request)
        return self.get_response(request)


def note_session(request: HttpRequest) -> None:
    """Brings what is known of this session up to date; allauth made its row at the login."""
    request.session[SEEN] = time.time()
    values: dict[str, Any] = {"last_seen_at": timezone.now()}
    with suppress(PermissionDenied):  # behind a socket there may be none: what was known stays
        values["ip"] = get_adapter(request).get_client_ip(request)
    UserSession.objects.filter(session_key=request.session.session_key or "").update(**values)


@never_cache
def sessions(request: HttpRequest) -> HttpResponse:
    """The list; a POST logs out everywhere but here."""
    if request.method == "POST":
        ended = end_sessions(_person(request), actor_of(request), but=str(request.session.session_key))
        messages.success(request, f"{ended} other session{'s were' if ended != 1 else ' was'} logged out.")
        return HttpResponseRedirect(reverse("sign_in_sessions"))
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "POST"])
    found = UserSession.objects.purge_and_list(request.user)
    rows = [
        {"row": row, "device": device(row.user_agent), "is_this": row.session_key == request.session.session_key}
        for row in sorted(found, key=lambda row: row.last_seen_at, reverse=True)
    ]
    rows.sort(key=lambda row: not row["is_this"])
    return TemplateResponse(request, "usersessions/usersession_list.html", {"rows": rows})


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """Logs out one of one's own sessions."""
    row = get_object_or_404(UserSession, pk=pk, user=request.user)
    if row.session_key == request.session.session_key:
        messages.info(request, "This is the session that you use: log out instead.")
        return HttpResponseRedirect(reverse("sign_in_sessions"))
    told = device(row.user_agent)
    row.end()
    record_event(actor_of(request), "login.sessions_ended", _person(request), after={"sessions": 1})
    messages.success(request, f"{told} was logged out.")
    return HttpResponseRedirect(reverse("sign_in_sessions"))


def device(user_agent: str) -> str:
    """A browser in words that people know it by: "Firefox on Windows"."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or re.split(r"[/\s(]", user_agent, maxsplit=1)[0] or "Unknown browser"


def _person(request: HttpRequest) -> Any:
    return request.user

"""Denied attempts are put on record: who tried what, and never what it was that they must not know of."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.apps import apps
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.csrf import csrf_failure

from connectors.core.actor import Actor, Door
from connectors.core.printable import printable
from connectors.core.trace import current_trace
from connectors.flows.events import record_event
from portal.counters import count
from portal.redaction import redacted

log = logging.getLogger(__name__)

PER_MINUTE = 30
"""Attempts of one person that are put on record in a minute, so that nobody floods the trail."""
_LONGEST_PATH = 300
_OUT_OF_DATE = "denied_form_out_of_date"


class DeniedMiddleware:
    """Writes down each answer that tells somebody who is logged in that they may not.

    A row that exists and is not theirs to know of is answered as one that does not exist; on record it is a denied
    attempt. Must stand behind the middleware that says who asks.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """The answer as it is; what is written down happens beside it."""
        answer = self._get_response(request)
        if request.user.is_authenticated and (why := _why_denied(request, answer)):
            _write_down(request, why)
        return answer


def form_out_of_date(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's answer to a form without a good CSRF token."""
    setattr(request, _OUT_OF_DATE, True)
    return csrf_failure(request, reason)


def _why_denied(request: HttpRequest, answer: HttpResponseBase) -> str:
    """In words what was denied; "" where nothing was."""
    if answer.status_code == 403:
        return "the form was not the portal's own" if hasattr(request, _OUT_OF_DATE) else "no permission"
    said_to_be_missing = answer.status_code == 404 or (
        answer.status_code == 302 and answer.headers.get("Location") == reverse("admin:index")
    )
    return "not theirs to see" if said_to_be_missing and _exists(request) else ""


def _exists(request: HttpRequest) -> bool:
    """Whether the row that the address names is there after all."""
    match = request.resolver_match
    if match is None or not match.url_name:
        return False
    key = match.kwargs.get("object_id", match.kwargs.get("pk"))
    parts = match.url_name.split("_")
    if key is None or "\0" in unquote(str(key)) or len(parts) < 3:  # PostgreSQL takes no NUL in a text
        return False
    try:
        model = apps.get_model(parts[0], parts[1])
        return bool(model._base_manager.filter(pk=_key_of(model, str(key))).exists())
    except (LookupError, ValidationError, ValueError):
        return False


def _key_of(model: type[models.Model], text: str) -> object:
    """The key as the admin reads it: what only it understood would be tried behind the record's back."""
    return model._meta.pk.to_python(unquote(text))


def _write_down(request: HttpRequest, why: str) -> None:
    if not _counts(f"user:{request.user.pk}"):
        return
    # Printable, for PostgreSQL takes no NUL: who writes one into an address must not stay off the record by it.
    tried = f"{request.method} {printable(redacted(request.path))[:_LONGEST_PATH]}"
    actor = Actor(request.user.get_username(), Door.ADMIN, request.user.pk)
    log.warning("Denied: %s (%s)", tried, why)
    try:
        record_event(actor, "access.denied", request.user, after={"tried": tried, "why": why})  # type: ignore[arg-type]
    except DatabaseError as error:  # the answer is a refusal with or without the record
        log.error("A denied attempt could not be put on record (%s)", type(error).__name__)


def _counts(who: str) -> bool:
    """Whether this attempt still goes on record; of a flood only the beginning of each minute does."""
    return all(count(f"denied:{key}", 60).number <= PER_MINUTE for key in (who, current_trace().address))

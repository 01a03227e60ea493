"""What can be done with a token at the press of a button: refresh it now, ask the provider about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import CHANGE_TOKEN, actor_of, require, route, visible
from connectors.core.actor import Actor
from connectors.core.errors import PortalError
from connectors.flows.introspect import introspect_token
from connectors.flows.refresh import refresh_now
from connectors.models import Token, TokenRefresh

Said = tuple[int, str]
"""A level of django.contrib.messages, and what to say."""


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_token_refresh` and `admin:connectors_token_introspect`, which take a POST only."""
    return [
        route(model_admin, "<int:object_id>/refresh/", refresh, "refresh"),
        route(model_admin, "<int:object_id>/introspect/", introspect, "introspect"),
    ]


def refresh(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Refreshes the token, whether its time has come or not."""
    return _do(model_admin, request, object_id, _refreshed)


def introspect(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Asks the provider about the token, and stores what it says."""
    return _do(model_admin, request, object_id, _asked)


def token_of(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> Token:
    """The token with everything that talking about it needs."""
    rows = Token.objects.select_related(
        "oauth_client", "connector__project__workspace", "connector__integration_type"
    ).defer("connector__source")
    return visible(model_admin, request, rows, object_id)


def _do(
    model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int, action: Callable[[Token, Actor], Said]
) -> HttpResponse:
    token = token_of(model_admin, request, object_id)
    require(request, CHANGE_TOKEN, token)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        level, text = action(token, actor_of(request))
    except PortalError as error:
        level, text = messages.ERROR, str(error)
    messages.add_message(request, level, text)
    return HttpResponseRedirect(reverse("admin:connectors_token_change", args=[token.pk]))


def _refreshed(token: Token, actor: Actor) -> Said:
    line = refresh_now(token, actor)
    if line.outcome == TokenRefresh.Outcome.OK:
        return messages.SUCCESS, "The token is refreshed."
    return messages.ERROR, f"{line.get_outcome_display()}: {line.note}"


def _asked(token: Token, actor: Actor) -> Said:
    learnt = introspect_token(token, actor)
    if learnt.active is False:
        if token.state == Token.State.FRESH:
            return messages.WARNING, "The provider said that the token had ended. It has been refreshed."
        return messages.ERROR, f"The provider says that the token has ended. {token.last_error}".strip()
    said = "The provider says that the token works." if learnt.active else "The provider has answered."
    if learnt.scopes is None:
        return messages.SUCCESS, f"{said} It does not say what the token may do."
    count = len(learnt.scopes)
    return (
        messages.SUCCESS,
        f"{said} It is good for {count} scope{'' if count == 1 else 's'}.",
    )

"""Try an alert route, and replace the secret with which its webhooks are signed."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from pydantic import SecretStr

from connectors.admin.pages.frame import actor_of, draw, require, route, visible
from connectors.core.errors import PortalError
from connectors.flows.alert_routes import replace_secret, try_route
from connectors.models import AlertRoute

CHANGE_ROUTE = "connectors.change_alertroute"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_alertroute_test` and `..._secret`."""
    return [
        route(model_admin, "<int:object_id>/test/", test, "test"),
        route(model_admin, "<int:object_id>/secret/", secret, "secret"),
    ]


def test(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Sends a test message now, and says what came of it on the route's page."""
    row = visible(model_admin, request, AlertRoute.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_ROUTE, row)
    outcome = try_route(row, actor_of(request))
    if outcome.ok:
        messages.success(request, f"The test was sent. {outcome.said}")
    else:
        messages.error(request, f"The test did not get through. {outcome.said}")
    return _back(row)


def secret(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Makes a new signing secret and shows it, this once."""
    row = visible(model_admin, request, AlertRoute.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_ROUTE, row)
    try:
        made = replace_secret(row, actor_of(request), timezone.now())
    except PortalError as error:
        messages.error(request, str(error))
        return _back(row)
    return secret_page(model_admin, request, row, made)


def secret_page(model_admin: ModelAdmin[Any], request: HttpRequest, row: AlertRoute, made: SecretStr) -> HttpResponse:
    """The one answer that shows the secret; like every page of the admin it is kept in no cache."""
    return draw(
        model_admin,
        request,
        "alert_secret.html",
        title="Signing secret",
        original=row,
        alert_route=row,
        secret=made.get_secret_value(),
        replaces=bool(row.old_secret),
    )


def _back(row: AlertRoute) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:connectors_alertroute_change", args=[row.pk]))

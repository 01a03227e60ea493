"""Try a trail stream, and replace the secret with which its webhooks are signed."""

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
from connectors.flows.trail_streams import replace_secret, try_stream
from connectors.models import TrailStream

CHANGE_STREAM = "connectors.change_trailstream"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_trailstream_test` and `..._secret`."""
    return [
        route(model_admin, "<int:object_id>/test/", test, "test"),
        route(model_admin, "<int:object_id>/secret/", secret, "secret"),
    ]


def test(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Sends a checkpoint now, and says what came of it on the stream's page."""
    row = visible(model_admin, request, TrailStream.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_STREAM, row)
    problem = try_stream(row, actor_of(request), timezone.now())
    if problem:
        messages.error(request, f"The test did not get through. {problem}")
    else:
        messages.success(request, "The test was taken.")
    return _back(row)


def secret(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Makes a new signing secret and shows it, this once."""
    row = visible(model_admin, request, TrailStream.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_STREAM, row)
    try:
        made = replace_secret(row, actor_of(request))
    except PortalError as error:
        messages.error(request, str(error))
        return _back(row)
    return secret_page(model_admin, request, row, made)


def secret_page(model_admin: ModelAdmin[Any], request: HttpRequest, row: TrailStream, made: SecretStr) -> HttpResponse:
    """The one answer that shows the secret; like every page of the admin it is kept in no cache."""
    return draw(
        model_admin,
        request,
        "trail_stream/secret.html",
        title="Signing secret",
        original=row,
        stream=row,
        secret=made.get_secret_value(),
    )


def _back(row: TrailStream) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:connectors_trailstream_change", args=[row.pk]))

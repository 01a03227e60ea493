"""Ask a provider whether it accepts an OAuth client, without anybody's consent."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import actor_of, require, route, visible
from connectors.core.catalog.providers import provider_name
from connectors.core.errors import PortalError
from connectors.flows.oauth_clients import check_client, redirect_uri_of
from connectors.models import OAuthClient

CHANGE_CLIENT = "connectors.change_oauthclient"


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_oauthclient_check`."""
    return [route(model_admin, "<int:object_id>/check/", check, "check")]


def redirect_uri(request: HttpRequest, oauth_client: OAuthClient) -> str:
    """What is to be registered at the provider, as seen from this request."""
    return redirect_uri_of(oauth_client, request.build_absolute_uri("/"))


def check(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Checks the client, and says what came of it on the client's page."""
    oauth_client = visible(model_admin, request, OAuthClient.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_CLIENT, oauth_client)
    name = provider_name(oauth_client.provider)
    try:
        state = check_client(oauth_client, redirect_uri(request, oauth_client), actor_of(request))
    except PortalError as error:
        messages.warning(request, f"It could not be told whether {name} accepts the client. {error}")
    else:
        if state == OAuthClient.State.USABLE:
            messages.success(request, f"{name} accepts the client id and secret.")
        else:
            messages.error(request, f"The client can't be used. {oauth_client.state_note}")
    return HttpResponseRedirect(reverse("admin:connectors_oauthclient_change", args=[oauth_client.pk]))

"""See whether a sign-in provider describes itself as it should, before anybody depends on it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import route
from connectors.core.errors import PortalError
from connectors.flows.sign_in_providers import read_discovery
from connectors.models import SignInProvider


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_signinprovider_test`."""
    return [route(model_admin, "<int:object_id>/test/", test, "test")]


def test(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Reads the provider's description of itself, and says on its page what came of it."""
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    provider = SignInProvider.objects.filter(pk=object_id).first()
    if provider is None:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    try:
        found = read_discovery(provider)
    except PortalError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, f"{provider.name} answers as {found['issuer']}. To try the client id and secret, log in."
        )
        if provider.groups_claim and provider.groups_claim not in found.get(
            "claims_supported", [provider.groups_claim]
        ):
            messages.warning(request, f"It does not say that it has a claim {provider.groups_claim}.")
    return HttpResponseRedirect(reverse("admin:connectors_signinprovider_change", args=[provider.pk]))

"""The two ends of a sign-in with another account: the button on the login page, and where the provider answers."""

from __future__ import annotations

import secrets
from typing import Any

import requests
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from connectors.core.crypto import UnreadableSecretError
from connectors.flows.sign_in_providers import issuer_of
from connectors.models import SignInProvider
from portal.sign_in.answers import STRANGE, UNREACHED, UNREADABLE, leaving, refused
from portal.sign_in.provider import fitted, scopes_of

# What allauth's classes raise when a provider answers otherwise than they expect.
_STRANGE = (
    OAuth2Error,
    ProviderException,
    requests.RequestException,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)


@require_POST
@never_cache
@login_not_required
@sensitive_variables("address")
def start(request: HttpRequest, slug: str) -> HttpResponse:
    """Leads to the provider, with a state and a nonce that only this browser's session knows."""
    row = _enabled(slug)
    try:
        provider, nonce = fitted(request, row), secrets.token_urlsafe(24)
        answer = provider.redirect(
            request,
            AuthProcess.LOGIN,
            next_url=get_next_redirect_url(request),
            data={"nonce": nonce},
            scope=scopes_of(provider, row),
            auth_params={} if row.kind == SignInProvider.Kind.GITHUB else {"nonce": nonce},
        )
    except UnreadableSecretError:
        return refused(request, UNREADABLE.format(name=row.name))
    except _STRANGE:
        return refused(request, UNREACHED.format(name=row.name))
    address = getattr(answer, "url", "")
    return leaving(request, address, row.name) if address else refused(request, UNREACHED.format(name=row.name))


@require_GET
@never_cache
@login_not_required
def callback(request: HttpRequest, slug: str) -> HttpResponse:
    """Takes the provider's answer, once, and logs in whoever it vouches for."""
    row = _enabled(slug)
    if (iss := request.GET.get("iss")) and iss.rstrip("/") != issuer_of(row).rstrip("/"):
        return refused(request, STRANGE.format(name=row.name))
    try:
        view: Any = OAuth2CallbackView.adapter_view(fitted(request, row).adapter)
        answer: HttpResponse = view(request)
    except UnreadableSecretError:
        return refused(request, UNREADABLE.format(name=row.name))
    except _STRANGE:
        return refused(request, STRANGE.format(name=row.name))
    return answer


def _enabled(slug: str) -> SignInProvider:
    found = SignInProvider.objects.filter(slug=slug, is_enabled=True).first()
    if found is None:
        raise Http404
    return found

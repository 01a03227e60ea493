"""The second factor: whom it is asked of, how its secrets are kept, and that the last one stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from connectors.models import Sealed, SignInProvider

PROVEN = "portal_second_factor"
"""In a session: the second factor was added in it, or its provider counts as one."""

WITHOUT = (
    "/accounts/2fa/",
    "/accounts/login/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
    "/admin/logout/",
    "/admin/jsi18n/",
    "/api/",
    "/static/",
)
"""What answers whoever has not set up a second factor yet: the way to one, the way out, and doors for machines."""

SET_UP = ("/accounts/2fa/", "/accounts/reauthenticate/")
TO_SHOW = (
    "/accounts/2fa/authenticate/",
    "/accounts/2fa/reauthenticate/",
    "/accounts/2fa/webauthn/login/",
    "/accounts/2fa/webauthn/reauthenticate/",
)
"""Of `SET_UP` all that answers whoever has a factor and has not shown it: else a password alone would add another."""

KEEP_ONE = "The portal asks for a second factor: add another one before you remove this."


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's rules, with secrets encrypted at rest."""

    def encrypt(self, text: str) -> str:
        return Sealed.of(text).ciphertext

    def decrypt(self, encrypted_text: str) -> str:
        return Sealed(encrypted_text).reveal()

    def get_totp_issuer(self) -> str:
        return "Connector portal"

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        """Not the last one of somebody who has to have one."""
        if not is_required_of(authenticator.user) or authenticator.type == Authenticator.Type.RECOVERY_CODES:
            return True
        return bool(_factors(authenticator.user).exclude(pk=authenticator.pk).exists())


class RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]
    """allauth's page, which does not ask whether the key may go."""

    def form_valid(self, form: Any) -> HttpResponse:
        if not MFAAdapter().can_delete_authenticator(self.object):
            messages.error(self.request, KEEP_ONE)
            return HttpResponseRedirect(reverse("mfa_list_webauthn"))
        answer: HttpResponse = super().form_valid(form)
        return answer


class SecondFactorMiddleware:
    """Leads staff who have not shown a second factor to where they do, or set one up, before anything else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if settings.MFA_REQUIRED and not _is_open(request.path) and _owes(request):
            kinds = set(_factors(request.user).values_list("type", flat=True))
            if kinds or not request.path.startswith(WITHOUT):
                return _lead(request, kinds)
        return self.get_response(request)


def is_required_of(user: Any) -> bool:
    """Whether this person has to have a second factor."""
    return bool(settings.MFA_REQUIRED and user.is_staff)


def note_login(request: HttpRequest) -> None:
    """Remembers in the session that its provider asked for a second factor itself, where it counts as one."""
    slugs = [record.get("provider") for record in get_authentication_records(request, request.user)]
    found = SignInProvider.objects.filter(slug__in=[slug for slug in slugs if slug], counts_as_second_factor=True)
    if settings.MFA_REQUIRED and any(slugs) and found.exists():
        request.session[PROVEN] = request.user.pk


def note_added(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Whoever added a factor has it at hand: this session need not show it again."""
    request.session[PROVEN] = user.pk


def _is_open(path: str) -> bool:
    """Whether this answers everybody, whatever they have shown."""
    return path.startswith(TO_SHOW) or (path.startswith(WITHOUT) and not path.startswith(SET_UP))


def _owes(request: HttpRequest) -> bool:
    user = request.user
    if not user.is_authenticated or not user.is_staff or request.session.get(PROVEN) == user.pk:
        return False
    # Only what this very session showed counts: whoever came in with a stolen password before the owner set up a
    # factor must not profit from it.
    return not any(record.get("method") == "mfa" for record in get_authentication_records(request, user))


def _lead(request: HttpRequest, kinds: set[str]) -> HttpResponse:
    if kinds:
        back = request.get_full_path() if request.method == "GET" else reverse("admin:index")
        has_app = Authenticator.Type.TOTP in kinds
        page = reverse("mfa_reauthenticate" if has_app else "mfa_reauthenticate_webauthn")
        address = f"{page}?{urlencode({'next': back})}"
    else:
        messages.warning(request, "The portal asks for a second factor: add one to go on.")
        address = reverse("mfa_index")
    if request.headers.get("HX-Request"):
        answer = HttpResponse(status=204)
        answer["HX-Redirect"] = address
        return answer
    return HttpResponseRedirect(address)


def _factors(user: Any) -> Any:
    return Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.RECOVERY_CODES)

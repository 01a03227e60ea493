"""Addresses of everything about coming in, below `accounts/`: allauth's pages that the portal uses, and its own."""

from __future__ import annotations

from allauth.account import urls as account_urls
from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

from portal.sign_in import sessions, views
from portal.sign_in.login import Login
from portal.sign_in.passwords import none_to_set
from portal.sign_in.second_factor import RemovePasskey

_ACCOUNT_PAGES = {
    "account_logout",
    "account_inactive",
    "account_signup",  # allauth's login page links to it by name; the adapter answers "closed"
    "account_reauthenticate",
    "account_change_password",
}
_RESET_PAGES = {
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
}


def account_patterns() -> list[URLPattern]:
    """The pages of allauth that the portal uses; resets by e-mail only where e-mail can be sent."""
    wanted = _ACCOUNT_PAGES | (_RESET_PAGES if settings.EMAIL_CONFIGURED else set())
    return [pattern for pattern in account_urls.urlpatterns if pattern.name in wanted]


urlpatterns: list[URLPattern | URLResolver] = [
    path("login/", Login.as_view(), name="account_login"),
    path("password/set/", none_to_set, name="account_set_password"),
    *account_patterns(),
    # Ahead of allauth's own, which lets the last key go.
    path("2fa/webauthn/keys/<int:pk>/remove/", RemovePasskey.as_view(), name="mfa_remove_webauthn"),
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", sessions.sessions, name="sign_in_sessions"),
    path("sessions/<int:pk>/end/", sessions.end, name="sign_in_session_end"),
    path("sign-in/<slug:slug>/", views.start, name="sign_in_start"),
    path("sign-in/<slug:slug>/callback/", views.callback, name="sign_in_callback"),
]

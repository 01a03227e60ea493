"""What allauth asks about third-party sign-in: a connector's flow is none, and brings the client that it uses.

The portal's logins at other accounts are portal.sign_in.adapter's, which builds on this.
"""

from __future__ import annotations

from allauth.core import context
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's rules with no client of its own, so that no row of its tables is ever read or written."""

    def list_apps(
        self, request: HttpRequest | None, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The client that the present request authorises a connector with (oauth.provider sets it); else none."""
        app = getattr(request or context.request, "connector_app", None)
        return [app] if app is not None and provider in (None, app.provider, app.provider_id) else []

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Nobody gets an account by signing in elsewhere."""
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Ends every third-party login: a connector's flow must never become one."""
        raise PermissionDenied

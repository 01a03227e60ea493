"""allauth's provider classes, fitted to one row of SignInProvider.

All kinds but GitHub speak OpenID Connect, so one class of allauth serves them: what it leaves out of the checks that
the standard asks for (issuer, nonce, signature, one subject) is added here. No provider is an installed application of
allauth's: there is no login address but the portal's own, and the clients of connectors stay apart.
"""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.internal import jwtkit
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.github.provider import GitHubProvider
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest

from connectors.admin.pages.frame import outside_address
from connectors.flows.sign_in_providers import NEEDED, issuer_of
from connectors.models import SignInProvider


class _OpenIdAdapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth ships no types
    """allauth's, with what OpenID Connect asks of whoever takes an identity token."""

    provider: Any
    row: SignInProvider

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, self.row.slug)

    def get_provider(self) -> Any:
        return self.provider

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_address(request, self.row)

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's description of itself. Raises OAuth2Error unless it is that of the issuer that was set up."""
        found = super().openid_config
        if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in NEEDED):
            raise OAuth2Error("The provider's description of itself is incomplete.")
        if found["issuer"].rstrip("/") != issuer_of(self.row).rstrip("/"):
            raise OAuth2Error("The provider names another issuer than the one that was set up.")
        return dict(found)

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> Any:
        """Who came back, by an identity token that the provider signed for this client."""
        signed = kwargs["response"].get("id_token")
        if not signed:
            raise OAuth2Error("The provider sent no identity token.")
        told = self._decode_id_token(app, signed)
        userinfo = self._fetch_user_info(token.token)
        if userinfo.get("sub") != told["sub"]:
            raise OAuth2Error("The provider speaks of two people at once.")
        return self.provider.sociallogin_from_response(request, {"userinfo": {**told, **userinfo}, "id_token": told})

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        """The token's claims; its signature is checked too, although it came straight from the provider."""
        found: dict[str, Any] = jwtkit.verify_and_decode(
            credential=id_token,
            keys_url=self.openid_config["jwks_uri"],
            issuer=self.openid_config["issuer"],
            audience=app.client_id,
            lookup_kid=jwtkit.lookup_kid_jwk,
        )
        return found


class _GitHubAdapter(GitHubOAuth2Adapter):  # type: ignore[misc]
    provider: Any
    row: SignInProvider

    def get_provider(self) -> Any:
        return self.provider

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        return callback_address(request, self.row)


def callback_address(request: HttpRequest, row: SignInProvider) -> str:
    """The redirect URI that is registered at the provider."""
    return outside_address(request, "sign_in_callback", row.slug)


def scopes_of(provider: Any, row: SignInProvider) -> list[str]:
    """What is asked for: who it is, and the groups where they are wanted and the provider has a scope for them."""
    asked = list(provider.get_scope())
    if row.groups_claim and row.kind != SignInProvider.Kind.GITHUB:
        offered = provider.adapter.openid_config.get("scopes_supported")
        asked += ["groups"] if isinstance(offered, list) and "groups" in offered else []
    return asked


def fitted(request: HttpRequest, row: SignInProvider) -> Any:
    """allauth's provider for this row, and from now on the one of this request. Raises UnreadableSecretError."""
    is_github = row.kind == SignInProvider.Kind.GITHUB
    cls, adapter = (GitHubProvider, _GitHubAdapter) if is_github else (OpenIDConnectProvider, _OpenIdAdapter)
    app = SocialApp(  # never saved
        provider=cls.id,
        provider_id=row.slug,
        name=row.name,
        client_id=row.client_id,
        secret=row.client_secret.reveal(),
        settings={"server_url": issuer_of(row).rstrip("/"), "oauth_pkce_enabled": True},
    )
    provider = cls(request, app=app)
    bound = type(f"SignIn{adapter.__name__}", (adapter,), {"provider": provider, "row": row})
    provider.adapter = bound(request)  # one for the request: it keeps what it has read of the provider
    provider.get_oauth2_adapter = lambda request: provider.adapter
    request.sign_in = (row, provider)  # type: ignore[attr-defined]  # read by portal.sign_in.adapter
    return provider

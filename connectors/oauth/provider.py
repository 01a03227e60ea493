"""allauth's provider class for one trip: fitted to one OAuth client, and kept away from allauth's login machinery.

allauth builds the authorisation request (scopes, PKCE, each provider's own parameters) and reads profiles. `state` is
ours, because it has to be single-use on every database; so is the token endpoint, because the refresh needs each
provider's habits anyway, and allauth quotes the provider's answer, tokens and all, in its errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import ProviderAccount
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider
from allauth.socialaccount.providers.oauth2.views import OAuth2Adapter
from django.http import HttpRequest
from django.utils.module_loading import import_string
from pydantic import SecretStr

from connectors.core.oauth.errors import OAuthError
from connectors.core.oauth.grant import Grant
from connectors.core.oauth.inspect import Account, who
from connectors.core.oauth.profile import Profile, Registration
from connectors.core.oauth.support import Level, support_of
from connectors.core.oauth.token_endpoint import TokenEndpoint

Stash = Callable[[SecretStr | None], SecretStr]
"""Notes the PKCE verifier, None where there is none, and returns the `state` to send."""


class GenericOAuth2Adapter(OAuth2Adapter):  # type: ignore[misc]  # allauth ships no types
    """For providers that allauth has no class for, or none that fits: everything comes from the catalogue."""

    provider_id = "generic_oauth2"

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> None:
        """No profile of allauth's kind: the catalogue says where to ask (`core.oauth.inspect.who`)."""
        return


class GenericOAuth2Provider(OAuth2Provider):  # type: ignore[misc]
    """One OAuth 2.0 provider for all that the catalogue describes."""

    id, name = "generic_oauth2", "OAuth 2.0"
    account_class = ProviderAccount
    oauth2_adapter_class = GenericOAuth2Adapter


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client with what it is used for: the facts, the secret in the clear, the address to come back to."""

    slug: str
    profile: Profile
    registration: Registration
    redirect_uri: str


def departure(
    request: HttpRequest, client: Client, scopes: list[str], *, nonce: SecretStr, stash: Stash, login_hint: str = ""
) -> str:
    """The address at the provider to which the person goes. Calls `stash` once, for the `state`."""
    provider = _provider(request, client, stash)
    params = {**provider.get_auth_params(), **client.profile.facts.extra_authorize_params}
    if "openid" in scopes:
        params["nonce"] = nonce.get_secret_value()
    if login_hint and client.profile.issuer:
        params["login_hint"] = login_hint
    answer = provider.redirect(request, AuthProcess.REDIRECT, scope=scopes, auth_params=params)
    return str(answer.url)


class Return:
    """The way back with one client: `flows.authorise.Trip`, done by allauth's classes."""

    def __init__(self, request: HttpRequest, client: Client, verifier: SecretStr | None) -> None:
        self.profile, self.client_id = client.profile, client.registration.client_id
        self._request, self._verifier = request, verifier
        self._endpoint = TokenEndpoint(client.profile, client.registration)
        self._provider = _provider(request, client, _no_departure)
        self._adapter = self._provider.get_oauth2_adapter(request)

    def exchange(self) -> Grant:
        """The tokens for the code in the callback. Raises OAuthError."""
        verifier = self._verifier.get_secret_value() if self._verifier else None
        oauth2_client = self._adapter.get_client(self._request, self._provider.app)
        self._adapter.get_access_token_data(
            self._request, self._provider.app, oauth2_client, pkce_code_verifier=verifier
        )
        grant: Grant = oauth2_client.grant
        return grant

    def identify(self, grant: Grant) -> Account | None:
        """As the catalogue says: from the identity token or the provider's profile; else as allauth's class reads it.

        In this order, because one account must have one id: some providers name it differently in each place.
        """
        try:
            found = who(self.profile, grant.access_token, grant=grant)
        except OAuthError:
            found = None
        return found or self._from_allauth(grant)

    def can_refresh(self, grant: Grant) -> bool:
        """Whether there is something to refresh the tokens with."""
        return self._endpoint.can_refresh(grant.refresh_token)

    def _from_allauth(self, grant: Grant) -> Account | None:
        """What allauth's class learns of the account. It asks for a profile that the scopes may not open."""
        if isinstance(self._provider, GenericOAuth2Provider):
            return None
        try:
            token = self._adapter.parse_token(grant.reply)
            login = self._adapter.complete_login(self._request, self._provider.app, token, response=dict(grant.reply))
            emails = [address.email for address in login.email_addresses] + [login.user.email or ""]
        except Exception:  # noqa: BLE001 - each class fails in its own way, and its text can hold a token
            return None
        label = next((email for email in emails if email), "") or str(login.user.username or "")
        return Account(login.account.uid, label) if login.account.uid else None


def _provider(request: HttpRequest, client: Client, stash: Stash) -> Any:
    """The provider's class of allauth, or the generic one, fitted to this client."""
    support = support_of(client.profile.info)
    # A class of allauth would send the tokens of a self-managed service to the public one.
    by_allauth = support.level == Level.ALLAUTH and support.allauth_class and not client.profile.overridden
    cls = import_string(support.allauth_class) if by_allauth and support.allauth_class else GenericOAuth2Provider
    app = SocialApp(  # never saved
        provider=cls.id,
        provider_id=client.slug,
        name=client.slug,
        client_id=client.registration.client_id,
        secret=client.registration.client_secret.get_secret_value(),
        key=_origin(client.profile.authorize_url),
        settings={**client.registration.settings, "oauth_pkce_enabled": _takes_pkce(client.profile)},
    )
    request.connector_app = app  # type: ignore[attr-defined]  # for classes that look it up (see oauth.adapter)
    provider = type(f"Connector{cls.__name__}", (_StateOfOurs, cls), {"stash": staticmethod(stash)})(request, app=app)
    provider.oauth2_adapter_class = _adapter_class(cls.oauth2_adapter_class, provider, client)
    return provider


class _StateOfOurs:
    """Keeps `state` and the PKCE verifier in a row of ours instead of the session."""

    stash: Stash

    def stash_redirect_state(self, *args: Any, pkce_code_verifier: str | None = None, **kwargs: Any) -> str:
        return self.stash(SecretStr(pkce_code_verifier) if pkce_code_verifier else None).get_secret_value()


def _adapter_class(base: type[Any], provider: Any, client: Client) -> type[Any]:
    mixin = _CatalogueClient if isinstance(provider, GenericOAuth2Provider) else _OurTokenEndpoint
    client_class = type(f"Connector{base.client_class.__name__}", (mixin, base.client_class), {"used": client})
    members: dict[str, Any] = {
        "get_provider": lambda self: provider,
        "get_callback_url": lambda self, request, app: client.redirect_uri,
        "authorize_url": client.profile.authorize_url,
        "access_token_url": client.profile.token_url,
        "client_class": client_class,
    }
    return type(f"Connector{base.__name__}", (base,), members)


class _OurTokenEndpoint(OAuth2Client):  # type: ignore[misc]
    """allauth's client with the token endpoint of core.oauth."""

    used: Client
    grant: Grant

    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The whole answer, as allauth's classes want it; `grant` is what we make of it."""
        verifier = SecretStr(pkce_code_verifier) if pkce_code_verifier else None
        endpoint = TokenEndpoint(self.used.profile, self.used.registration)
        callback = {name: value for name, value in self.request.GET.items() if name not in ("code", "state")}
        self.grant = endpoint.exchange(SecretStr(code or ""), self.callback_url, verifier=verifier, callback=callback)
        return dict(self.grant.reply)


class _CatalogueClient(_OurTokenEndpoint):
    """Builds the authorisation request from the catalogue's facts."""

    def get_redirect_url(self, authorization_url: str, scope: list[str], extra_params: Mapping[str, str]) -> str:
        """The address with exactly these scopes, in their order."""
        facts = self.used.profile.facts
        params = {
            facts.wire.client_id_param: self.consumer_key,
            "redirect_uri": self.callback_url,
            "response_type": "code",
        }
        if facts.scope_separator is not None:
            params[facts.user_scope_param or "scope"] = facts.scope_separator.join(scope)
        params |= {"state": self.state, **extra_params}
        return f"{authorization_url}{'&' if '?' in authorization_url else '?'}{urlencode(params)}"


def _no_departure(verifier: SecretStr | None) -> SecretStr:
    raise AssertionError("a return does not depart")


def _takes_pkce(profile: Profile) -> bool:
    return profile.facts.pkce in ("required", "supported")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


__all__ = ["Client", "GenericOAuth2Provider", "Return", "departure"]

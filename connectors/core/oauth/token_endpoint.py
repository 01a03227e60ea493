"""A provider's token endpoint: a code for tokens, new tokens for old, and whether the client is accepted at all."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlencode

import urllib3
from pydantic import SecretStr

from connectors.core.oauth.answers import document_of, refusal
from connectors.core.oauth.client_auth import client_request
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant, read_grant
from connectors.core.oauth.profile import Profile, Registration
from connectors.core.oauth.transport import TIMEOUT, USER_AGENT, Reply, Request, send

_EXCHANGE = "exchange the code for a token"
_REFRESH = "refresh the token"
_PROBE = "check the OAuth client"


class TokenEndpoint:
    """The token endpoint as one OAuth client sees it. Each method makes one attempt. Thread-safe.

    Every method that asks raises OAuthError, and nothing else, for whatever the provider does.
    """

    def __init__(
        self,
        profile: Profile,
        registration: Registration,
        *,
        pool: urllib3.PoolManager | None = None,
        timeout: float = TIMEOUT,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._profile, self._registration = profile, registration
        self._wire = profile.facts.wire
        self._pool, self._timeout, self._wall_clock = pool, timeout, wall_clock

    def exchange(
        self,
        code: SecretStr,
        redirect_uri: str,
        *,
        verifier: SecretStr | None = None,
        callback: Mapping[str, str] | None = None,
    ) -> Grant:
        """The tokens for an authorisation code. `callback`: the redirect's other query parameters."""
        kept = {name: value for name in self._wire.callback_details if (value := (callback or {}).get(name))}
        if self._wire.strategy == "client_credentials":
            return self._mint(kept, _EXCHANGE)
        params: dict[str, str | SecretStr] = {"grant_type": "authorization_code", "code": code}
        params["redirect_uri"] = redirect_uri
        if verifier is not None:
            params["code_verifier"] = verifier
        grant = self._ask(self._request(params, _EXCHANGE))
        if self._wire.extend_url:
            grant = self._extended(grant)
        return replace(grant, details={**kept, **grant.details}) if kept else grant

    def refresh(
        self,
        refresh_token: SecretStr | None,
        access_token: SecretStr,
        *,
        redirect_uri: str = "",
        details: Mapping[str, str] | None = None,
    ) -> Grant:
        """New tokens for old ones. A refresh token in the answer replaces the old one, which may be spent already.

        `details` are those of the grant. The scopes are not sent: without them a provider gives what it gave before.
        """
        if self._wire.strategy == "client_credentials":
            return self._mint(details or {}, _REFRESH)
        if self._wire.strategy == "instagram":
            return self._ask(self._renewal(access_token))
        if refresh_token is None or not refresh_token.get_secret_value():
            raise self._no_refresh_token()
        params: dict[str, str | SecretStr] = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        if self._wire.redirect_uri_on_refresh and redirect_uri:
            params["redirect_uri"] = redirect_uri
        return self._ask(self._request(params, _REFRESH))

    @property
    def usual_lifetime(self) -> float | None:
        """Seconds that an access token of this provider usually lives; None: not known, or it does not end."""
        return self._profile.facts.refresh.access_token_lifetime_s

    def can_refresh(self, refresh_token: SecretStr | None) -> bool:
        """Whether there is anything to refresh with: at some providers the access token or the client itself."""
        return self._wire.strategy != "standard" or bool(refresh_token and refresh_token.get_secret_value())

    def probe(self, redirect_uri: str) -> OAuthError | None:
        """Whether the provider accepts the client's id and secret, found out without anybody's consent.

        None: it does. An error of kind CLIENT: it does not. Any other error: it could not be told.
        """
        if self._wire.probe == "none" or any(part in self._profile.token_url for part in self._wire.no_probe_at):
            name = self._profile.name
            text = f"{name} does not tell whether a client's secret is right before somebody authorises with it."
            return OAuthError(text, kind=Kind.REFUSED, code="cannot_tell")
        try:
            self._ask(self._probe_request(redirect_uri))
        except OAuthError as error:
            return None if error.kind is Kind.CONSENT else error
        return None

    def _probe_request(self, redirect_uri: str) -> Request:
        params: dict[str, str | SecretStr] = {"grant_type": self._wire.probe, **self._wire.probe_params}
        if self._wire.probe == "code":
            made_up = SecretStr(secrets.token_urlsafe(32))
            params |= {"grant_type": "authorization_code", "code": made_up, "redirect_uri": redirect_uri}
            if self._profile.facts.pkce == "required":
                params["code_verifier"] = SecretStr(secrets.token_urlsafe(48))
        return self._request(params, _PROBE)

    def _request(self, params: Mapping[str, str | SecretStr], doing: str) -> Request:
        return client_request(
            self._profile,
            self._registration,
            self._profile.token_url,
            params,
            doing=doing,
            body=self._wire.body,
            headers=self._wire.headers,
        )

    def _ask(self, request: Request) -> Grant:
        reply = send(request, pool=self._pool, timeout=self._timeout)
        outcome = self._outcome(request, reply)
        if isinstance(outcome, OAuthError):
            raise outcome  # here, where no local variable holds what was sent or answered
        return outcome

    def _outcome(self, request: Request, reply: Reply) -> Grant | OAuthError:
        document = document_of(reply)
        now = self._wall_clock()
        grant = read_grant(document, self._profile.facts, now=now) if 200 <= reply.status < 300 else None
        return grant or refusal(request, reply, document, self._wire, wall_time=now)

    def _no_refresh_token(self) -> OAuthError:
        text = f"{self._profile.name} gave no refresh token. A person must authorise the connector again."
        return OAuthError(text, kind=Kind.CONSENT, code="no_refresh_token")

    def _mint(self, details: Mapping[str, str], doing: str) -> Grant:
        """A token for one installation, from the client's own secret (Wix)."""
        installation = details.get(self._wire.mint_from or "", "")
        if not installation:
            text = f"{self._profile.name} did not say which installation the token is for."
            raise OAuthError(text, kind=Kind.CONSENT, code="no_installation")
        params = {"grant_type": "client_credentials", self._wire.mint_param or "": installation}
        grant = self._ask(self._request(params, doing))
        return replace(grant, details={**details, **grant.details})

    def _extended(self, short: Grant) -> Grant:
        """The long-lived token for a short-lived one, with the scopes and details that only the first answer has."""
        long = self._ask(self._extension(short.access_token))
        return replace(long, scopes=short.scopes, details={**short.details, **long.details}, reply=short.reply)

    def _extension(self, access_token: SecretStr) -> Request:
        fields = {
            "grant_type": "ig_exchange_token",
            "client_secret": self._registration.client_secret.get_secret_value(),
            "access_token": access_token.get_secret_value(),
        }
        return self._query_request(self._wire.extend_url or "", urlencode(fields), _EXCHANGE, access_token)

    def _renewal(self, access_token: SecretStr) -> Request:
        query = urlencode({"grant_type": "ig_refresh_token", "access_token": access_token.get_secret_value()})
        return self._query_request(self._wire.renew_url or "", query, _REFRESH, access_token)

    def _query_request(self, url: str, query: str, doing: str, token: SecretStr) -> Request:
        hidden = (token.get_secret_value(), self._registration.client_secret.get_secret_value())
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        return Request(self._profile.name, doing, "GET", f"{url}?{query}", headers, None, hidden)

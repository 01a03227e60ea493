"""One OAuth client at one provider: the catalogue's facts with the client's own settings filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from connectors.core.catalog import (
    Catalog,
    IdentityFacts,
    IntegrationTypeInfo,
    IntrospectFacts,
    OAuthFacts,
    RevokeFacts,
    WireFacts,
    load_catalog,
)
from connectors.core.catalog.providers import provider_name
from connectors.core.errors import Refused

ENDPOINTS = ("authorize_url", "token_url", "revoke_url", "introspect_url", "userinfo_url", "issuer")
"""Names of the settings that put another address in the place of the catalogue's."""

_ABOUT_TOKENS = ("revoke_url", "introspect_url", "userinfo_url", "issuer")

DEFAULTS: Mapping[str, str] = {"tenant": "common", "login_host": "login.salesforce.com"}
"""Settings that most clients leave out."""

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Registration:
    """An OAuth client: the team's own app at a provider.

    `settings` holds values for the placeholders in the provider's addresses, such as a subdomain, and under the names
    in ENDPOINTS whole addresses.
    """

    client_id: str
    client_secret: SecretStr
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """How to talk to one provider for one integration type. None: the provider has no such endpoint.

    `overridden`: at least one address is the client's own. `name`: how people call the provider. `authorize_url` may
    still hold `{redirect_uri}`, and the others places that only the grant's details fill.
    """

    type: str
    info: IntegrationTypeInfo
    facts: OAuthFacts
    authorize_url: str
    token_url: str
    revoke_url: str | None
    introspect_url: str | None
    userinfo_url: str | None
    issuer: str | None
    overridden: bool
    name: str


def profile_of(
    type_: str,
    registration: Registration,
    *,
    connection_config: Mapping[str, str] | None = None,
    catalog: Catalog | None = None,
) -> Profile:
    """The addresses and facts with which this client is used for this type.

    An `issuer` among the settings means another server than the catalogue's, so that one is spoken to by the book.
    Raises Refused, naming the setting, when one is missing or cannot be used, and for a type without OAuth.
    """
    info = (catalog or load_catalog()).types.get(type_)
    if info is None:
        raise Refused(f"The integration type “{type_}” is not in the catalogue, so the portal cannot authorise it.")
    own = {name: registration.settings[name] for name in ENDPOINTS if registration.settings.get(name)}
    values = _Values(registration, connection_config or {})
    facts = _by_the_book(info.oauth) if "issuer" in own else info.oauth
    elsewhere = "issuer" in own or "token_url" in own
    addresses: dict[str, str | None] = {}
    for key in ENDPOINTS:
        if key in own:
            addresses[key] = _own(key, own[key])
        elif elsewhere and key in _ABOUT_TOKENS:
            addresses[key] = None  # the catalogue's server has nothing to do with the tokens of the client's own
        else:
            addresses[key] = _fill(getattr(facts, key), values, facts, info)
    authorize_url, token_url = addresses.pop("authorize_url"), addresses.pop("token_url")
    if authorize_url is None or token_url is None:
        raise Refused(f"{info.display_name} has no OAuth of its own that the portal could use.")
    return Profile(
        type_,
        info,
        facts,
        authorize_url,
        token_url,
        overridden=bool(own),
        name=provider_name(info.provider, catalog),
        **addresses,
    )


def _filled(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip() for name, value in settings.items() if value.strip()}


def _by_the_book(facts: OAuthFacts) -> OAuthFacts:
    """The same habits at the authorisation page, and the standards everywhere else."""
    return replace(
        facts,
        granted_scopes_path="scope",
        wire=WireFacts(redirect_uri_on_refresh=facts.wire.redirect_uri_on_refresh),
        revocation=RevokeFacts(),
        introspection=IntrospectFacts(),
        identity=IdentityFacts(),
    )


def _own(name: str, url: str) -> str:
    """An address from the client's settings. Raises Refused unless it is https, or http on this machine."""
    try:
        parts = urlsplit(url.strip())
        local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        valid = bool(parts.hostname) and (parts.scheme == "https" or local) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.username is not None or parts.fragment or not url.strip().isprintable() or " " in url.strip():
        raise Refused(f"The setting “{name}” of the OAuth client must be an address that begins with https://.")
    return url.strip()


class _Values:
    """What may stand in an address: the client's own settings anywhere, a connector's below the provider's domain only.

    Whoever edits a connector must not be able to send the client's secret to a host of theirs.
    """

    def __init__(self, registration: Registration, connection_config: Mapping[str, str]) -> None:
        self.client_id = registration.client_id
        self._own = {**DEFAULTS, **_filled(registration.settings)}
        self._connectors = connection_config

    def get(self, name: str, *, is_host: bool) -> str:
        """The value, "" when there is none. `is_host`: it stands for a whole host."""
        return self._own.get(name, "") or ("" if is_host else self._connectors.get(name, ""))


def _fill(url: str | None, values: _Values, facts: OAuthFacts, info: IntegrationTypeInfo) -> str | None:
    """The catalogue's address with its placeholders filled, but those that only the redirect or the grant fills."""
    if url is None or "{" not in url:
        return url

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name == "client_id":
            return quote(values.client_id, safe="")
        if name == "redirect_uri" or name in facts.wire.details:
            return match[0]
        is_host = url[: match.start()].endswith("://") and url[match.end() :][:1] in ("", "/")
        return part_of_address(name, values.get(name, is_host=is_host), info)

    return _PLACEHOLDER.sub(value_of, url)


def part_of_address(name: str, value: str, info: IntegrationTypeInfo) -> str:
    """`value` when it may stand in an address. Raises Refused when it is empty or holds anything but a name or host."""
    if not value:
        raise Refused(f"{info.display_name} needs the setting “{name}” on the OAuth client.")
    if not _PART.fullmatch(value) or ".." in value:
        raise Refused(
            f"The setting “{name}” of the OAuth client can hold letters, digits, dots, hyphens and underscores only."
        )
    return value

"""What a token endpoint gave, read with what the catalogue knows of the provider."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from pydantic import SecretStr

from connectors.core.catalog import OAuthFacts
from connectors.core.oauth.answers import at, scopes_in, seconds, seconds_until, text_at

_REFRESH_EXPIRES_IN = ("refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in")
_REFRESH_EXPIRES_AT = ("refresh_token_expires_at", "refresh_expires_at")
_VISIBLE = frozenset(string.ascii_letters + string.digits + string.punctuation)


@dataclass(frozen=True, slots=True)
class Grant:
    """A fresh access token and what came with it.

    `refresh_token` None: none came, so an older one stays good. Times are in seconds from now, None where the provider
    does not say. `scopes` None: the provider did not say what it granted. `claims` is the id_token's content, {}
    without one. `reply` is the provider's whole answer: it holds the tokens in the clear and is for reading the
    account from at once, never for keeping.
    """

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    token_type: str = ""
    expires_in: float | None = None
    refresh_expires_in: float | None = None
    scopes: tuple[str, ...] | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    reply: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_grant(document: Any, facts: OAuthFacts, *, now: float) -> Grant | None:
    """The grant in an answer, None when there is no usable access token in it. `now` is Unix time."""
    if not isinstance(document, Mapping) or document.get("ok") is False:
        return None
    holder = _holder(document, facts.wire.token_path)
    access_token = _secret(holder.get("access_token"))
    if access_token is None:
        return None
    return Grant(
        access_token=access_token,
        refresh_token=_secret(holder.get("refresh_token")),
        token_type=text_at(holder, ("token_type",))[:30],
        expires_in=_first(holder, ("expires_in",), ("expires_at",), now),
        refresh_expires_in=_first(holder, _REFRESH_EXPIRES_IN, _REFRESH_EXPIRES_AT, now),
        scopes=_scopes(document, holder, facts.granted_scopes_path),
        details=details_in(document, facts.wire.details) | details_in(holder, facts.wire.details),
        claims=claims_in(holder.get("id_token")),
        reply=document,
    )


def details_in(document: Any, places: tuple[str, ...]) -> dict[str, str]:
    """The named values that are there, each under its place."""
    found = ((place, text_at(document, (place,))) for place in places)
    return {place: value for place, value in found if value}


def claims_in(id_token: Any) -> dict[str, Any]:
    """The content of an id_token, {} for anything else.

    Its signature is not checked: it came straight from the token endpoint over TLS (OpenID Connect Core 3.1.3.7).
    """
    if not isinstance(id_token, str):
        return {}
    try:
        return jwt.decode(id_token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        return {}


def _holder(document: Mapping[str, Any], path: str | None) -> Mapping[str, Any]:
    """The object with the tokens: a refresh may give at top level what the code exchange gave further down."""
    inner = at(document, path) if path else None
    return inner if isinstance(inner, Mapping) and inner.get("access_token") else document


def _secret(value: Any) -> SecretStr | None:
    """A token; None for what cannot stand in a header (RFC 6749 A.12 and A.17: visible ASCII)."""
    return SecretStr(value) if isinstance(value, str) and value and _VISIBLE.issuperset(value) else None


def _first(holder: Mapping[str, Any], spans: tuple[str, ...], times: tuple[str, ...], now: float) -> float | None:
    found = next((span for span in (seconds(holder.get(name)) for name in spans) if span is not None), None)
    if found is not None:
        return found
    return next((span for span in (seconds_until(holder.get(name), now) for name in times) if span is not None), None)


def _scopes(document: Mapping[str, Any], holder: Mapping[str, Any], path: str | None) -> tuple[str, ...] | None:
    if path is None:
        return None
    return scopes_in(at(document, path)) or scopes_in(holder.get(path.rpartition(".")[2]))

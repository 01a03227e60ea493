"""Put a request to a provider together: the body, and the proof of who makes it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlencode

from pydantic import SecretStr
from pydantic_core import to_json

from connectors.core.catalog.oauth_facts import Auth, Body
from connectors.core.oauth.profile import Profile, Registration
from connectors.core.oauth.transport import USER_AGENT, Request

_CONTENT_TYPES = {"form": "application/x-www-form-urlencoded", "json": "application/json"}


def client_request(
    profile: Profile,
    registration: Registration,
    url: str,
    params: Mapping[str, str | SecretStr],
    *,
    doing: str,
    method: str = "POST",
    body: Body = "form",
    auth: Auth = "client",
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A request that the OAuth client makes in its own name. `params` go into the body."""
    how = profile.facts.token_auth_method if auth == "client" else auth
    secret = registration.client_secret.get_secret_value()
    sent = {"Accept": "application/json", "User-Agent": USER_AGENT, **(headers or {})}
    fields = {name: _clear(value) for name, value in params.items()}
    if how == "post" or (how == "basic" and not secret):  # a client without a secret only says its name
        fields[profile.facts.wire.client_id_param] = registration.client_id
        fields |= {"client_secret": secret} if secret else {}
    elif how == "basic":
        sent["Authorization"] = _basic(registration.client_id, secret)
    elif how == "header":
        sent["Authorization"] = f"Client {secret}"
    payload = _payload(fields, body)
    if payload is not None:
        sent["Content-Type"] = _CONTENT_TYPES[body]
    hidden = tuple(filter(None, (secret, *(v.get_secret_value() for v in params.values() if isinstance(v, SecretStr)))))
    return Request(profile.name, doing, method, url, sent, payload, hidden)


def bearer_request(
    profile: Profile,
    url: str,
    access_token: SecretStr,
    *,
    doing: str,
    method: str = "GET",
    payload: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Request:
    """A request made with the access token itself. `payload` is JSON."""
    token = access_token.get_secret_value()
    sent = {"Accept": "application/json", "User-Agent": USER_AGENT, "Authorization": f"Bearer {token}"}
    sent |= headers or {}
    if payload is not None:
        sent["Content-Type"] = _CONTENT_TYPES["json"]
    return Request(profile.name, doing, method, url, sent, payload, (token,), by_token=True)


def _clear(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _basic(client_id: str, secret: str) -> str:
    """RFC 6749 2.3.1 wants both form-encoded first. Providers show them as they are, and most take nothing else."""
    return "Basic " + b64encode(f"{client_id}:{secret}".encode()).decode()


def _payload(fields: Mapping[str, str], body: Body) -> bytes | None:
    if body == "empty":
        return None
    return to_json(fields) if body == "json" else urlencode(fields).encode()

"""Endpoints of the stand-in OAuth provider, under `/provider/`: `/oauth/` is Base44's own sign-in.

It is there so that the demo shows the portal's own OAuth without an account anywhere. Tests of the portal's OAuth use a
certified provider instead.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from urllib.parse import unquote_plus

from connectors.core.base44.emulator import oauth_rules
from connectors.core.base44.emulator.oauth_pages import (
    answer_authorize,
    end_consent,
    issuer,
    show_authorize,
    show_consents,
)
from connectors.core.base44.emulator.oauth_rules import Pair
from connectors.core.base44.emulator.oauth_state import OAuthClient
from connectors.core.base44.emulator.routes import Call, Route, route
from connectors.core.base44.emulator.wire import JSON, Answer, Problem, Request

ID_TOKEN_LIFE = 600


def token(call: Call) -> Answer:
    """Exchange a code or a refresh token (RFC 6749, 4.1.3 and 6)."""
    client, form = authenticated(call), call.request.form()
    kind = form.get("grant_type", "")
    if kind == "authorization_code":
        code, verifier = form.get("code", ""), form.get("code_verifier", "")
        pair = oauth_rules.redeem(call.world, client, code, form.get("redirect_uri", ""), verifier)
    elif kind == "refresh_token":
        pair = oauth_rules.rotate(call.world, client, form.get("refresh_token", ""))
    else:
        raise Problem(400, {"error": "unsupported_grant_type"})
    return _private(_tokens(call, pair))


def _tokens(call: Call, pair: Pair) -> dict[str, object]:
    answer: dict[str, object] = {
        "access_token": pair.access,
        "token_type": "Bearer",
        "expires_in": int(pair.client.access_life),
        "refresh_token": pair.refresh,
        "scope": " ".join(pair.grant.scopes),
    }
    if pair.grant.ends_at is not None:
        answer["refresh_token_expires_in"] = int(pair.grant.ends_at - call.world.clock())
    if "openid" in pair.grant.scopes:
        answer["id_token"] = _id_token(call, pair)
    return answer


def _id_token(call: Call, pair: Pair) -> str:
    """Who it is, signed with the client's secret (OpenID Connect Core 1.0, 2 and 10.1)."""
    now = int(call.world.clock())
    claims: dict[str, object] = {
        **_person(call, pair.grant.account),
        "iss": issuer(call.request),
        "aud": pair.client.client_id,
        "iat": now,
        "exp": now + ID_TOKEN_LIFE,
    }
    if pair.grant.nonce:
        claims["nonce"] = pair.grant.nonce
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    key = pair.client.client_secret.encode()
    return f"{signed}.{_encoded(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def revoke(call: Call) -> Answer:
    """End the grant behind a token (RFC 7009); a token that is unknown has ended already."""
    oauth_rules.revoke(call.world, authenticated(call), call.request.form().get("token", ""))
    return _private({})


def introspect(call: Call) -> Answer:
    """What a token of the asking client is good for (RFC 7662)."""
    client = authenticated(call)
    found = oauth_rules.granted_by(call.world, call.request.form().get("token", ""), client=client)
    if found is None:
        return _private({"active": False})
    known, grant = found
    answer: dict[str, object] = {
        "active": True,
        "scope": " ".join(grant.scopes),
        "client_id": grant.client_id,
        "username": grant.account,
        "sub": _person(call, grant.account)["sub"],
    }
    if known.expires_at is not None:
        answer["exp"] = int(known.expires_at)
    return _private(answer)


def userinfo(call: Call) -> Answer:
    """Whose access token it is. Unlike at Google, whatever its scopes are."""
    scheme, _, text = call.request.headers.get("authorization", "").partition(" ")
    found = oauth_rules.granted_by(call.world, text.strip()) if scheme.lower() == "bearer" else None
    if found is None or found[0].is_refresh:
        raise Problem(401, {"error": "invalid_token"}, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return _private(_person(call, found[1].account))


def _person(call: Call, email: str) -> dict[str, object]:
    """The account as others see it; its id is lasting, and not the e-mail address."""
    user = call.world.data.users.get(email)
    lasting = hashlib.sha256(email.lower().encode()).hexdigest()[:20]
    return {"sub": lasting, "email": email, "name": user.name if user else email.partition("@")[0]}


def authenticated(call: Call) -> OAuthClient:
    """The client that asks, by header or form (RFC 6749, 2.3.1). Raises 401 invalid_client."""
    client_id, secret = _credentials(call.request)
    client = call.world.data.oauth.clients.get(client_id)
    if client is None or not secrets.compare_digest(client.client_secret.encode(), secret.encode()):
        raise Problem(401, {"error": "invalid_client"}, {"WWW-Authenticate": 'Basic realm="provider"'})
    return client


def _credentials(request: Request) -> tuple[str, str]:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        form = request.form()
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def _private(value: dict[str, object]) -> Answer:
    return Answer(200, json.dumps(value).encode(), JSON, {"Cache-Control": "no-store"})


OAUTH_ROUTES: list[Route] = [
    route("GET", "/provider", show_consents, ""),
    route("GET", "/provider/authorize", show_authorize, ""),
    route("POST", "/provider/authorize", answer_authorize, ""),
    route("POST", "/provider/consents/{grant}/end", end_consent, ""),
    route("POST", "/provider/token", token, ""),
    route("POST", "/provider/revoke", revoke, ""),
    route("POST", "/provider/introspect", introspect, ""),
    route("GET", "/provider/userinfo", userinfo, ""),
]

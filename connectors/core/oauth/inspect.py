"""Ask a provider about a token it gave: end it, look it up, and learn whose it is."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3
from pydantic import SecretStr

from connectors.core.catalog import IdentityFacts, IntrospectFacts, RevokeFacts
from connectors.core.errors import Refused
from connectors.core.oauth.answers import (
    at,
    document_of,
    error_code,
    refusal,
    says_error,
    scopes_in,
    seconds,
    seconds_until,
    text_at,
)
from connectors.core.oauth.client_auth import bearer_request, client_request
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant
from connectors.core.oauth.profile import Profile, Registration, part_of_address
from connectors.core.oauth.transport import Reply, Request, send

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Introspection:
    """What a provider says of an access token. None: it does not say.

    `expires_in` is in seconds from now; `account` is for people, "" when it is not told.
    """

    active: bool | None
    scopes: tuple[str, ...] | None = None
    expires_in: float | None = None
    account: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is: the provider's lasting id, and an e-mail address or else a name."""

    id: str
    label: str


def revoke(
    profile: Profile,
    registration: Registration,
    access_token: SecretStr,
    refresh_token: SecretStr | None,
    *,
    pool: urllib3.PoolManager | None = None,
) -> None:
    """End the token at the provider; one that had ended before counts as ended. Raises OAuthError."""
    facts = profile.facts.revocation
    request = _revocation(profile, registration, access_token, refresh_token)
    reply = send(request, pool=pool)
    if _ended(reply, facts.gone_statuses, facts.gone_codes):
        return
    failed = _failed(request, reply, profile)
    if failed is not None:
        raise failed


def introspect(
    profile: Profile,
    registration: Registration,
    access_token: SecretStr,
    refresh_token: SecretStr | None = None,
    *,
    pool: urllib3.PoolManager | None = None,
) -> Introspection:
    """What the provider says of the access token, or of the refresh token when that is all there is.

    Raises OAuthError.
    """
    facts = profile.facts.introspection
    request = _lookup(profile, registration, access_token, refresh_token)
    reply = send(request, pool=pool)
    if _ended(reply, facts.gone_statuses, facts.gone_codes):
        return Introspection(active=False)
    failed = _failed(request, reply, profile, must_be_read=True)
    if failed is not None:
        raise failed
    return _introspection(reply, facts)


def who(
    profile: Profile,
    access_token: SecretStr,
    *,
    grant: Grant | None = None,
    details: Mapping[str, str] | None = None,
    pool: urllib3.PoolManager | None = None,
) -> Account | None:
    """Whose token it is, from the grant where that says it, else asked for; None when the provider does not tell.

    `details` are those of the grant, for a token whose grant is gone. Raises OAuthError when asking fails and the
    grant does not tell either.
    """
    facts = profile.facts.identity
    if facts is None:
        return None
    known = account_in(grant, facts) if grant else Account(text_at(details or {}, facts.grant_id_paths), "")
    if known.id and known.label:
        return known
    try:
        asked = _ask_who(profile, access_token, facts, details or (grant.details if grant else {}), pool)
    except OAuthError:
        if known.id:
            return Account(known.id, known.id)
        raise
    found = Account(known.id or asked.id, known.label or asked.label)
    return Account(found.id, found.label or found.id) if found.id else None


def account_in(grant: Grant, facts: IdentityFacts) -> Account:
    """What the token endpoint's answer says of the account, "" for what it does not say."""
    ids = (text_at(grant.claims, (facts.claim_id,)) if facts.claim_id else "", *_found(grant, facts.grant_id_paths))
    labels = (text_at(grant.claims, facts.label_paths), *_found(grant, facts.grant_label_paths))
    return Account(next(filter(None, ids), ""), next(filter(None, labels), ""))


def _found(grant: Grant, paths: tuple[str, ...]) -> tuple[str, str]:
    return text_at(grant.reply, paths), text_at(grant.details, paths)


def _revocation(
    profile: Profile, registration: Registration, access_token: SecretStr, refresh_token: SecretStr | None
) -> Request:
    facts, doing = profile.facts.revocation, "revoke the token"
    url = _url(profile, profile.revoke_url, doing)
    if facts.auth == "bearer":
        return bearer_request(profile, url, access_token, doing=doing, method=facts.method, headers=facts.headers)
    has_refresh = bool(refresh_token and refresh_token.get_secret_value())
    kind = "access" if facts.either and not has_refresh else facts.sends
    token = refresh_token if kind == "refresh" else access_token
    if token is None or not token.get_secret_value():
        raise _cannot(profile, doing, "there is no token to send", code="no_token")
    params: dict[str, str | SecretStr] = {facts.param: token}
    if facts.hint:
        params["token_type_hint"] = f"{kind}_token"
    if facts.client_id_param:
        params[facts.client_id_param] = registration.client_id
    return _signed(profile, registration, url, params, facts, doing)


def _lookup(
    profile: Profile, registration: Registration, access_token: SecretStr, refresh_token: SecretStr | None
) -> Request:
    facts, doing = profile.facts.introspection, "look up the token"
    url = _url(profile, profile.introspect_url, doing)
    if facts.auth == "bearer":
        return bearer_request(profile, url, access_token, doing=doing, method=facts.method, headers=facts.headers)
    has_access = bool(access_token.get_secret_value()) or refresh_token is None
    params: dict[str, str | SecretStr] = {facts.param: access_token if has_access else refresh_token or access_token}
    if facts.hint:
        params["token_type_hint"] = "access_token" if has_access else "refresh_token"
    return _signed(profile, registration, url, params, facts, doing)


def _signed(
    profile: Profile,
    registration: Registration,
    url: str,
    params: Mapping[str, str | SecretStr],
    facts: RevokeFacts | IntrospectFacts,
    doing: str,
) -> Request:
    return client_request(
        profile,
        registration,
        url,
        params,
        doing=doing,
        method=facts.method,
        body=facts.body,
        auth=facts.auth,
        headers=facts.headers,
    )


def _ended(reply: Reply, statuses: tuple[int, ...], codes: tuple[str, ...]) -> bool:
    if reply.status in statuses:
        return True
    document = document_of(reply)
    return (reply.status >= 400 or says_error(document)) and error_code(document) in codes


def _failed(request: Request, reply: Reply, profile: Profile, *, must_be_read: bool = False) -> OAuthError | None:
    document = document_of(reply)
    readable = isinstance(document, (Mapping, list)) or not must_be_read
    if 200 <= reply.status < 300 and readable and not says_error(document):
        return None
    return refusal(request, reply, document, profile.facts.wire, wall_time=time.time())


def _introspection(reply: Reply, facts: IntrospectFacts) -> Introspection:
    document, now = document_of(reply), time.time()
    said = at(document, facts.active_path) if facts.active_path else True
    active = said if isinstance(said, bool) else {"true": True, "false": False}.get(str(said).lower())
    listed: Any = at(document, facts.scopes_path) if facts.scopes_path else None
    if facts.scopes_header:
        listed = reply.headers.get(facts.scopes_header.lower())
    span = seconds(at(document, facts.expires_in_path)) if facts.expires_in_path else None
    if span is None and facts.expires_at_path:
        span = seconds_until(at(document, facts.expires_at_path), now)
    return Introspection(active, scopes_in(listed), span, text_at(document, facts.account_paths))


def _ask_who(
    profile: Profile,
    access_token: SecretStr,
    facts: IdentityFacts,
    details: Mapping[str, str],
    pool: urllib3.PoolManager | None,
) -> Account:
    if profile.userinfo_url is None:
        return Account("", "")
    doing = "say whose token it is"
    request = bearer_request(
        profile,
        _filled(profile, profile.userinfo_url, details, doing),
        access_token,
        doing=doing,
        method=facts.method,
        payload=facts.query.encode() if facts.query else None,
        headers=facts.headers,
    )
    reply = send(request, pool=pool)
    failed = _failed(request, reply, profile, must_be_read=True)
    if failed is not None:
        raise failed
    document = document_of(reply)
    return Account(text_at(document, facts.id_paths), text_at(document, facts.label_paths))


def _filled(profile: Profile, url: str, details: Mapping[str, str], doing: str) -> str:
    """The address with the host that the grant named. Raises OAuthError when it is missing or no host."""
    try:
        return _PLACEHOLDER.sub(lambda match: part_of_address(match[1], details.get(match[1], ""), profile.info), url)
    except Refused:
        raise _cannot(profile, doing, "the grant does not name the host", code="no_host") from None


def _url(profile: Profile, url: str | None, doing: str) -> str:
    if url is None:
        raise _cannot(profile, doing, "it has no such call", code="unsupported")
    return url


def _cannot(profile: Profile, doing: str, why: str, *, code: str) -> OAuthError:
    return OAuthError(f"{profile.name} cannot {doing}: {why}.", kind=Kind.REFUSED, code=code)

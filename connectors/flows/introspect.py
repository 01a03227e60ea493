"""Ask the provider what a token is worth: whether it still works, what it opens, until when, and for whom."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.oauth import inspect, schedule
from connectors.core.oauth.errors import OAuthError
from connectors.core.oauth.inspect import Introspection
from connectors.core.oauth.profile import Profile
from connectors.core.oauth.token_endpoint import TokenEndpoint
from connectors.flows import ledger
from connectors.flows.events import changes, record_event
from connectors.flows.oauth_clients import registration_of
from connectors.flows.refresh import refresh_now
from connectors.flows.token_profile import lacking, profile_for
from connectors.models import Token

State = Token.State

ENDED = "The provider says that the token has ended, and there is nothing to renew it with."
_SLACK = dt.timedelta(minutes=1)
"""Two answers to when a token ends may differ by so much for the time that asking takes."""


def introspect_token(token: Token, actor: Actor) -> Introspection:
    """Asks the provider about the token, and stores what it says that was not known.

    One that has ended is refreshed; where that cannot be done, it needs consent. Raises Refused where the provider
    takes no such call, and OAuthError when it cannot be asked; then nothing has changed, and that it was tried is on
    record.
    """
    profile, registration = _profile(token), registration_of(token.oauth_client)
    access, refresh = SecretStr(token.access_token.reveal()), SecretStr(token.refresh_token.reveal())
    try:
        learnt = inspect.introspect(profile, registration, access, refresh)
    except OAuthError as error:
        record_event(actor, "token.introspection_failed", token, note=str(error))
        raise
    renews = TokenEndpoint(profile, registration).can_refresh(refresh)
    current = _store(token, learnt, actor, renews=renews)
    if current and learnt.active is False and token.state in (State.FRESH, State.FAILING):
        refresh_now(token, actor)
    token.refresh_from_db()
    return learnt


def why_not(token: Token) -> str:
    """Why the provider cannot be asked about this token, "" when it can."""
    try:
        _profile(token)
    except Refused as refusal:
        return str(refusal)
    return ""


@transaction.atomic
def _store(token: Token, learnt: Introspection, actor: Actor, *, renews: bool) -> bool:
    """Writes what was learnt of this pair of tokens; False, and nothing is written, when another is there by now."""
    row = Token.objects.select_related("connector__project").get(pk=token.pk)
    news = _news(row, learnt, timezone.now(), renews=renews)
    if not Token.objects.filter(pk=row.pk, generation=token.generation).update(**news, generation=token.generation):
        return False
    before = _known(row)
    for name, value in news.items():
        setattr(row, name, value)
    old, new = changes(before, _known(row))
    record_event(actor, "token.introspected", row, before=old, after={"active": learnt.active, **new})
    if row.state != token.state and row.state == State.NEEDS_CONSENT:
        record_event(actor, "token.needs_consent", row, note=row.last_error)
    if new:
        ledger.note([row.connector_id], actor, "token.introspected")
    token.state = row.state
    return True


def _news(row: Token, learnt: Introspection, now: dt.datetime, *, renews: bool) -> dict[str, Any]:
    """The fields that the answer changes."""
    found: dict[str, Any] = {}
    if learnt.scopes is not None:
        found["granted_scopes"] = list(learnt.scopes)
    if learnt.account and not row.account:
        found["account"] = learnt.account[:254]
    if learnt.active is False:
        if not renews and row.state in (State.FRESH, State.FAILING):
            found |= {"state": State.NEEDS_CONSENT, "refresh_at": None, "last_error": ENDED}
        return found
    if learnt.expires_in is not None:
        found |= _times(row, now + dt.timedelta(seconds=learnt.expires_in), renews=renews)
    return found


def _times(row: Token, expires: dt.datetime, *, renews: bool) -> dict[str, Any]:
    """A new end of the access token and when to renew it; nothing when it is the one that is known."""
    if row.expires_at is not None and abs(expires - row.expires_at) < _SLACK:
        return {}
    times: dict[str, Any] = {"expires_at": expires}
    if renews and row.state == State.FRESH:
        times["refresh_at"] = schedule.refresh_at(row.issued_at, expires, random.random())  # noqa: S311 - spreads load
    return times


def _known(row: Token) -> dict[str, Any]:
    """What an event shows of the row."""
    expires = row.expires_at.isoformat(timespec="seconds") if row.expires_at else None
    return {"granted_scopes": row.granted_scopes, "account": row.account, "expires_at": expires, "state": row.state}


def _profile(token: Token) -> Profile:
    """How to ask the provider about this token. Raises Refused when it takes no such call."""
    if token.state == State.REVOKED:
        raise Refused("The token was revoked, so there is nothing to ask about it.")
    profile = profile_for(token)
    if profile.introspect_url is None:
        words = f"{profile.name} does not tell what a token can do."
        raise Refused(lacking(token, "introspect_url", "looking up a token") or words)
    return profile

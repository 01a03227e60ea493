"""End tokens: at the provider, where it can, or here only. Shows first what else would end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from django.db import transaction
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.errors import PortalError, Refused
from connectors.core.oauth import inspect
from connectors.core.oauth.profile import Profile
from connectors.flows import ledger
from connectors.flows.approval_matters import ending_matters
from connectors.flows.approvals import allow
from connectors.flows.events import record_event
from connectors.flows.lease import LAST_CALL, LOOK_AGAIN
from connectors.flows.oauth_clients import registration_of
from connectors.flows.refresh import TOKENS, refresh_now
from connectors.flows.token_profile import lacking, profile_for
from connectors.models import Sealed, Token

PATIENCE = LAST_CALL
"""How long to wait for a refresh that is under way."""

Reach = Literal["pair", "account"] | None
"""What ends with a token at its provider: its own pair, all that the account gave to the client, or nobody knows."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one token: whether it is known to have ended at the provider, and a sentence on it."""

    token: Token
    ended: bool
    words: str


def siblings(token: Token) -> list[Token]:
    """Other live tokens of the same account and client, with their connectors: they may end with this one.

    While the account is not known, these are the client's live tokens whose account is not known either.
    """
    rows = Token.objects.siblings_of(token).select_related("connector__project", "connector__integration_type")
    return list(rows.defer("access_token", "refresh_token", "connector__source"))


def reach_of(token: Token) -> Reach:
    """How far the provider's revocation goes, None when it is not known. Raises Refused where it has none."""
    return _profile(token).facts.revocation.reach


def why_not(token: Token) -> str:
    """Why the provider cannot be asked to end this token and what to do instead; "" when it can."""
    if token.state == Token.State.REVOKED:
        return "The token was revoked already."
    try:
        _profile(token)
    except Refused as refusal:
        return str(refusal)
    return ""


def revoke_tokens(tokens: Sequence[Token], actor: Actor) -> list[Outcome]:
    """Asks the provider to end each of the tokens, and forgets their texts as it does.

    One that fails keeps the others from nothing; its outcome says why, and it stays as it was. Raises Refused, before
    anything is done, when the provider takes no such call, and ApprovalNeeded where another person has to approve it.
    """
    for token in tokens:
        _profile(token)
    allow(ending_matters(tokens, "revoke"), actor)
    return [_revoked(token, actor) for token in tokens]


def forget_token(token: Token, actor: Actor) -> None:
    """Deletes the token here, with its history. At the provider it stays valid until it ends by itself.

    Raises ApprovalNeeded where another person has to approve it.
    """
    held = _taken(token.pk)
    with _given_back(held), transaction.atomic():
        allow(ending_matters([held], "forget"), actor)
        before = {"account": held.account, "access_token": held.access_token, "refresh_token": held.refresh_token}
        note = "" if held.state == Token.State.REVOKED else "It was not revoked: at the provider it stays valid."
        record_event(actor, "token.forgotten", held, before=before, note=note)
        held.delete()
        ledger.note([held.connector_id], actor, "token.forgotten")


@contextmanager
def _given_back(held: Token) -> Iterator[None]:
    """A token that is ours alone is free again when it could not be ended."""
    try:
        yield
    except BaseException:
        TOKENS.release(held.pk, held.generation)
        raise


def _revoked(token: Token, actor: Actor) -> Outcome:
    try:
        _renew_access(token, actor)
        held = _taken(token.pk)
        if held.state == Token.State.REVOKED:
            TOKENS.release(held.pk, held.generation)
            return Outcome(held, ended=True, words="It had been revoked already.")
        return _asked(held, actor)
    except Token.DoesNotExist:
        return Outcome(token, ended=True, words="It was forgotten meanwhile.")
    except PortalError as error:
        return Outcome(token, ended=False, words=str(error))


def _renew_access(token: Token, actor: Actor) -> None:
    """Gets an access token that works, where the provider is told of its end with that and not the refresh token."""
    facts = _profile(token).facts.revocation
    if (facts.auth == "bearer" or facts.sends == "access") and token.is_expired(timezone.now()):
        with suppress(PortalError):  # then the one there is has to do; the provider's answer to it is what counts
            refresh_now(token, actor)


def _asked(held: Token, actor: Actor) -> Outcome:
    """Asks the provider about a token that is ours, and stores what came of it. Always gives the token back."""
    with _given_back(held):
        profile, registration = _profile(held), registration_of(held.oauth_client)
        inspect.revoke(profile, registration, _text(held.access_token), _text(held.refresh_token))
    with transaction.atomic():
        before = {"state": held.state, "account": held.account}
        _mark(held)
        record_event(actor, "token.revoked", held, before=before, after={"state": held.state})
        ledger.note([held.connector_id], actor, "token.revoked")
    return Outcome(held, ended=True, words=f"{profile.name} has ended it.")


def _mark(held: Token) -> None:
    """The row of a token that has ended: nobody needs its texts any more, and nothing refreshes it."""
    held.state, held.refresh_at = Token.State.REVOKED, None
    ended = {"access_token": Sealed(), "refresh_token": Sealed(), "state": held.state, "refresh_at": None}
    cleared = {"failures": 0, "failing_since": None, "last_error": "", "last_error_code": ""}
    TOKENS.store(held.pk, held.generation, **ended, **cleared)


def _profile(token: Token) -> Profile:
    """How to ask the provider about this token. Raises Refused when it takes no call that ends one."""
    profile = profile_for(token)
    if profile.revoke_url is None:
        if words := lacking(token, "revoke_url", "revoking"):
            raise Refused(words)
        name = profile.name
        where = profile.facts.revocation.elsewhere or (
            f"The account's owner ends it at {name}, in the account's settings where connected apps are listed."
        )
        raise Refused(f"{name} takes no call that ends a token. {where} Then forget it here.")
    return profile


def _taken(token_id: int) -> Token:
    """The token, ours alone: no refresh runs, and none begins. Raises Refused when one does not come to an end."""
    give_up = timezone.now() + PATIENCE
    while True:
        token = Token.objects.select_related("oauth_client", "connector__project").get(pk=token_id)
        if TOKENS.take(token.pk, token.generation, timezone.now()):
            return token
        if timezone.now() > give_up:
            raise Refused("The token is being refreshed and that does not come to an end. Try again in a minute.")
        time.sleep(LOOK_AGAIN)


def _text(sealed: Sealed) -> SecretStr:
    return SecretStr(sealed.reveal())

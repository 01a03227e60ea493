"""Authorise a connector with the team's own OAuth client: leave for the provider, come back once, store the token."""

from __future__ import annotations

import datetime as dt
import random
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol

from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac
from pydantic import SecretStr

from connectors.core.actor import Actor
from connectors.core.crypto import fingerprint
from connectors.core.errors import PortalError, Refused
from connectors.core.oauth import answer_check
from connectors.core.oauth.answer_check import CallbackAnswer, Fault
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant
from connectors.core.oauth.inspect import Account
from connectors.core.oauth.profile import Profile
from connectors.core.oauth.support import Level, support_of
from connectors.core.policy import PolicyRefused
from connectors.core.scopes import ScopeRules
from connectors.flows import ledger
from connectors.flows.consent import refuse_undeclared
from connectors.flows.events import record_event
from connectors.flows.policies import Proposal, judge, refuse, refuse_broken
from connectors.flows.refresh_store import blame_client, times_of
from connectors.models import Authorisation, Connector, ConsentLink, OAuthClient, Sealed, Token

Outcome = Authorisation.Outcome

TIME_TO_DECIDE = dt.timedelta(minutes=15)
"""How long a person has at the provider; logging in there with a second factor takes its time."""

RULES = ScopeRules()

_FAULTS = {
    Fault.DENIED: Outcome.DENIED,
    Fault.DOWN: Outcome.PROVIDER_DOWN,
    Fault.ERROR: Outcome.PROVIDER_ERROR,
    Fault.CLIENT: Outcome.CLIENT_ERROR,
    Fault.NOT_TRUSTED: Outcome.NOT_TRUSTED,
}
_KINDS = {Kind.TRANSIENT: Outcome.PROVIDER_DOWN, Kind.CLIENT: Outcome.CLIENT_ERROR}


class Trip(Protocol):
    """The way back from one provider, as allauth's class for it goes it."""

    profile: Profile
    client_id: str

    def exchange(self) -> Grant:
        """The tokens for the code in the callback. Raises OAuthError."""

    def identify(self, grant: Grant) -> Account | None:
        """Whose tokens they are; None when these scopes do not let the provider say."""

    def can_refresh(self, grant: Grant) -> bool:
        """Whether there is something to refresh them with."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Who asks for what, before leaving for the provider."""

    connector: Connector
    oauth_client: OAuthClient
    user_id: int
    session_key: str = field(repr=False)
    redirect_uri: str
    allow_other_account: bool = False
    consent_link: ConsentLink | None = None


NOT_STARTED_HERE = (
    "This answer belongs to a sign-in that was not started here, or not by you, or not in this browser session."
)


class StateError(PortalError):
    """An answer of a provider that this person, in this session, is not waiting for (any more)."""


def refuse_hopeless(connector: Connector, oauth_client: OAuthClient) -> None:
    """Raises Refused when this connector cannot or must not be authorised with this client, and says why."""
    refuse_undeclared(connector)
    info = RULES.catalog.types.get(connector.integration_type_id)
    if info is None:
        raise Refused(f"The portal does not know how {connector.integration_type} does OAuth: let Base44 host it.")
    support = support_of(info)
    if support.level == Level.NONE:
        raise Refused(support.why)
    if not OAuthClient.objects.serving(connector).filter(pk=oauth_client.pk).exists():
        raise Refused(f"The OAuth client {oauth_client} does not serve this connector.")
    if info.has_scopes and not connector.scopes:
        raise Refused("This connector declares no scopes: add those that the app needs first.")
    refuse_broken(connector.project, connector.integration_type_id, connector.scopes, held_scopes(connector))


def held_scopes(connector: Connector) -> list[str] | None:
    """What the connector's token is good for: authorising it anew adds none of this. None without a live token."""
    token = Token.objects.filter(connector=connector).alive().only("granted_scopes", "asked_scopes").first()
    if token is None:
        return None
    return list(token.asked_scopes if token.granted_scopes is None else token.granted_scopes)


def depart(wish: Wish, *, verifier: SecretStr | None, nonce: SecretStr, now: dt.datetime) -> SecretStr:
    """Notes that this person leaves for the provider, and returns the `state` that the answer must bring back."""
    state = secrets.token_urlsafe(32)
    Authorisation.objects.create(
        state_hash=fingerprint(state),
        connector=wish.connector,
        oauth_client=wish.oauth_client,
        consent_link=wish.consent_link,
        user_id=wish.user_id,
        session_hash=_session_hash(wish.session_key),
        asked_scopes=list(wish.connector.scopes),
        redirect_uri=wish.redirect_uri,
        verifier=Sealed.of(verifier.get_secret_value() if verifier else ""),
        nonce=Sealed.of(nonce.get_secret_value()),
        allow_other_account=wish.allow_other_account,
        created_at=now,
        expires_at=now + TIME_TO_DECIDE,
    )
    return SecretStr(state)


def claim(state: str, oauth_client: OAuthClient, *, user_id: int, session_key: str, now: dt.datetime) -> Authorisation:
    """The authorisation that this answer belongs to, claimed: nobody gets it a second time.

    Raises StateError for an unknown, foreign, expired or used state; the four are told apart only to their owner.
    """
    found = (
        Authorisation.objects.select_related("connector__project__workspace", "connector__integration_type")
        .select_related("oauth_client", "consent_link")
        .defer("connector__source")
        .filter(state_hash=fingerprint(state), oauth_client=oauth_client, user_id=user_id)
        .first()
    )
    if found is None or not constant_time_compare(found.session_hash, _session_hash(session_key)):
        raise StateError(NOT_STARTED_HERE)
    if not Authorisation.objects.filter(pk=found.pk, claimed_at=None).update(claimed_at=now):
        raise StateError("This answer was used already: an answer of a provider counts once.")
    found.claimed_at = now
    if now >= found.expires_at:
        _close(found, Outcome.EXPIRED, "It took too long. Start again.", now)
        raise StateError("This sign-in took too long, and nothing was changed. Start again.")
    return found


def finish(trip_of: Authorisation, answer: CallbackAnswer, trip: Trip, actor: Actor, now: dt.datetime) -> Authorisation:
    """Checks the provider's answer, exchanges the code and stores the token; returns what came of it.

    Whatever goes wrong has its outcome and message, and leaves the connector with the token it had.
    """
    try:
        grant, account = _received(trip_of, answer, trip)
    except _Stopped as stop:
        if stop.outcome == Outcome.CLIENT_ERROR:
            blame_client(trip_of.oauth_client_id, stop.message, actor)
        return _failed(trip_of, stop.outcome, stop.message, actor, now)
    with transaction.atomic(durable=True):
        return _settle(trip_of, grant, account, trip, actor, now)


class _Stopped(Exception):
    """The end of the way before there is a token to store."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(outcome)
        self.outcome, self.message = outcome, message


def _received(trip_of: Authorisation, answer: CallbackAnswer, trip: Trip) -> tuple[Grant, Account | None]:
    name = trip.profile.name
    if problem := answer_check.problem_of(answer, trip.profile):
        raise _Stopped(_FAULTS[problem.fault], problem.text)
    try:
        grant = trip.exchange()
    except OAuthError as error:
        raise _Stopped(_KINDS.get(error.kind, Outcome.PROVIDER_ERROR), str(error)) from None
    nonce = trip_of.nonce.reveal() if "openid" in trip_of.asked_scopes else None
    if problem := answer_check.problem_of_claims(grant.claims, trip.profile, trip.client_id, nonce):
        raise _Stopped(_FAULTS[problem.fault], problem.text)
    try:
        account = trip.identify(grant)
    except OAuthError:
        account = None
    _check_domain(trip_of, account, name)
    _check_policies(trip_of, account)
    return grant, account


def _check_domain(trip_of: Authorisation, account: Account | None, provider: str) -> None:
    workspace = trip_of.connector.project.workspace
    allowed = workspace.allowed_account_domains
    if not allowed:
        return
    domains = " or ".join(allowed)
    label = account.label if account else ""
    if "@" not in label:
        text = f"{provider} did not say whose account it is, and {workspace} allows only accounts of {domains}."
        raise _Stopped(Outcome.WRONG_DOMAIN, f"{text} Add a scope that tells the e-mail address.")
    if label.rpartition("@")[2].lower() not in allowed:
        raise _Stopped(Outcome.WRONG_DOMAIN, f"{label} can't be used: {workspace} allows only accounts of {domains}.")


def _account_of(connector: Connector) -> str:
    return Token.objects.filter(connector=connector).alive().values_list("account", flat=True).first() or ""


def _check_policies(trip_of: Authorisation, account: Account | None) -> None:
    """Some rules are about accounts, and only now it is known whose this is."""
    connector = trip_of.connector
    if account is None or account.label == _account_of(connector):
        return
    type_ = connector.integration_type_id
    change = Proposal(connector.project, {type_: trip_of.asked_scopes}, accounts={type_: account.label})
    judged = judge([change])[connector.project_id]
    try:
        refuse(connector.project, [one for one in judged if one.finding.rule.account_domains])
    except PolicyRefused as error:
        raise _Stopped(Outcome.WRONG_DOMAIN, str(error)) from None


def _settle(
    trip_of: Authorisation, grant: Grant, account: Account | None, trip: Trip, actor: Actor, now: dt.datetime
) -> Authorisation:
    held = Token.objects.select_for_update(of=("self",)).filter(connector=trip_of.connector_id).first()
    trip_of.account = account.label[:254] if account else ""
    if held is not None and not trip_of.allow_other_account and _is_another(held, account):
        text = (
            f"You signed in as {trip_of.account}, but this connector belongs to {held.account or 'another account'}. "
            "Sign in with that account, or allow another one when you start."
        )
        return _failed(trip_of, Outcome.OTHER_ACCOUNT, text, actor, now)
    missing = missing_scopes(trip_of.connector.integration_type_id, trip_of.asked_scopes, grant.scopes)
    if missing and held is not None and _had_more(held, trip_of, missing):
        text = f"Fewer scopes were granted than before, so the token of before was kept. Missing: {', '.join(missing)}."
        return _failed(trip_of, Outcome.FEWER_SCOPES, text, actor, now)
    _store(held, trip_of, grant, account, trip, actor, now)
    if missing:
        text = f"Connected, but not with everything that was asked for. Missing: {', '.join(missing)}."
        return _close(trip_of, Outcome.FEWER_SCOPES, text, now)
    return _close(trip_of, Outcome.CONNECTED, _connected(trip_of, grant), now)


def abort(trip_of: Authorisation, message: str, actor: Actor, now: dt.datetime) -> Authorisation:
    """Ends a trip whose answer the portal itself cannot take, for want of a key or a setting."""
    return _failed(trip_of, Outcome.CLIENT_ERROR, message, actor, now)


def missing_scopes(type_: str, asked: list[str], granted: tuple[str, ...] | list[str] | None) -> list[str]:
    """What was asked for and not granted, other spellings and implied scopes aside; nothing while that is unknown."""
    return [] if granted is None else list(RULES.compare(type_, asked, granted).added)


def _is_another(held: Token, account: Account | None) -> bool:
    """Whether the account is known to be another one than the token's."""
    return account is not None and bool(account.id) and bool(held.account_id) and account.id != held.account_id


def _had_more(held: Token, trip_of: Authorisation, missing: list[str]) -> bool:
    """Whether the token that is there, still good, has a scope of those that the new one lacks."""
    if held.state not in (Token.State.FRESH, Token.State.FAILING) or held.granted_scopes is None:
        return False
    type_ = trip_of.connector.integration_type_id
    return not set(missing) <= set(missing_scopes(type_, trip_of.asked_scopes, held.granted_scopes))


def _store(
    held: Token | None,
    trip_of: Authorisation,
    grant: Grant,
    account: Account | None,
    trip: Trip,
    actor: Actor,
    now: dt.datetime,
) -> None:
    """Puts the token in place of the one that is there, as a new generation: a refresh under way loses."""
    token = held or Token(connector=trip_of.connector)
    before = {"account": token.account, "granted_scopes": token.granted_scopes} if held else {}
    token.oauth_client = trip_of.oauth_client
    token.access_token = Sealed.of(grant.access_token.get_secret_value())
    token.refresh_token = Sealed.of(grant.refresh_token.get_secret_value() if grant.refresh_token else "")
    token.token_type, token.details = grant.token_type[:30], dict(grant.details)
    token.redirect_uri, token.asked_scopes = trip_of.redirect_uri, trip_of.asked_scopes
    token.granted_scopes = list(grant.scopes) if grant.scopes is not None else None
    token.account, token.account_id = trip_of.account, (account.id[:255] if account else "")
    token.authorised_at, token.authorised_by_id = now, trip_of.user_id
    token.authorised_by_label = actor.label[:200]
    token.refresh_expires_at = None  # the provider's own word only; the forecast adds what is known of its habits
    usual = trip.profile.facts.refresh.access_token_lifetime_s
    for name, value in times_of(grant, now, random.random(), usual).items():  # noqa: S311 - spreads load
        setattr(token, name, value)
    if not trip.can_refresh(grant):
        token.refresh_at = None
    token.state, token.failures, token.failing_since = Token.State.FRESH, 0, None
    token.last_error, token.last_error_code, token.refreshed_at, token.refresh_count = "", "", None, 0
    token.death_warned_for, token.lease_until, token.generation = None, None, token.generation + 1
    token.save()
    after = {"account": token.account, "granted_scopes": token.granted_scopes, "client": trip_of.oauth_client.name}
    record_event(actor, "token.authorised", token, before=before, after=after)
    ledger.note([token.connector_id], actor, "token.authorised", now=now)


def _connected(trip_of: Authorisation, grant: Grant) -> str:
    whom = f" as {trip_of.account}" if trip_of.account else ""
    if grant.scopes is None:
        return f"Connected{whom}. The provider does not say which scopes it granted."
    return f"Connected{whom}, with every scope that was asked for."


def _failed(trip_of: Authorisation, outcome: Outcome, message: str, actor: Actor, now: dt.datetime) -> Authorisation:
    record_event(actor, "authorisation.failed", trip_of.connector, after={"outcome": outcome.value}, note=message)
    return _close(trip_of, outcome, message, now)


def _close(trip_of: Authorisation, outcome: Outcome, message: str, now: dt.datetime) -> Authorisation:
    """Ends the trip; what was secret about it is forgotten."""
    trip_of.outcome, trip_of.message, trip_of.finished_at = outcome, message[:500], now
    trip_of.verifier, trip_of.nonce = Sealed(), Sealed()
    trip_of.save(update_fields=["outcome", "message", "finished_at", "verifier", "nonce", "account"])
    return trip_of


def forget_abandoned(now: dt.datetime) -> int:
    """Closes the trips from which nobody came back; returns how many."""
    stale = Authorisation.objects.pending().filter(expires_at__lt=now)
    text = "Nobody came back from the provider in time."
    blank: dict[str, Any] = {"verifier": Sealed(), "nonce": Sealed()}
    return stale.update(outcome=Outcome.EXPIRED, message=text, finished_at=now, **blank)


def _session_hash(session_key: str) -> str:
    return salted_hmac("connectors.authorise", session_key, algorithm="sha256").hexdigest()

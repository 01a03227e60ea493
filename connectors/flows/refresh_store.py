"""Write down what came of refreshes: new tokens, why there are none, and when to try again."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.errors import PortalError
from connectors.core.oauth import schedule
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant
from connectors.flows import ledger
from connectors.flows.events import Change, record_event, record_events
from connectors.models import OAuthClient, Sealed, Token, TokenRefresh

log = logging.getLogger(__name__)

Outcome = TokenRefresh.Outcome
State = Token.State

_STORE_TRIES = 6
_REFUSALS = 3
"""A refusal that no later try is likely to change is tried again this often, then left to a person."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one refresh. `took` is in seconds; `sent` False: no call was made, somebody else may make it.

    `usual` is the usual life of such an access token in seconds, for a provider that does not say; None: not known.
    """

    token_id: int
    generation: int
    grant: Grant | None
    error: PortalError | None
    took: float
    at: dt.datetime
    jitter: float
    sent: bool = True
    usual: float | None = None


def store_answers(answers: Sequence[Answer], actor: Actor) -> None:
    """Stores the answers in one transaction, each only in place of the pair of tokens that it replaces.

    A provider that rotates has forgotten the old refresh token by now, so a database that is away for a moment is
    asked again on a new connection.
    """
    for attempt in range(1, _STORE_TRIES + 1):
        try:
            with transaction.atomic(durable=True):
                _store(answers, actor)
        except (OperationalError, InterfaceError) as error:
            if attempt == _STORE_TRIES or connection.in_atomic_block:
                raise
            log.warning("%d refreshed tokens could not be stored yet: %s", len(answers), type(error).__name__)
            connection.close()
            time.sleep(0.2 * 2**attempt)
        else:
            return


def _store(answers: Sequence[Answer], actor: Actor) -> None:
    keys = [answer.token_id for answer in answers]
    rows = {row.pk: row for row in Token.objects.filter(pk__in=keys).order_by("pk").select_for_update(of=("self",))}
    changed: list[Token] = []
    history: list[TokenRefresh] = []
    opens_else: list[int] = []
    for answer in answers:
        row = rows.get(answer.token_id)
        if not answer.sent or row is None or row.generation != answer.generation:
            continue  # given up, deleted or authorised anew while we asked: the lease, if any, is no longer ours
        row.lease_until = None
        changed.append(row)
        before = _opens(row)
        history.append(_note(row, answer, actor))
        if _opens(row) != before:
            opens_else.append(row.connector_id)
    # An upsert of rows that are there and locked: Django's bulk_update takes ten times as long to build its statement.
    Token.objects.bulk_create(changed, update_conflicts=True, update_fields=_FIELDS, unique_fields=["id"])
    TokenRefresh.objects.bulk_create(history)
    _put_on_record(history, actor)
    ledger.note(opens_else, actor, "token.refreshed")


def _put_on_record(lines: Sequence[TokenRefresh], actor: Actor) -> None:
    """What somebody asked for, and what failed. That a token was renewed in time is in its own history alone."""
    told = [line for line in lines if line.outcome != Outcome.OK or actor != SCHEDULER]
    if not told:
        return
    named = Token.objects.with_names().in_bulk([line.token.pk for line in told])
    done = [Change(named[line.token.pk]) for line in told if line.outcome == Outcome.OK]
    failed = [
        Change(named[line.token.pk], after={"outcome": line.outcome}, note=line.note)
        for line in told
        if line.outcome != Outcome.OK
    ]
    record_events(actor, "token.refreshed", done)
    record_events(actor, "token.refresh_failed", failed)


def _opens(row: Token) -> tuple[bool, list[str] | None]:
    """What the ledger says of the token: most refreshes leave it as it is, and cost the ledger nothing."""
    return row.state == State.NEEDS_CONSENT, row.granted_scopes


_FIELDS = [
    "access_token",
    "refresh_token",
    "token_type",
    "details",
    "granted_scopes",
    "issued_at",
    "expires_at",
    "refresh_expires_at",
    "state",
    "refresh_at",
    "refreshed_at",
    "refresh_count",
    "failures",
    "failing_since",
    "last_error",
    "last_error_code",
    "generation",
    "lease_until",
]


def _note(row: Token, answer: Answer, actor: Actor) -> TokenRefresh:
    """Changes the row as the answer says, and returns the line for its history."""
    if answer.grant is not None:
        _renew(row, answer.grant, answer)
        return _line(row, answer, Outcome.OK)
    error = answer.error or OAuthError("The refresh failed.", kind=Kind.TRANSIENT)
    kind = error.kind if isinstance(error, OAuthError) else Kind.REFUSED
    row.failures += 1
    row.failing_since = row.failing_since or answer.at
    row.last_error, row.last_error_code = str(error)[:300], str(getattr(error, "code", ""))[:60]
    if kind == Kind.CONSENT:
        row.state, row.refresh_at = State.NEEDS_CONSENT, None
        record_event(actor, "token.needs_consent", row, note=row.last_error)
        return _line(row, answer, Outcome.CONSENT)
    if kind == Kind.CLIENT:
        blame_client(row.oauth_client_id, row.last_error, actor)
        return _line(row, answer, Outcome.CLIENT)
    _try_again(row, answer, kind, error, actor)
    if getattr(error, "lost", False):
        return _line(row, answer, Outcome.LOST)
    return _line(row, answer, Outcome.TRANSIENT if kind == Kind.TRANSIENT else Outcome.REFUSED)


def _renew(row: Token, grant: Grant, answer: Answer) -> None:
    row.access_token = Sealed.of(grant.access_token.get_secret_value())
    if grant.refresh_token is not None:  # none given: the old one stays good (RFC 6749, 6)
        row.refresh_token = Sealed.of(grant.refresh_token.get_secret_value())
    for name, value in times_of(grant, answer.at, answer.jitter, answer.usual).items():
        setattr(row, name, value)
    if grant.scopes is not None:
        row.granted_scopes = list(grant.scopes)
    row.details = {**row.details, **grant.details}
    row.token_type = grant.token_type[:30] or row.token_type
    row.state = State.FRESH
    row.failures, row.failing_since, row.last_error, row.last_error_code = 0, None, "", ""
    row.refreshed_at, row.refresh_count = answer.at, row.refresh_count + 1
    row.generation += 1


def times_of(grant: Grant, at: dt.datetime, jitter: float, usual: float | None) -> dict[str, Any]:
    """When the pair was issued, when it ends, and when to refresh it; the end of the refresh token only when told.

    A token whose end is not told is refreshed as one of the `usual` life, and not at all where that is not known.
    """
    expires = at + dt.timedelta(seconds=grant.expires_in) if grant.expires_in is not None else None
    expected = expires or (at + dt.timedelta(seconds=usual) if usual else None)
    times: dict[str, Any] = {"issued_at": at, "expires_at": expires}
    times["refresh_at"] = schedule.refresh_at(at, expected, jitter) if expected is not None else None
    if grant.refresh_expires_in is not None:
        times["refresh_expires_at"] = at + dt.timedelta(seconds=grant.refresh_expires_in)
    return times


def _try_again(row: Token, answer: Answer, kind: Kind, error: PortalError, actor: Actor) -> None:
    """Sets when the next attempt is due; none, when there is no sense in one."""
    row.state = State.FAILING
    since = row.failing_since or answer.at
    refused = kind == Kind.REFUSED and row.failures >= _REFUSALS
    if refused or schedule.is_hopeless(answer.at, since, row.expires_at):
        row.refresh_at = None
        record_event(actor, "token.gave_up", row, note=row.last_error)
        return
    row.refresh_at = schedule.next_try(
        answer.at, row.failures, answer.jitter, retry_after=getattr(error, "retry_after", None)
    )


def blame_client(client_id: int, note: str, actor: Actor) -> None:
    """Marks the client, so that none of its tokens is tried until somebody has put it right; the first time only."""
    client = OAuthClient.objects.filter(pk=client_id).exclude(state=OAuthClient.State.MISCONFIGURED)
    if client.update(state=OAuthClient.State.MISCONFIGURED, state_note=note[:300]):
        record_event(actor, "oauth_client.misconfigured", OAuthClient.objects.get(pk=client_id), note=note)


def _line(row: Token, answer: Answer, outcome: Outcome) -> TokenRefresh:
    return TokenRefresh(
        token=row,
        at=answer.at,
        outcome=outcome,
        code="" if outcome == Outcome.OK else row.last_error_code,
        note="" if outcome == Outcome.OK else row.last_error,
        took_ms=round(answer.took * 1000),
        expires_at=row.expires_at,
    )

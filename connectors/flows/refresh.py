"""Keep tokens fresh: of all threads, workers and hosts exactly one refreshes a token, and no answer is thrown away.

Many are refreshed by a pool of threads that talk HTTP only. The thread that called takes the tokens, a few ahead, and
stores whatever answers have come in by the time it looks, in one transaction.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.errors import PortalError, Refused
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant
from connectors.core.oauth.token_endpoint import TokenEndpoint
from connectors.flows.events import record_event
from connectors.flows.lease import LAST_CALL, LEASE, LOOK_AGAIN, RowLease
from connectors.flows.oauth_clients import endpoint_of
from connectors.flows.refresh_store import Answer, store_answers
from connectors.models import Connector, OAuthClient, Token, TokenRefresh

TOKENS = RowLease(Token)
THREADS = 16
AHEAD = 3
"""How many tokens wait for each thread, so that none is idle while answers are stored."""
SCAN_FOR = 600.0
"""Seconds after which a scan takes no more tokens: the next scan does, and a task must come to an end."""


def refresh_due(now: dt.datetime | None = None, *, threads: int = THREADS) -> int:
    """Refreshes every token that is due, and returns how many were tried.

    Any number of workers may run it at once: each takes tokens that no other has.
    """
    due = Token.objects.due(now or timezone.now()).only(*_ASKED_WITH)
    answers: SimpleQueue[Answer] = SimpleQueue()
    outages = Outages()
    tried = waiting = 0
    end = time.monotonic() + SCAN_FOR
    with ThreadPoolExecutor(threads, thread_name_prefix="refresh") as pool:
        more = True
        while more or waiting:
            if more and waiting < AHEAD * threads:
                batch = TOKENS.take_many(due, timezone.now(), 2 * threads) if time.monotonic() < end else []
                more = bool(batch)
                waiting += len(batch)
                for call in _calls(batch, outages):
                    pool.submit(lambda call=call: answers.put(call()))  # type: ignore[misc]
            if waiting:
                arrived = _arrived(answers)
                waiting -= len(arrived)
                tried += len(arrived)
                store_answers(arrived, SCHEDULER)
    return tried


def refresh_now(token: Token, actor: Actor) -> TokenRefresh:
    """Refreshes a token whose time has not come, or comes to the result of whoever is doing it already.

    Raises Refused when there is nothing to refresh with, or a person has to consent anew.
    """
    if token.state in (Token.State.NEEDS_CONSENT, Token.State.REVOKED):
        raise Refused(token.last_error or "Somebody has to authorise this connector again.")
    _settled(token.pk, token.generation, token.failures, actor)
    newest = TokenRefresh.objects.filter(token=token.pk).first()
    if newest is None:
        raise Refused("The token was given anew while you asked: look at it again.")
    return newest


def fresh_access_token(token_id: int, actor: Actor, *, min_left: dt.timedelta = dt.timedelta(seconds=60)) -> SecretStr:
    """The access token for the actor to use, refreshed first when less than `min_left` of it is left.

    Raises Refused when there is no usable one, with the reason; UnreadableSecretError when its key is gone.
    """
    token = Token.objects.get(pk=token_id)
    _refuse_dead(token)
    _note_use(token, actor)
    if not token.is_expired(timezone.now() + min_left):
        return SecretStr(token.access_token.reveal())
    token = _settled(token.pk, token.generation, token.failures, actor)
    _refuse_dead(token)
    if token.is_expired(timezone.now()):
        raise Refused(token.last_error or "The access token has ended and could not be refreshed.")
    return SecretStr(token.access_token.reveal())


@transaction.atomic
def _note_use(token: Token, actor: Actor) -> None:
    """Notes, once an hour, that the token is in use: some providers end what is not used, and a forecast says when."""
    now = timezone.now()
    long_ago = Q(used_at=None) | Q(used_at__lt=now - dt.timedelta(hours=1))
    if Token.objects.filter(long_ago, pk=token.pk).update(used_at=now):
        record_event(actor, "token.used", token)


def _settled(token_id: int, generation: int, failures: int, actor: Actor) -> Token:
    """The token after one attempt to refresh it that began with this generation: ours, or another worker's."""
    give_up = timezone.now() + 2 * LEASE
    while timezone.now() < give_up:
        token = Token.objects.get(pk=token_id)
        if (token.generation, token.failures) != (generation, failures) or token.state == Token.State.NEEDS_CONSENT:
            return token
        if TOKENS.take(token_id, generation, timezone.now()):
            # Read again under the lease: another attempt may have failed between our look and our turn.
            token = Token.objects.get(pk=token_id)
            if token.failures == failures and token.state != Token.State.NEEDS_CONSENT:
                store_answers([call() for call in _calls([token], Outages())], actor)
                return Token.objects.get(pk=token_id)
            TOKENS.release(token_id, generation)
            return token
        time.sleep(LOOK_AGAIN)
    raise Refused("Another worker is refreshing this token and does not come to an end.")


def _refuse_dead(token: Token) -> None:
    if token.state == Token.State.NEEDS_CONSENT:
        raise Refused(token.last_error or "Somebody has to authorise this connector again.")
    if token.state == Token.State.REVOKED:
        raise Refused("The token was revoked. Somebody has to authorise this connector again.")


class Outages:
    """Which clients' providers have just failed several times in a row: asking on would only hold up all others."""

    LIMIT = 3

    def __init__(self) -> None:
        self._failures: dict[int, int] = {}  # each entry is replaced as a whole, so threads need no lock

    def note(self, client_id: int, error: OAuthError | None) -> None:
        """What came of one more call with this client."""
        silent = error is not None and error.kind is Kind.TRANSIENT and (error.status is None or error.status >= 500)
        self._failures[client_id] = self._failures.get(client_id, 0) + 1 if silent else 0

    def is_out(self, client_id: int) -> bool:
        """Whether to leave this client's tokens for later."""
        return self._failures.get(client_id, 0) >= self.LIMIT


# A scan reads thousands of rows: no more of each than asking the provider takes.
_ASKED_WITH = [
    "connector_id",
    "oauth_client_id",
    "generation",
    "lease_until",
    "refresh_token",
    "access_token",
    "redirect_uri",
    "details",
]
_LEFT_OUT = "The provider has just failed several times in a row, so it was not asked. It is tried again later."


@dataclass(frozen=True, slots=True)
class _Call:
    """One refresh, with everything it needs: it touches no database."""

    token_id: int
    generation: int
    lease_until: dt.datetime
    client_id: int
    outages: Outages
    endpoint: TokenEndpoint
    refresh_token: SecretStr | None
    access_token: SecretStr
    redirect_uri: str
    details: dict[str, str]

    def __call__(self) -> Answer:
        if timezone.now() > self.lease_until - LAST_CALL:
            return self._answer(None, None, 0.0, sent=False)  # this process was stopped or starved: leave it to others
        if self.outages.is_out(self.client_id):
            return self._answer(None, OAuthError(_LEFT_OUT, kind=Kind.TRANSIENT, code="left_out"), 0.0)
        started = time.perf_counter()
        try:
            grant = self.endpoint.refresh(
                self.refresh_token,
                self.access_token,
                redirect_uri=self.redirect_uri,
                details=self.details,
            )
        except PortalError as error:
            self.outages.note(self.client_id, error if isinstance(error, OAuthError) else None)
            return self._answer(None, error, time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - a fault of ours in a thread must not lose the lease of the row
            fault = OAuthError(
                f"The refresh failed by an internal error ({type(error).__name__}).", kind=Kind.TRANSIENT
            )
            return self._answer(None, fault, time.perf_counter() - started)
        self.outages.note(self.client_id, None)
        return self._answer(grant, None, time.perf_counter() - started)

    def _answer(self, grant: Grant | None, error: PortalError | None, took: float, *, sent: bool = True) -> Answer:
        return Answer(
            self.token_id,
            self.generation,
            grant,
            error,
            took,
            timezone.now(),
            random.random(),  # noqa: S311 - spreads load
            sent=sent,
            usual=self.endpoint.usual_lifetime,
        )


def _calls(tokens: Sequence[Token], outages: Outages) -> list[Callable[[], Answer]]:
    """What to do for each token: the call, or the answer that it cannot be made."""
    connectors = (
        Connector.objects.only("integration_type_id", "connection_config")
        .order_by()
        .in_bulk([token.connector_id for token in tokens])
    )
    clients = OAuthClient.objects.order_by().in_bulk({token.oauth_client_id for token in tokens})
    endpoints: dict[object, TokenEndpoint] = {}
    return [
        _call(token, connectors[token.connector_id], clients[token.oauth_client_id], endpoints, outages)
        for token in tokens
    ]


def _call(
    token: Token,
    connector: Connector,
    client: OAuthClient,
    endpoints: dict[object, TokenEndpoint],
    outages: Outages,
) -> Callable[[], Answer]:
    key = client.pk, connector.integration_type_id, tuple(sorted(connector.connection_config.items()))
    try:
        if key not in endpoints:
            endpoints[key] = endpoint_of(client, connector.integration_type_id, connector.connection_config)
        return _Call(
            token.pk,
            token.generation,
            token.lease_until or timezone.now() + LEASE,
            client.pk,
            outages,
            endpoints[key],
            SecretStr(token.refresh_token.reveal()) if token.refresh_token else None,
            SecretStr(token.access_token.reveal()),
            token.redirect_uri,
            dict(token.details),
        )
    except PortalError as error:
        unmade = Answer(token.pk, token.generation, None, error, 0.0, timezone.now(), random.random())  # noqa: S311 - spreads load
        return lambda: unmade


def _arrived(answers: SimpleQueue[Answer]) -> list[Answer]:
    """At least one answer, and all others that are there by now."""
    arrived = [answers.get()]
    while not answers.empty():
        arrived.append(answers.get())
    return arrived


def prune_history(now: dt.datetime, *, keep_days: int) -> None:
    """Forgets old refreshes that went well after a week, and the others after `keep_days`."""
    week = now - dt.timedelta(days=min(7, keep_days))
    TokenRefresh.objects.filter(outcome=TokenRefresh.Outcome.OK, at__lt=week).delete()
    TokenRefresh.objects.filter(at__lt=now - dt.timedelta(days=keep_days)).delete()

"""Which tokens end for good, when and why; and a record of it before they do."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils import timezone

from connectors.core.actor import SCHEDULER
from connectors.core.catalog import Lifetimes, load_catalog
from connectors.core.catalog.providers import provider_name
from connectors.core.oauth.lifetimes import Death, deaths
from connectors.flows.events import record_event
from connectors.models import OAuthClient, Sealed, Token
from connectors.models.oauth_client import names_own_server
from connectors.models.token import TokenQuerySet

LIMIT = 200
"""Tokens that one page lists."""
BY_WEEK = dt.timedelta(days=31)
"""Up to this horizon endings are counted by week, beyond it by month."""
OVERDUE = dt.timedelta(days=1)
"""A refresh that has been due for so long is not coming: no worker runs."""

_FIELDS = (
    "pk",
    "connector__integration_type_id",
    "oauth_client__is_testing",
    "oauth_client__state",
    "oauth_client__settings",
    "authorised_at",
    "issued_at",
    "refreshed_at",
    "used_at",
    "expires_at",
    "refresh_expires_at",
    "state",
    "refresh_at",
    "failures",
    "death_warned_for",
    "has_refresh_token",
)


@dataclass(frozen=True, slots=True)
class Ending:
    """The first thing that will end a token. `warned_for`: the end that somebody was warned of."""

    token_id: int
    death: Death
    warned_for: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Doomed:
    """A token with its end."""

    token: Token
    death: Death


@dataclass(frozen=True, slots=True)
class Period:
    """How many tokens end in a week or month that starts then; `start` None: their time is over already."""

    start: dt.date | None
    count: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What ends within a horizon, soonest first, and what already keeps tokens from being refreshed."""

    doomed: tuple[Doomed, ...]
    total: int
    periods: tuple[Period, ...]
    by_week: bool
    failing: tuple[Token, ...]
    failing_total: int
    clients: tuple[OAuthClient, ...]


def forecast_for(user: AbstractBaseUser | AnonymousUser, now: dt.datetime, horizon: dt.timedelta) -> Forecast:
    """The forecast for the tokens that this person may see; in a fixed number of queries."""
    tokens = Token.objects.visible_to(user)
    found = endings(tokens, now, horizon)
    failing = tokens.filter(state=Token.State.FAILING)
    blocked = OAuthClient.objects.visible_to(user).filter(state=OAuthClient.State.MISCONFIGURED).with_token_counts(user)
    by_week = horizon <= BY_WEEK
    return Forecast(
        doomed=tuple(_doomed(found[:LIMIT])),
        total=len(found),
        periods=tuple(_periods(found, now, by_week=by_week)),
        by_week=by_week,
        failing=tuple(failing.with_names().order_by("failing_since", "pk")[:LIMIT]),
        failing_total=failing.count(),
        clients=tuple(blocked.defer("client_secret")[:LIMIT]),
    )


def endings(tokens: TokenQuerySet, now: dt.datetime, horizon: dt.timedelta) -> list[Ending]:
    """The living tokens among these that end before `now + horizon`, soonest first. Decrypts nothing."""
    has_refresh_token = ExpressionWrapper(~Q(refresh_token=Sealed()), output_field=BooleanField())
    rows = tokens.alive().order_by().annotate(has_refresh_token=has_refresh_token).values(*_FIELDS)
    until = now + horizon
    found = [ending for row in rows.iterator(2_000) if (ending := _ending(row, now)) and ending.death.at <= until]
    return sorted(found, key=lambda ending: (ending.death.at, ending.token_id))


def warn_of_deaths(now: dt.datetime) -> int:
    """Records each token that ends within TOKEN_WARN_DAYS, once for each date, and returns how many were new.

    Who hears of it is the alert routes' affair (flows.incidents).
    """
    horizon = dt.timedelta(days=settings.TOKEN_WARN_DAYS)
    found = [ending for ending in endings(Token.objects.all(), now, horizon) if ending.death.at > now]
    new = [ending for ending in found if _is_news(ending)]
    whole = {row.token.pk: row for row in _doomed(new)}
    return sum(_record(ending, whole[ending.token_id].token) for ending in new if ending.token_id in whole)


def _ending(row: dict[str, Any], now: dt.datetime) -> Ending | None:
    facts, provider = _facts(row)
    refreshes = row["refresh_at"] is not None and row["refresh_at"] > now - OVERDUE
    blocked = row["oauth_client__state"] == OAuthClient.State.MISCONFIGURED
    found = deaths(
        facts,
        provider=provider,
        authorised_at=row["authorised_at"],
        issued_at=row["issued_at"],
        refreshed_at=row["refreshed_at"],
        used_at=row["used_at"],
        expires_at=row["expires_at"],
        refresh_expires_at=row["refresh_expires_at"],
        has_refresh_token=row["has_refresh_token"],
        is_testing=row["oauth_client__is_testing"],
        refresh_works=refreshes and not blocked and not row["failures"] and row["state"] == Token.State.FRESH,
    )
    return Ending(row["pk"], found[0], row["death_warned_for"]) if found else None


def _facts(row: dict[str, Any]) -> tuple[Lifetimes, str]:
    """What is known of the provider's lifetimes, and its name; nothing of a server that the client names itself."""
    info = load_catalog().types.get(row["connector__integration_type_id"])
    if info is None or names_own_server(row["oauth_client__settings"]):
        return Lifetimes(), "The provider"
    return info.oauth.lifetimes, provider_name(info.provider)


def _doomed(found: Iterable[Ending]) -> Iterator[Doomed]:
    """The endings with their tokens, in the same order; one that is gone meanwhile is left out."""
    wanted = list(found)
    rows = Token.objects.with_names().in_bulk([ending.token_id for ending in wanted])
    for ending in wanted:
        if ending.token_id in rows:
            yield Doomed(rows[ending.token_id], ending.death)


def _periods(found: list[Ending], now: dt.datetime, *, by_week: bool) -> Iterator[Period]:
    counted = Counter(_start(ending.death.at, now, by_week=by_week) for ending in found)
    for start in sorted(counted, key=lambda day: day or dt.date.min):
        yield Period(start, counted[start])


def _start(at: dt.datetime, now: dt.datetime, *, by_week: bool) -> dt.date | None:
    """The Monday, or the first of the month, of the period that this time is in."""
    if at <= now:
        return None
    day = timezone.localtime(at).date()
    return day - dt.timedelta(days=day.weekday()) if by_week else day.replace(day=1)


def _is_news(ending: Ending) -> bool:
    return ending.warned_for is None or ending.warned_for.date() != ending.death.at.date()


@transaction.atomic
def _record(ending: Ending, token: Token) -> bool:
    """Whether this worker is the one that records it."""
    same = Token.objects.filter(pk=token.pk, death_warned_for=ending.warned_for)
    if not same.update(death_warned_for=ending.death.at):
        return False
    after = {"ends": ending.death.at.isoformat(timespec="minutes")}
    record_event(SCHEDULER, "token.dying", token, after=after, note=ending.death.reason)
    return True

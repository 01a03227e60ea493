"""Everything in the portal that waits for somebody's consent, whether Base44 hosts it or the portal holds the token."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import F, Q

from connectors.core.plan_words import listing
from connectors.flows.authorise import missing_scopes
from connectors.flows.consent_links import Asked
from connectors.models import Connector, ConsentLink, OAuthClient, Token
from connectors.models.connector import ConnectorQuerySet
from connectors.models.token import TokenQuerySet
from connectors.models.visibility import may_everywhere

Kind = ConsentLink.Kind
Person = AbstractBaseUser | AnonymousUser

LIMIT = 200
"""Rows that one page shows, and links that are made at once."""
WAITS = ~Q(consent=Connector.Consent.NONE) | Q(sync_state=Connector.SyncState.INACTIVE)
"""Declared connectors that wait for a consent which Base44 hosts."""
CHANGE = "change_connector"
"""Whoever may change a connector may ask for consent to it."""
SCAN = 5_000
"""Tokens whose scopes are compared for one page: those that differ as texts often mean the same."""


@dataclass(frozen=True, slots=True)
class Need:
    """One connector that waits for a person, in one of the two ways. `since` None and `last_by` "": not known.

    `works`: it has a token that opens something, with other scopes than those that are declared.
    """

    connector: Connector
    way: ConsentLink.Kind
    why: str
    since: dt.datetime | None
    account: str
    last_by: str
    link: ConsentLink | None
    oauth_client: OAuthClient | None = None
    works: bool = False

    @property
    def key(self) -> str:
        """How a form names it: `hosted-12`."""
        return f"{self.way}-{self.connector.pk}"


@dataclass(frozen=True, slots=True)
class Group:
    """What waits for the same account, "" where no account is known."""

    account: str
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """What waits, by account. `capped`: there is more than `LIMIT`. `working`: how many of `count` work meanwhile."""

    groups: tuple[Group, ...]
    count: int
    capped: bool
    working: int = 0

    @property
    def stopped(self) -> int:
        """How many do not work until somebody agrees: what `waiting_count` counts."""
        return self.count - self.working


def desk_of(user: Person, now: dt.datetime) -> Desk:
    """What waits for somebody's consent, of what this person may see; in a fixed number of queries."""
    hosted = list(_hosted(user)[: LIMIT + 1])
    room = LIMIT + 1 - len(hosted)
    why = _whys(user, now, room)
    tokens = list(Token.objects.filter(pk__in=list(why)).with_names()) if why else []
    links = _open_links(user, [*(row.pk for row in hosted), *(row.connector_id for row in tokens)], now)
    needs = [_hosted_need(row, links) for row in hosted]
    needs += [_held_need(row, why[row.pk], links) for row in tokens]
    shown = needs[:LIMIT]
    return Desk(_grouped(shown), len(shown), len(needs) > LIMIT, sum(need.works for need in shown))


def waiting_count(user: Person, now: dt.datetime, limit: int) -> int:
    """How many connectors wait, counted up to `limit`; scopes are not compared for it, which would cost more."""
    hosted = _hosted(user).order_by()[:limit].count()
    return min(hosted + _theirs(user).needing_renewal(now).order_by()[:limit].count(), limit)


def chosen(user: Person, keys: Iterable[str]) -> list[Asked]:
    """What the keys of a form name, in their order; that for which this person may not ask is left out."""
    wanted = _wanted(keys)
    rows = (
        Connector.objects.visible_to(user)
        .permitted(user, CHANGE)
        .select_related("project__workspace", "integration_type", "token__oauth_client")
    )
    found = rows.defer("source", "project__notes", "token__access_token", "token__refresh_token").in_bulk(
        [pk for _, pk in wanted]
    )
    return [_asked(found[pk], Kind(way)) for way, pk in wanted if pk in found]


def seen_only(user: Person, keys: Iterable[str]) -> int:
    """How many of the connectors that the keys name this person sees without being allowed to ask for consent."""
    seen = Connector.objects.visible_to(user).filter(pk__in={pk for _, pk in _wanted(keys)}).order_by()
    return seen.exclude(pk__in=seen.permitted(user, CHANGE).values("pk")).count()


def may_ask(user: Person, desk: Desk) -> set[int]:
    """The keys of the desk's connectors for which this person may ask for consent."""
    listed = {need.connector.pk for group in desk.groups for need in group.needs}
    if may_everywhere(user, CHANGE):
        return listed
    rows = Connector.objects.filter(pk__in=listed).permitted(user, CHANGE)
    return set(rows.order_by().values_list("pk", flat=True))


def _wanted(keys: Iterable[str]) -> list[tuple[str, int]]:
    """Way and connector of each key that can be one, at most `LIMIT`."""
    wanted = [(way, int(pk)) for way, _, pk in (key.partition("-") for key in keys) if pk.isascii() and pk.isdigit()]
    return [(way, pk) for way, pk in dict.fromkeys(wanted) if way in Kind.values and pk < 2**63][:LIMIT]


def account_of(asked: Asked) -> str:
    """Whose consent is wanted, "" when that is not known, or when another account is to take over."""
    if asked.other_account:
        return ""
    if asked.kind == Kind.HOSTED:
        return asked.connector.registered_account
    token: Token | None = getattr(asked.connector, "token", None)
    return token.account if token else ""


def _asked(connector: Connector, kind: ConsentLink.Kind) -> Asked:
    """With the client of its token, or of those that serve it the first: its own workspace's before all others'."""
    if kind == Kind.HOSTED:
        return Asked(connector, kind)
    token: Token | None = getattr(connector, "token", None)
    return Asked(connector, kind, token.oauth_client if token else OAuthClient.objects.serving(connector).first())


def _hosted(user: Person) -> ConnectorQuerySet:
    rows = Connector.objects.visible_to(user).declared().filter(WAITS)
    return rows.select_related("project__workspace", "integration_type").defer("source", "project__notes")


def _theirs(user: Person) -> TokenQuerySet:
    return Token.objects.visible_to(user).filter(connector__is_declared=True)


class _Why(NamedTuple):
    text: str
    works: bool


def _whys(user: Person, now: dt.datetime, room: int) -> dict[int, _Why]:
    """The tokens that need consent, at most `room`, and why: those that ended first, then those short of a scope."""
    found: dict[int, _Why] = {}
    for pk, state, error in _theirs(user).needing_renewal(now).values_list("pk", "state", "last_error")[:room]:
        gone = "The token has ended, and there is nothing to renew it with."
        text = error or ("The provider ended the consent." if state == Token.State.NEEDS_CONSENT else gone)
        found[pk] = _Why(text, works=False)
    differs = ~Q(asked_scopes=F("connector__scopes"))
    differs |= Q(granted_scopes__isnull=False) & ~Q(granted_scopes=F("connector__scopes"))
    rows = _theirs(user).alive().filter(differs).exclude(pk__in=list(found))
    fields = ("pk", "connector__integration_type_id", "connector__scopes", "asked_scopes", "granted_scopes")
    for pk, type_, declared, asked, granted in rows.values_list(*fields)[:SCAN]:
        if len(found) >= room:
            break
        if text := _of_scopes(type_, declared, asked, granted):
            found[pk] = _Why(text, works=True)
    return found


def _of_scopes(type_: str, declared: list[str], asked: list[str], granted: list[str] | None) -> str:
    """Why the scopes that the token has are not those that are declared; "" when they mean the same."""
    if new := missing_scopes(type_, declared, asked):
        return f"Declared since it was authorised: {listing(new)}."
    if dropped := missing_scopes(type_, asked, declared):
        return f"No longer declared, and still in the token: {listing(dropped)}."
    if missing := missing_scopes(type_, declared, granted):
        return f"Asked for and not granted: {listing(missing)}."
    return ""


def _open_links(user: Person, connectors: list[int], now: dt.datetime) -> dict[tuple[int, str], ConsentLink]:
    rows = ConsentLink.objects.visible_to(user).open(now).filter(connector__in=connectors).select_related("claimed_by")
    return {(row.connector_id, row.kind): row for row in rows.order_by("id")}


def _hosted_need(row: Connector, links: dict[tuple[int, str], ConsentLink]) -> Need:
    link = links.get((row.pk, Kind.HOSTED))
    since = row.consent_asked_at if row.consent else None
    return Need(row, Kind.HOSTED, _hosted_why(row), since, row.registered_account, row.consent_asked_by, link)


def _hosted_why(row: Connector) -> str:
    if row.consent:
        return row.consent_note or f"Consent: {row.get_consent_display()}."
    return row.sync_note or "Base44 says that the connection is broken."


def _held_need(row: Token, why: _Why, links: dict[tuple[int, str], ConsentLink]) -> Need:
    connector = row.connector
    link, by = links.get((connector.pk, Kind.PORTAL)), row.authorised_by_label
    return Need(
        connector, Kind.PORTAL, why.text, _held_since(row), row.account, by, link, row.oauth_client, works=why.works
    )


def _held_since(row: Token) -> dt.datetime | None:
    if row.state == Token.State.NEEDS_CONSENT:
        return row.failing_since
    return row.expires_at if row.refresh_at is None else row.authorised_at


def _grouped(needs: list[Need]) -> tuple[Group, ...]:
    """By account, in the order of their names; what has none comes last."""
    found: dict[str, list[Need]] = defaultdict(list)
    for need in needs:
        found[need.account].append(need)
    return tuple(Group(account, tuple(found[account])) for account in sorted(found, key=lambda name: (not name, name)))

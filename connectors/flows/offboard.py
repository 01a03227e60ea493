"""What hangs on one person, and what stops when they go: for handing it over, or ending it, before they do."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db.models import Count, Q, QuerySet

from connectors.flows.scope_facts import ScopeFacts
from connectors.models import (
    AlertRoute,
    Connector,
    ConsentLink,
    PolicyException,
    Project,
    ReviewCampaign,
    ReviewItem,
    Sensitivity,
    Token,
    Workspace,
)
from connectors.models.membership import colleagues_of
from connectors.models.visibility import may, may_everywhere

VIEW_LEDGER, VIEW_USERS = "connectors.view_ledgerentry", "auth.view_user"
Viewer = AbstractBaseUser | AnonymousUser
Way = ConsentLink.Kind

LIMIT = 300
"""Connectors of one person that are looked at at once."""
SUGGESTED = 50


class Fate(StrEnum):
    """What becomes of a connector when the person's own account is closed."""

    STOPS = "stops"
    MAY_STOP = "may_stop"
    GOES_ON = "goes_on"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the ledger names them. `accounts` are the names, in small letters, that would be theirs elsewhere."""

    name: str
    user_id: int | None
    full_name: str
    is_active: bool
    accounts: frozenset[str]

    def owns(self, account: str) -> bool:
        """Whether an account at a provider or at Base44 is theirs."""
        return account.lower() in self.accounts


@dataclass(frozen=True, slots=True)
class Reach:
    """One connector that works through the person, in one of the two ways. `token` None: Base44 holds it.

    `by_them`: they authorised it, or asked Base44 for its consent. `scopes`: what it can do, as far as that is known.
    """

    connector: Connector
    way: ConsentLink.Kind
    token: Token | None
    account: str
    by_them: bool
    is_theirs: bool
    scopes: tuple[str, ...]
    sensitivity: Sensitivity | None

    @property
    def key(self) -> str:
        """How a form names it, as on the consent desk: `portal-12`."""
        return f"{self.way}-{self.connector.pk}"

    @property
    def fate(self) -> Fate:
        """What becomes of it when the person's account is closed."""
        if self.is_theirs:
            return Fate.STOPS
        return Fate.GOES_ON if self.account else Fate.MAY_STOP

    @property
    def consequence(self) -> str:
        """The same as a sentence."""
        app = self.connector.project.name
        if self.fate == Fate.STOPS:
            return f"It works through their own account {self.account}: {app} loses access when that is closed."
        if self.fate == Fate.MAY_STOP:
            return f"Nobody knows through which account it works: if it is theirs, {app} loses access with it."
        return f"It works through {self.account}, which is not theirs: it goes on. See who else can sign in there."


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything in the portal that hangs on one person, of what the viewer may see."""

    person: Person
    reaches: tuple[Reach, ...]
    capped: bool
    workspaces: tuple[Workspace, ...]
    links: tuple[ConsentLink, ...]
    projects: tuple[Project, ...]
    exceptions: tuple[PolicyException, ...]
    campaigns: tuple[ReviewCampaign, ...]
    review_items: int
    routes: tuple[AlertRoute, ...]

    @property
    def fates(self) -> Mapping[Fate, int]:
        """How many connectors meet which fate."""
        return Counter(reach.fate for reach in self.reaches)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing at all hangs on them."""
        rows = (self.reaches, self.workspaces, self.links, self.projects, self.exceptions, self.campaigns, self.routes)
        return not any(rows) and not self.review_items


def people(viewer: Viewer, text: str = "", limit: int = SUGGESTED) -> list[tuple[str, int]]:
    """Who authorised something, those with most connectors first; with `text`, whose name or e-mail contains it.

    Users of the portal who authorised nothing are found by `text` alone.
    """
    tokens = Token.objects.visible_to(viewer).exclude(state=Token.State.REVOKED).exclude(authorised_by_label="")
    hosted = _hosted(viewer).exclude(consent_asked_by="")
    found: Counter[str] = Counter()
    for rows, name in ((tokens, "authorised_by_label"), (hosted, "consent_asked_by")):
        named = rows.filter(**{f"{name}__icontains": text}) if text else rows
        counted = named.order_by().values(name).annotate(count=Count("pk")).order_by("-count")[: limit * 2]
        for row in counted:
            found[row[name]] += row["count"]
    if text:
        users = known_users(viewer).filter(_named(text)).order_by("username")[:limit]
        found.update({user.get_username(): 0 for user in users})
    return sorted(found.items(), key=lambda item: (-item[1], item[0].lower()))[:limit]


def known_users(viewer: Viewer) -> QuerySet[User]:
    """Whose logins the viewer may know of: whoever sees the whole ledger, or the accounts themselves, of all."""
    if may_everywhere(viewer, VIEW_LEDGER) or may(viewer, VIEW_USERS):
        return User.objects.all()
    return User.objects.filter(pk__in=colleagues_of(viewer).order_by().values("pk"))


def holdings_called(viewer: Viewer, name: str, now: dt.datetime) -> Holdings:
    """What hangs on the person of this name. Of somebody of another team on whom nothing hangs that the viewer may
    see, it says what it says of a name that is nobody's.
    """
    found = holdings_of(viewer, person_called(name), now)
    key = found.person.user_id
    if found.is_nothing and key is not None and not known_users(viewer).filter(pk=key).exists():
        return replace(found, person=_a_name(name))
    return found


def _a_name(name: str) -> Person:
    return Person(name, None, "", is_active=False, accounts=frozenset({name.lower()}))


def person_called(name: str) -> Person:
    """The person of this name: the portal's user with this username or e-mail address, or a name alone."""
    users = get_user_model()._default_manager.filter(Q(username=name) | Q(email__iexact=name)).order_by("pk")
    user = next(iter(sorted(users, key=lambda one: one.get_username() != name)), None)
    if user is None:
        return _a_name(name)
    email: str = getattr(user, "email", "")
    accounts = {name.lower(), user.get_username().lower(), email.lower()} - {""}
    full = str(getattr(user, "get_full_name", str)())
    return Person(user.get_username(), user.pk, full, is_active=user.is_active, accounts=frozenset(accounts))


def holdings_of(viewer: Viewer, person: Person, now: dt.datetime) -> Holdings:
    """What hangs on the person, in a fixed number of queries. Reads, and changes nothing."""
    reaches = reaches_of(viewer, person)
    user = person.user_id
    exceptions = PolicyException.objects.visible_to(viewer).filter(
        Q(state=PolicyException.State.REQUESTED) | Q(state=PolicyException.State.GRANTED, expires_at__gt=now),
        _of_user("owner", user),
    )
    campaigns = ReviewCampaign.objects.visible_to(viewer).exclude(state=ReviewCampaign.State.CLOSED)
    links = ConsentLink.objects.visible_to(viewer).open(now).select_related("connector__project", "claimed_by")
    items = ReviewItem.objects.visible_to(viewer).undecided().filter(campaign__state=ReviewCampaign.State.OPEN)
    return Holdings(
        person,
        tuple(reaches[:LIMIT]),
        len(reaches) > LIMIT,
        tuple(_workspaces(viewer, person)),
        tuple(links.filter(_of_user("created_by", user) | _of_user("claimed_by", user))[:LIMIT]),
        tuple(Project.objects.visible_to(viewer).filter(_of_user("owner", user)).defer("notes")[:LIMIT]),
        tuple(exceptions.select_related("rule", "project")[:LIMIT]),
        tuple(campaigns.filter(_of_user("escalate_to", user))[:LIMIT]),
        items.filter(_of_user("owner", user)).count(),
        tuple(_routes(viewer, person)),
    )


def other_holdings(holdings: Holdings) -> Iterator[tuple[str, str, str | None, str]]:
    """What hangs on them beside connectors: kind, name, the project's slug, and what becomes of it."""
    for workspace in holdings.workspaces:
        yield "workspace", workspace.name, None, "Its credential is theirs: without it nothing is synced or applied."
    for link in holdings.links:
        project = link.connector.project
        yield "consent-link", f"{link.connector} in {project}", project.slug, "Open; they made it or have opened it."
    for project in holdings.projects:
        yield "project", project.name, project.slug, "They own it: reviews and reminders go to them."
    for exception in holdings.exceptions:
        place = exception.project.slug
        yield "exception", str(exception.rule), place, f"{exception.get_state_display()}; they answer for it."
    for campaign in holdings.campaigns:
        yield "review", campaign.name, None, "What nobody decides in time goes to them."
    if holdings.review_items:
        yield "review", "Undecided items", None, f"They have to decide on {holdings.review_items}."
    for route in holdings.routes:
        yield "alert-route", route.name, None, "Alerts go to their address."


def reaches_of(viewer: Viewer, person: Person) -> list[Reach]:
    """The connectors that work through the person, the gravest fate and sensitivity first; one more than `LIMIT`."""
    facts = ScopeFacts()
    found = [_of_token(token, person, facts) for token in _tokens(viewer, person)[: LIMIT + 1]]
    found += [_of_connector(row, person, facts) for row in _connectors(viewer, person)[: LIMIT + 1]]
    order = list(Fate)
    found.sort(key=lambda one: (order.index(one.fate), -1 if one.sensitivity is None else -one.sensitivity, one.key))
    return found[: LIMIT + 1]


def _of_user(field: str, user: int | None) -> Q:
    return Q(**{field: user}) if user is not None else Q(pk__in=[])


def _named(text: str) -> Q:
    fields = ("username", "email", "first_name", "last_name")
    found = Q()
    for field in fields:
        found |= Q(**{f"{field}__icontains": text})
    return found


def _hosted(viewer: Viewer) -> QuerySet[Connector]:
    """Connectors whose consent Base44 holds."""
    return Connector.objects.visible_to(viewer).filter(registered_scopes__isnull=False)


def _is_account(field: str, person: Person) -> Q:
    found = Q(pk__in=[])
    for account in sorted(person.accounts):
        found |= Q(**{f"{field}__iexact": account})
    return found


def _tokens(viewer: Viewer, person: Person) -> QuerySet[Token]:
    theirs = Q(authorised_by_label=person.name) | _of_user("authorised_by", person.user_id)
    rows = Token.objects.visible_to(viewer).exclude(state=Token.State.REVOKED).with_names()
    return rows.filter(theirs | _is_account("account", person)).order_by("pk")


def _connectors(viewer: Viewer, person: Person) -> QuerySet[Connector]:
    rows = _hosted(viewer).select_related("project__workspace", "integration_type").defer("source", "project__notes")
    return rows.filter(Q(consent_asked_by=person.name) | _is_account("registered_account", person)).order_by("pk")


def _of_token(token: Token, person: Person, facts: ScopeFacts) -> Reach:
    by_them = token.authorised_by_label == person.name or (
        person.user_id is not None and token.authorised_by_id == person.user_id
    )
    granted = token.granted_scopes if token.granted_scopes is not None else token.asked_scopes
    return _reach(token.connector, Way.PORTAL, token, token.account, person, facts, granted, by_them=by_them)


def _of_connector(row: Connector, person: Person, facts: ScopeFacts) -> Reach:
    by_them = row.consent_asked_by == person.name
    scopes = row.registered_scopes or []
    return _reach(row, Way.HOSTED, None, row.registered_account, person, facts, scopes, by_them=by_them)


def _reach(
    connector: Connector,
    way: ConsentLink.Kind,
    token: Token | None,
    account: str,
    person: Person,
    facts: ScopeFacts,
    scopes: Iterable[str],
    *,
    by_them: bool,
) -> Reach:
    listed = tuple(scopes)
    level = facts.highest(connector.integration_type_id, listed)
    return Reach(connector, way, token, account, by_them, person.owns(account), listed, level)


def _workspaces(viewer: Viewer, person: Person) -> QuerySet[Workspace]:
    rows = Workspace.objects.known_to(viewer).exclude(credential_state=Workspace.CredentialState.MISSING)
    return rows.filter(_is_account("credential_account", person)).with_project_counts(viewer)[:LIMIT]


def _routes(viewer: Viewer, person: Person) -> list[AlertRoute]:
    """Their addresses stand in lists that databases compare each in its own way; routes are few."""
    rows = AlertRoute.objects.visible_to(viewer).in_use().filter(channel=AlertRoute.Channel.EMAIL)
    return [row for row in rows if any(person.owns(address) for address in row.emails)]

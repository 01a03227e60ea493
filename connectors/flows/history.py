"""The ledger as it was at any moment, a page at a time: what each page costs follows the fleet, not the history."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import Q, QuerySet

from connectors.core.catalog import load_catalog
from connectors.core.ledger import Comparer, ScopeVerdict, Sides
from connectors.core.scopes import ScopeRules
from connectors.flows.history_words import Has
from connectors.flows.ledger import comparer_of
from connectors.models import Connector, Project, ScopePeriod, Token
from connectors.models.ledger_search import MAX_SCOPES, scopes_in_use
from connectors.models.project import ProjectQuerySet

Side = ScopePeriod.Side
Key = tuple[int | None, str, str]
"""A project's id and the type; of a project that was deleted None, the type and the project's name."""

PAGE = 50
"""Connectors on one page."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which connectors to look at; what is empty leaves nothing out. `scopes` are names, any one of which counts.

    `label` is a part of the name that projects which are gone must have had; those that there are come as a QuerySet.
    """

    type_slug: str = ""
    scopes: tuple[str, ...] = ()
    side: str = ""
    label: str = ""

    @property
    def of_gone(self) -> Q:
        """The periods of projects that are gone, as far as their names are wanted."""
        return Q(project=None, project_label__icontains=self.label) if self.label else Q(project=None)

    def lookups(self, prefix: str = "") -> dict[str, object]:
        """As a filter of periods takes it: rows of the sides themselves unless scopes are named."""
        return {f"{prefix}scope__in": list(self.scopes) or [""], **self._others(prefix)}

    def narrowing(self) -> dict[str, object]:
        """As a filter of periods takes it that leaves all rows in where nothing is wanted."""
        return {**({"scope__in": list(self.scopes)} if self.scopes else {}), **self._others("")}

    def _others(self, prefix: str) -> dict[str, object]:
        found = {f"{prefix}type_slug": self.type_slug, f"{prefix}side": self.side}
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Place:
    """A connector as the history knows it. `project` None: it was deleted since, and `label` was its name.

    `connector_id` None: there is no such connector any more. `token_since`: when the token that the portal holds of it
    now was authorised, None without one.
    """

    project: Project | None
    label: str
    type_slug: str
    connector_id: int | None = None
    token_since: dt.datetime | None = None

    @property
    def key(self) -> Key:
        """What finds its periods."""
        return (self.project.pk, self.type_slug, "") if self.project else (None, self.type_slug, self.label)

    @property
    def cursor(self) -> str:
        """Where a page that ends with this one goes on; projects that are gone come last."""
        return f"{self.project.slug}:{self.type_slug}" if self.project else f":{self.type_slug}:{self.label}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What one connector's sides listed at one moment. A side that is missing was not known then.

    `accounts` by side, "" where none was known; `absent` are the sides that were known not to have the connector.
    """

    listed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()

    def has(self, side: str) -> Has | None:
        """What is known of the side apart from its scopes; None when nothing is."""
        return Has(side not in self.absent, self.accounts[side]) if side in self.listed else None

    @property
    def account(self) -> str:
        """The account behind the token, else the one that Base44 named."""
        return self.accounts.get(Side.GRANTED) or self.accounts.get(Side.REGISTERED) or ""

    def sides(self, *, held: bool = False) -> Sides:
        """As the comparison takes them; `held`: the portal had a token, whatever its provider said of that."""
        known = {side: tuple(sorted(scopes)) for side, scopes in self.listed.items()}
        return Sides(
            declared=known.get(Side.DECLARED),
            repository=known.get(Side.REPOSITORY),
            registered=known.get(Side.REGISTERED),
            granted=known.get(Side.GRANTED),
            held=held or Side.GRANTED in known,
        )


@dataclass(frozen=True, slots=True)
class ConnectorThen:
    """One connector at the moment, with the verdicts that today's catalogue gives of what was listed then."""

    place: Place
    standing: Standing
    verdicts: tuple[ScopeVerdict, ...]


@dataclass(frozen=True, slots=True)
class State:
    """One page of the fleet at a moment. `after`: the cursor of the next page, "" for the last one."""

    moment: dt.datetime
    rows: tuple[ConnectorThen, ...]
    after: str


def state_at(
    projects: ProjectQuerySet,
    moment: dt.datetime,
    wanted: Wanted | None = None,
    *,
    after: str = "",
    limit: int = PAGE,
    with_gone: bool = False,
) -> State:
    """The connectors that these projects had at the moment, by project and type, and what their sides listed.

    Connectors that were deleted since are among them; `with_gone` adds those of projects that were deleted since. A
    page takes a fixed number of queries, which read the periods of its connectors and of no others.
    """
    wanted = wanted or Wanted()
    places, more = _places_at(projects, moment, wanted, after, limit, with_gone=with_gone)
    page = with_connectors(places)
    periods = periods_of(page, ScopePeriod.objects.at(moment))
    rows = tuple(_then(place, periods[place.key], moment, wanted) for place in page)
    return State(moment, rows, page[-1].cursor if more else "")


def scopes_called(text: str) -> tuple[str, ...]:
    """The names of the scopes that somebody means by `text`: itself, and those known or in use that contain it."""
    text = text.strip()
    if not text:
        return ()
    catalog = load_catalog()
    one_type_each = {info.provider: type_ for type_, info in catalog.types.items()}
    known = {info.name for type_ in one_type_each.values() for info in catalog.provider_scopes(type_)}
    known.update(scopes_in_use(MAX_SCOPES))
    return tuple(dict.fromkeys([text, *sorted(name for name in known if text.lower() in name.lower())]))[:MOST_NAMES]


MOST_NAMES = 200
"""Names that one text stands for: a single letter stands in most of the thousands that there are."""


def standing(periods: Iterable[ScopePeriod]) -> Standing:
    """What one connector's sides listed while all of these periods lasted."""
    periods = list(periods)
    sides = [period for period in periods if not period.scope]
    listed: dict[str, set[str]] = {period.side: set() for period in sides}
    for period in periods:
        if period.scope and period.side in listed:
            listed[period.side].add(period.scope)
    return Standing(
        {side: frozenset(scopes) for side, scopes in listed.items()},
        {period.side: period.account for period in sides},
        frozenset(period.side for period in sides if not period.is_listed),
    )


def lasts_at(period: ScopePeriod, moment: dt.datetime) -> bool:
    """Whether it was so at the moment: as `ScopePeriodQuerySet.at`, for rows that are loaded."""
    return period.since <= moment and (period.until is None or period.until > moment)


def with_connectors(places: Iterable[Place]) -> list[Place]:
    """The places, those that still are a connector with its id."""
    places = list(places)
    ids = {place.project.pk for place in places if place.project}
    rows = Connector.objects.filter(project__in=ids, integration_type__in={place.type_slug for place in places})
    fields = ("project_id", "integration_type_id", "pk", "token__authorised_at", "token__state")
    found = {(row[0], row[1]): row[2:] for row in rows.order_by().values_list(*fields)}
    return [_with_connector(place, *found.get(place.key[:2], (None, None, ""))) for place in places]


def _with_connector(place: Place, pk: int | None, authorised_at: dt.datetime | None, state: str) -> Place:
    return replace(place, connector_id=pk, token_since=None if state == Token.State.REVOKED else authorised_at)


def periods_of(places: Iterable[Place], rows: QuerySet[ScopePeriod]) -> Mapping[Key, list[ScopePeriod]]:
    """Of `rows` those of these connectors, by their keys; read along the index of project and type."""
    keys = {place.key for place in places}
    found: dict[Key, list[ScopePeriod]] = defaultdict(list)
    for period in _read(keys, rows):
        key = (period.project_id, period.type_slug, "" if period.project_id else period.project_label)
        if key in keys:
            found[key].append(period)
    return found


def _read(keys: set[Key], rows: QuerySet[ScopePeriod]) -> list[ScopePeriod]:
    rows = rows.order_by()
    alive = {(project, type_) for project, type_, _ in keys if project is not None}
    gone = {(label, type_) for project, type_, label in keys if project is None}
    found: list[ScopePeriod] = []
    if alive:
        found += rows.filter(project__in={one for one, _ in alive}, type_slug__in={type_ for _, type_ in alive})
    if gone:
        labels, types = {one for one, _ in gone}, {type_ for _, type_ in gone}
        found += rows.filter(project=None, project_label__in=labels, type_slug__in=types)
    return found


def _places_at(
    projects: ProjectQuerySet, moment: dt.datetime, wanted: Wanted, after: str, limit: int, *, with_gone: bool
) -> tuple[list[Place], bool]:
    """At most `limit` places after the cursor, and whether more follow."""
    slug, _, rest = after.partition(":")
    found, more = _living(projects, moment, wanted, (slug, rest), limit) if slug or not after else ([], False)
    if not with_gone or more:
        return found, more
    type_, _, label = rest.partition(":")
    gone, more = _gone(moment, wanted, ("", "") if slug else (type_, label), limit - len(found))
    return found + gone, more


def _living(
    projects: ProjectQuerySet, moment: dt.datetime, wanted: Wanted, after: tuple[str, str], limit: int
) -> tuple[list[Place], bool]:
    """Of projects that there are. Goes along the projects' slugs and, for each, along an index of its periods."""
    slug, type_ = after
    rows = projects.filter(
        Q(scope_periods__until=None) | Q(scope_periods__until__gt=moment),
        Q(slug__gt=slug) | Q(slug=slug, scope_periods__type_slug__gt=type_),
        slug__gte=slug,  # the same once more, in a form that an index can start from
        scope_periods__since__lte=moment,
        scope_periods__is_listed=True,
        **wanted.lookups("scope_periods__"),
    ).order_by("slug", "scope_periods__type_slug")
    keys, more = _first(rows.values_list("pk", "scope_periods__type_slug"), limit)
    known = projects_of(projects, {pk for pk, _ in keys})
    return [Place(known[pk], known[pk].name, type_) for pk, type_ in keys], more


def _first(rows: QuerySet[Any, Any], limit: int) -> tuple[list[Any], bool]:
    """The first different rows, and whether more follow. There may be fewer than `limit` though more follow.

    Each is there once for each side. A DISTINCT would let PostgreSQL read the whole fleet before it gives the first.
    """
    read = (limit + 1) * len(Side)
    seen = list(rows[:read])
    found = list(dict.fromkeys(seen))
    return found[:limit], len(found) > limit or len(seen) == read


def projects_of(projects: ProjectQuerySet, ids: Iterable[int]) -> dict[int, Project]:
    """Those of the projects that have these keys, with their workspaces."""
    return projects.select_related("workspace").defer("notes").in_bulk(list(ids))


def _gone(moment: dt.datetime, wanted: Wanted, after: tuple[str, str], limit: int) -> tuple[list[Place], bool]:
    """Of projects that were deleted since."""
    type_, label = after
    rows = ScopePeriod.objects.at(moment).filter(
        Q(type_slug__gt=type_) | Q(type_slug=type_, project_label__gt=label),
        wanted.of_gone,
        type_slug__gte=type_,
        is_listed=True,
        **wanted.lookups(),
    )
    keys, more = _first(rows.order_by("type_slug", "project_label").values_list("type_slug", "project_label"), limit)
    return [Place(None, label, type_) for type_, label in keys], more


def _then(place: Place, periods: list[ScopePeriod], moment: dt.datetime, wanted: Wanted) -> ConnectorThen:
    found = standing(periods)
    held = place.token_since is not None and place.token_since <= moment
    comparer = comparer_of(place.project.workspace) if place.project else Comparer(ScopeRules())
    verdicts = comparer.compare(place.type_slug, found.sides(held=held))
    if wanted.scopes:
        verdicts = tuple(verdict for verdict in verdicts if verdict.scope in wanted.scopes)
    return ConnectorThen(place, found, verdicts)

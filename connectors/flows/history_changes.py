"""What changed: between two moments over the fleet, and the timeline of one connector."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from django.db.models import Q

from connectors.flows.history import (
    PAGE,
    Key,
    Place,
    Side,
    Standing,
    Wanted,
    lasts_at,
    periods_of,
    projects_of,
    standing,
    with_connectors,
)
from connectors.flows.history_words import Has, side_words
from connectors.models import Connector, ScopePeriod
from connectors.models.ledger import ScopePeriodQuerySet
from connectors.models.project import ProjectQuerySet

MOST_CHANGES = 10_000
"""Begins and ends each that one answer looks at, the newest first: bounds what a span of years costs."""
MOST_MOMENTS = 100
"""Moments of one connector that are shown at once."""


@dataclass(frozen=True, slots=True)
class SideChange:
    """What one side listed anew and no longer, and what else became of it, in words ("" for nothing else).

    `whole`: the side as a whole came or went, so that the words tell it of its scopes as well.
    """

    side: Side
    added: tuple[str, ...]
    removed: tuple[str, ...]
    words: str = ""
    whole: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.words)


@dataclass(frozen=True, slots=True)
class Moment:
    """What one cause changed at one connector. `through` is the verb of its event, `run` the sync run's id."""

    at: dt.datetime
    through: str
    by: str
    run: int | None
    changes: tuple[SideChange, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """One connector with changes: how its two ends differ (not, if all was taken back), and each step, newest first."""

    place: Place
    net: tuple[SideChange, ...]
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One page of what changed after `start` and until `end`. `after`: the cursor of the next page, "" for none.

    `capped`: there were more changes than were looked at; connectors are named for the newest only.
    """

    rows: tuple[Changed, ...]
    after: str
    count: int
    capped: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """Moments of one connector, newest first; `before` is where the older ones begin, None when there are none."""

    moments: tuple[Moment, ...]
    before: dt.datetime | None


def difference(
    projects: ProjectQuerySet,
    start: dt.datetime,
    end: dt.datetime,
    wanted: Wanted | None = None,
    *,
    after: str = "",
    limit: int = PAGE,
    with_gone: bool = False,
) -> Difference:
    """The connectors of these projects at which something began or ended, by project and type.

    The changes are found along the indexes of when periods began and ended, so the time between the two dates is what
    costs, and not what lies outside of it. A page reads no other connectors' periods.
    """
    wanted = wanted or Wanted()
    found, capped = _changed_cursors(projects, start, end, wanted, with_gone=with_gone)
    following = sorted((cursor for cursor in found if not after or _order(cursor) > _order(after)), key=_order)
    page = _places(projects, {cursor: found[cursor] for cursor in following[:limit]})
    periods = periods_of(page, _lasting(start, end))
    rows = tuple(_only(_changed(place, periods[place.key], start, end), wanted) for place in page)
    return Difference(rows, following[limit - 1] if len(following) > limit else "", len(found), capped)


def timeline(connector: Connector, *, before: dt.datetime | None = None, limit: int = MOST_MOMENTS) -> Timeline:
    """What happened to the connector's sides before a moment (None: until now), its former lives included.

    A connector that was deleted and added again has one timeline.
    """
    rows = ScopePeriod.objects.filter(project=connector.project_id, type_slug=connector.integration_type_id)
    times = _newest(rows, before, limit + 1)
    if not times:
        return Timeline((), None)
    oldest = times[:limit][-1]
    around = rows.filter(Q(since__gte=oldest) | Q(until__gte=oldest)).order_by()
    moments = moments_of(around, lambda at: oldest <= at and (before is None or at < before))
    return Timeline(tuple(moments), oldest if len(times) > limit else None)


def moments_of(periods: Iterable[ScopePeriod], counts: Callable[[dt.datetime], bool]) -> list[Moment]:
    """The moments at which these periods began and ended, newest first, of those that count."""
    begun: dict[_Cause, list[ScopePeriod]] = defaultdict(list)
    ended: dict[_Cause, list[ScopePeriod]] = defaultdict(list)
    for period in periods:
        if counts(period.since):
            begun[period.since, period.begun_through, period.begun_by, period.begun_run_id].append(period)
        if period.until is not None and counts(period.until):
            ended[period.until, period.ended_through, period.ended_by, period.ended_run_id].append(period)
    causes = sorted({*begun, *ended}, key=lambda cause: (cause[0], cause[3] or 0), reverse=True)
    return [Moment(*cause, _of_moment(ended[cause], begun[cause])) for cause in causes]


_Cause = tuple[dt.datetime, str, str, int | None]


def _changed_cursors(
    projects: ProjectQuerySet, start: dt.datetime, end: dt.datetime, wanted: Wanted, *, with_gone: bool
) -> tuple[dict[str, Key], bool]:
    """The keys of the connectors with changes by their cursors, and whether there were too many changes."""
    theirs = _theirs(projects) | wanted.of_gone if with_gone else _theirs(projects)
    rows = ScopePeriod.objects.filter(theirs, **wanted.narrowing())
    fields = ("project_id", "project__slug", "type_slug", "project_label")
    found: dict[str, Key] = {}
    capped = False
    for when in ("since", "until"):
        within = rows.filter(**{f"{when}__gt": start, f"{when}__lte": end}).order_by(f"-{when}")
        seen = list(within.values_list(*fields)[: MOST_CHANGES + 1])
        capped |= len(seen) > MOST_CHANGES
        for project, slug, type_, label in seen[:MOST_CHANGES]:
            key = (project, type_, "" if project else label)
            found[f"{slug or ''}:{type_}" if project else f":{type_}:{label}"] = key
    return found, capped


def _theirs(projects: ProjectQuerySet) -> Q:
    """Periods of these projects; few of them are named one by one, so that the index of their periods is gone along."""
    ids = list(projects.order_by().values_list("pk", flat=True)[: FEW + 1])
    return Q(project__in=ids) if len(ids) <= FEW else Q(project__in=projects.order_by().values("pk"))


FEW = 20


def _places(projects: ProjectQuerySet, keys: Mapping[str, Key]) -> list[Place]:
    known = projects_of(projects, {project for project, _, _ in keys.values() if project is not None})
    found = []
    for project, type_, label in keys.values():
        row = known.get(project) if project is not None else None
        if row is not None or project is None:
            found.append(Place(row, row.name if row else label, type_))
    return with_connectors(found)


def _order(cursor: str) -> tuple[bool, str, str]:
    """By project and type, projects that are gone last."""
    slug, _, rest = cursor.partition(":")
    type_, _, label = rest.partition(":")
    return (not slug, slug or type_, rest if slug else label)


def _lasting(start: dt.datetime, end: dt.datetime) -> ScopePeriodQuerySet:
    """What was so at some moment of this time."""
    return ScopePeriod.objects.filter(Q(until=None) | Q(until__gt=start), since__lte=end)


def _changed(place: Place, periods: list[ScopePeriod], start: dt.datetime, end: dt.datetime) -> Changed:
    before = standing(period for period in periods if lasts_at(period, start))
    now = standing(period for period in periods if lasts_at(period, end))
    return Changed(place, _between(before, now), tuple(moments_of(periods, lambda at: start < at <= end)))


def _newest(rows: ScopePeriodQuerySet, before: dt.datetime | None, limit: int) -> list[dt.datetime]:
    """When the newest changes were, each moment once."""
    begun, ended = rows.order_by("-since"), rows.exclude(until=None).order_by("-until")
    if before is not None:
        begun, ended = begun.filter(since__lt=before), ended.filter(until__lt=before)
    found = set(begun.values_list("since", flat=True).distinct()[:limit])
    found.update(at for at in ended.values_list("until", flat=True).distinct()[:limit] if at is not None)
    return sorted(found, reverse=True)[:limit]


def _of_moment(ended: list[ScopePeriod], begun: list[ScopePeriod]) -> tuple[SideChange, ...]:
    found = []
    for side in Side:
        gone = [period for period in ended if period.side == side]
        come = [period for period in begun if period.side == side]
        before, now = _has(gone), _has(come)
        found.append(_change(side, _scopes(gone), _scopes(come), before, now))
    return tuple(filter(None, found))


def _has(periods: list[ScopePeriod]) -> Has | None:
    return next((Has(period.is_listed, period.account) for period in periods if not period.scope), None)


def _scopes(periods: list[ScopePeriod]) -> frozenset[str]:
    return frozenset(period.scope for period in periods if period.scope)


def _between(before: Standing, now: Standing) -> tuple[SideChange, ...]:
    nothing: frozenset[str] = frozenset()
    changes = (
        _change(
            side,
            before.listed.get(side, nothing),
            now.listed.get(side, nothing),
            before.has(side),
            now.has(side),
        )
        for side in Side
    )
    return tuple(filter(None, changes))


def _change(side: Side, before: frozenset[str], now: frozenset[str], had: Has | None, has: Has | None) -> SideChange:
    whole = (had is not None and had.is_listed) != (has is not None and has.is_listed)
    return SideChange(side, tuple(sorted(now - before)), tuple(sorted(before - now)), side_words(side, had, has), whole)


def _only(changed: Changed, wanted: Wanted) -> Changed:
    """Cut down to the scopes and the side that are wanted."""
    if not wanted.scopes and not wanted.side:
        return changed
    moments = (replace(moment, changes=_cut(moment.changes, wanted)) for moment in changed.moments)
    return Changed(changed.place, _cut(changed.net, wanted), tuple(one for one in moments if one.changes))


def _cut(changes: Iterable[SideChange], wanted: Wanted) -> tuple[SideChange, ...]:
    found = [change for change in changes if wanted.side in ("", change.side)]
    if wanted.scopes:
        meant = frozenset(wanted.scopes)
        found = [
            SideChange(
                one.side,
                tuple(scope for scope in one.added if scope in meant),
                tuple(scope for scope in one.removed if scope in meant),
            )
            for one in found
        ]
    return tuple(filter(None, found))

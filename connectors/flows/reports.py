"""Reports: what the ledger's pages show, as tables of any length. Rows are read while they are written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from connectors.core.reports import Cell, Row, Table
from connectors.flows.history import ConnectorThen, Place, Wanted, state_at
from connectors.flows.history_changes import Difference, Moment, SideChange, difference, timeline
from connectors.flows.ledger_groups import By, Group
from connectors.flows.offboard import Holdings, other_holdings
from connectors.flows.report_columns import REPORTS
from connectors.flows.reviews import evidence_rows
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import CatalogueScope, Connector, LedgerEntry, ReviewCampaign, Sensitivity
from connectors.models.project import ProjectQuerySet

READ_AT_ONCE = 2_000
"""Rows that the database hands over at once."""
CONNECTORS_AT_ONCE = 500
"""Connectors whose history is read at once."""

_LEDGER_FIELDS = (
    "project__workspace__name",
    "project__slug",
    "project__name",
    "environment",
    "integration_type_id",
    "provider",
    "scope",
    "sensitivity",
    "declared",
    "repository",
    "registered",
    "granted",
    "verdict",
    "differs",
    "reason",
    "account",
    "person",
    "policy",
    "since",
)
_TYPE_PLACE, _SCOPE_PLACE, _SENSITIVITY_PLACE = (
    _LEDGER_FIELDS.index(name) for name in ("integration_type_id", "scope", "sensitivity")
)


def ledger_table(entries: QuerySet[LedgerEntry], about: str = "") -> Table:
    """One row for each entry, in the order of `entries`, which the caller has narrowed to what the person may see."""
    return _table("ledger", "Scope ledger", _ledger_rows(entries), about)


def groups_table(by: By, groups: Iterable[Group], about: str = "") -> Table:
    """One row for each scope, account or person."""
    name, title = _GROUPS[by]
    return _table(name, title, _group_rows(by, groups), about)


def history_table(
    projects: ProjectQuerySet,
    moment: dt.datetime,
    wanted: Wanted | None = None,
    *,
    with_gone: bool = False,
    about: str = "",
) -> Table:
    """One row for each scope of each connector at the moment; a connector without scopes has a row without one."""
    rows = _history_rows(projects, moment, wanted, with_gone=with_gone)
    return _table("ledger-history", "Scope ledger at a date", rows, about)


def changes_table(
    projects: ProjectQuerySet,
    start: dt.datetime,
    end: dt.datetime,
    wanted: Wanted | None = None,
    *,
    with_gone: bool = False,
    about: str = "",
) -> Table:
    """One row for each scope that a side began or ceased to list, by project and type, each one's newest first.

    Of a time with more changes than can be looked at it says so in its `about`.
    """
    wanted = wanted or Wanted()

    def page_after(after: str) -> Difference:
        return difference(projects, start, end, wanted, after=after, limit=CONNECTORS_AT_ONCE, with_gone=with_gone)

    first = page_after("")
    cut = "Cut off: there were more changes than fit; choose a shorter time." if first.capped else ""
    return _table("ledger-changes", "Changes of the scope ledger", _change_rows(first, page_after), _joined(about, cut))


def timeline_table(connector: Connector, about: str = "") -> Table:
    """All that ever changed at one connector, newest first, with the columns of `changes_table`."""
    about = _joined(f"{connector.integration_type_id} in {connector.project.name}", about)
    return _table("connector-timeline", "Timeline of a connector", _timeline_rows(connector), about)


def holdings_table(holdings: Holdings) -> Table:
    """Everything that hangs on one person, connectors first."""
    return _table("person-holdings", f"What hangs on {holdings.person.name}", _holding_rows(holdings), "")


def review_table(campaign: ReviewCampaign, about: str = "") -> Table:
    """The evidence of an access review: what was frozen, who decided what and why, and what became of it."""
    return _table("access-review", f"Access review: {campaign.name}", evidence_rows(campaign), about)


_GROUPS = {
    By.SCOPE: ("ledger-by-scope", "Scope ledger by scope"),
    By.ACCOUNT: ("ledger-by-account", "Scope ledger by account"),
    By.PERSON: ("ledger-by-person", "Scope ledger by person"),
}


def _table(name: str, title: str, rows: Iterable[Row], about: str) -> Table:
    return Table(name, title, REPORTS[name], rows, about)


def _ledger_rows(entries: QuerySet[LedgerEntry]) -> Iterator[Row]:
    facts = ScopeFacts()
    for values in entries.values_list(*_LEDGER_FIELDS).iterator(READ_AT_ONCE):
        cells = [_known(value) for value in values]
        type_, scope = values[_TYPE_PLACE], values[_SCOPE_PLACE]
        cells[_SENSITIVITY_PLACE] = _level(values[_SENSITIVITY_PLACE])
        cells.insert(_SENSITIVITY_PLACE, facts.title(type_, scope) or None)
        yield tuple(cells)


def _group_rows(by: By, groups: Iterable[Group]) -> Iterator[Row]:
    titles = _titles() if by == By.SCOPE else {}
    for group in groups:
        ends: Row = (group.differing, group.worst.value)
        name, level = group.name or None, _level(group.sensitivity)
        counts: Row = (group.entries, group.holding, group.connectors, group.projects)
        if by == By.SCOPE:
            head: Row = (group.provider or None, name, titles.get((group.provider, group.name)), level)
            yield (*head, *counts, group.accounts, *ends)
        elif by == By.ACCOUNT:
            yield (name, level, *counts, group.scopes, *ends, group.types)
        else:
            yield (name, level, *counts, group.accounts, group.scopes, *ends, group.types)


def _titles() -> dict[tuple[str, str], str]:
    rows = CatalogueScope.objects.exclude(title="").order_by()
    return {(provider, name): title for provider, name, title in rows.values_list("provider", "name", "title")}


def _history_rows(
    projects: ProjectQuerySet, moment: dt.datetime, wanted: Wanted | None, *, with_gone: bool
) -> Iterator[Row]:
    facts, after = ScopeFacts(), ""
    while True:
        state = state_at(projects, moment, wanted, after=after, limit=CONNECTORS_AT_ONCE, with_gone=with_gone)
        for then in state.rows:
            yield from _then_rows(then, moment, facts)
        if not state.after:
            return
        after = state.after


def _then_rows(then: ConnectorThen, moment: dt.datetime, facts: ScopeFacts) -> Iterator[Row]:
    head, account = (moment, *_place(then.place)), then.standing.account or None
    if not then.verdicts:
        yield (*head, None, None, *[None] * 4, None, None, account)
    for one in then.verdicts:
        sides: Row = (one.declared, one.repository, one.registered, one.granted)
        title = facts.title(then.place.type_slug, one.scope) or None
        yield (*head, one.scope, title, *sides, one.verdict.value, one.reason, account)


def _change_rows(page: Difference, page_after: Callable[[str], Difference]) -> Iterator[Row]:
    while True:
        for changed in page.rows:
            for moment in changed.moments:
                yield from _moment_rows(changed.place, moment)
        if not page.after:
            return
        page = page_after(page.after)


def _timeline_rows(connector: Connector) -> Iterator[Row]:
    place = Place(connector.project, connector.project.name, connector.integration_type_id)
    before: dt.datetime | None = None
    while True:
        page = timeline(connector, before=before)
        for moment in page.moments:
            yield from _moment_rows(place, moment)
        if page.before is None:
            return
        before = page.before


def _moment_rows(place: Place, moment: Moment) -> Iterator[Row]:
    for change in moment.changes:
        for kind, scope, words in _steps(change):
            cause: Row = (moment.through, moment.by or None, moment.run)
            yield (moment.at, *_place(place), change.side.value, kind, scope, words, *cause)


def _steps(change: SideChange) -> Iterator[tuple[str, str | None, str | None]]:
    if change.words:
        yield "side", None, change.words
    yield from (("added", scope, None) for scope in change.added)
    yield from (("removed", scope, None) for scope in change.removed)


def _holding_rows(holdings: Holdings) -> Iterator[Row]:
    who = holdings.person.name
    for one in holdings.reaches:
        connector = one.connector
        place = (connector.project.slug, connector.integration_type_id, one.way.value, one.account or None)
        level = _level(one.sensitivity)
        yield (who, "connector", str(connector.integration_type), *place, one.fate, level, one.scopes, one.consequence)
    for kind, name, project, details in other_holdings(holdings):
        yield (who, kind, name, project, None, None, None, None, None, None, details)


def _place(place: Place) -> tuple[str | None, str, str]:
    return place.project.slug if place.project else None, place.label, place.type_slug


def _joined(*sentences: str) -> str:
    return "; ".join(filter(None, sentences))


def _known(value: Any) -> Cell:
    """None for the empty text with which the database says the same."""
    found: Cell = None if value == "" else value
    return found


def _level(value: int | None) -> str | None:
    return None if value is None else Sensitivity(value).name.lower()

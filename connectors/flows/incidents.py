"""Watch: compare what is wrong now with the incidents that are open, and open and close them, each once."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import IntegrityError, transaction

from connectors.core.actor import SCHEDULER
from connectors.flows.alert_routing import CHUNK, FLAPPING, chunks, take_back_over, tell_opened, tell_over, wishes
from connectors.flows.events import Change, record_events
from connectors.flows.incident_sources import Wrong, everything_wrong
from connectors.flows.trail_incident import trail_incidents
from connectors.models import AlertDelivery, Connector, Incident, Severity

log = logging.getLogger(__name__)

_KNOWN = ("key", "severity", "is_terminal", "title", "detail", "opened_at", "connector_id", "project_id")
Item = TypeVar("Item")


@dataclass(slots=True)
class Watched:
    """How many incidents a watch opened, closed and opened again."""

    opened: int = 0
    closed: int = 0
    reopened: int = 0


@dataclass(slots=True)
class _Changes:
    open: list[Wrong] = field(default_factory=list)
    close: list[Incident] = field(default_factory=list)
    replace: list[tuple[Incident, Wrong]] = field(default_factory=list)
    reopen: list[Incident] = field(default_factory=list)
    update: list[Incident] = field(default_factory=list)


class _OvertakenError(Exception):
    """Another watch has just made the same change."""


def watch(now: dt.datetime, *, whole: bool = False) -> Watched:
    """Opens an incident for each thing that is newly wrong, closes those that are over, and queues the messages.

    The number of queries follows what has changed and never how much there is. What comes back within `FLAPPING` goes
    on in the same row, without another message. What gets graver is closed and opened anew: who hears of grave things
    only has to hear of it. `whole`: looks for tokens that newly end soon as well, which is dear.
    """
    wrong, names = everything_wrong(now, whole=whole)
    wrong |= trail_incidents(now)
    changes, watched = _compare(wrong, now), Watched()
    try:
        _carry_out(changes, names.environments, now, watched)
    except (IntegrityError, _OvertakenError):
        # Two watches at once, or a row that was deleted meanwhile; the next one sees how it stands.
        log.info("A watch for incidents stopped: another one was faster")
    return watched


def _carry_out(changes: _Changes, environments: Mapping[int, str], now: dt.datetime, watched: Watched) -> None:
    """In portions, each with its events and messages in a transaction of its own: on SQLite nobody else can write
    during one."""
    found = wishes() if changes.open or changes.replace else []
    for pairs in _portions(changes.replace):
        with transaction.atomic():
            _close([row for row, _ in pairs], now, "It became graver.")
            tell_opened(_open([item for _, item in pairs], now), environments, now, found)
        watched.opened += len(pairs)
    for items in _portions(changes.open):
        with transaction.atomic():
            tell_opened(_open(items, now), environments, now, found)
        watched.opened += len(items)
    for rows in _portions(changes.close):
        with transaction.atomic():
            _close(rows, now)
            tell_over([row.pk for row in rows], now)
        watched.closed += len(rows)
    for rows in _portions(changes.reopen):
        with transaction.atomic():
            _reopen(rows)
            take_back_over([row.pk for row in rows], now)
        watched.reopened += len(rows)
    for rows in _portions(changes.update):
        Incident.objects.bulk_update(rows, ["title", "detail", "is_terminal"])


def _portions(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def prune_incidents(now: dt.datetime, *, keep_days: int) -> int:
    """Forgets incidents that have been over for so long, with their messages, and old tests and summaries."""
    before = now - dt.timedelta(days=keep_days)
    old = list(Incident.objects.filter(closed_at__lt=before).order_by().values_list("pk", flat=True))
    for keys in chunks(old):
        Incident.objects.filter(pk__in=keys).delete()
    AlertDelivery.objects.filter(incident=None, members=None, created_at__lt=before).delete()
    return len(old)


def _compare(wrong: Mapping[str, Wrong], now: dt.datetime) -> _Changes:
    changes = _Changes()
    known = {row.key: row for row in Incident.objects.open().order_by().only(*_KNOWN)}
    just_over = Incident.objects.filter(closed_at__gt=now - FLAPPING).order_by("pk").only(*_KNOWN)
    recent = {row.key: row for row in just_over}  # of several with one key the newest
    for key, item in wrong.items():
        if (row := known.get(key)) is not None:
            _compare_one(row, item, changes)
        elif item.opens:
            before = recent.get(key)
            if before is not None and item.severity <= before.severity:
                _take_over(before, item)
                changes.reopen.append(before)
            else:
                changes.open.append(item)
    changes.close = [row for key, row in known.items() if key not in wrong]
    return changes


def _compare_one(row: Incident, item: Wrong, changes: _Changes) -> None:
    if item.opens and item.severity > row.severity:
        changes.replace.append((row, item))
    elif _take_over(row, item):
        changes.update.append(row)


def _take_over(row: Incident, item: Wrong) -> bool:
    """Whether the words have changed. The severity stays the gravest that it was: it must not go to and fro."""
    told = row.title, row.detail, row.is_terminal
    row.title, row.detail, row.is_terminal = item.title[:200], item.detail, item.is_terminal
    return told != (row.title, row.detail, row.is_terminal)


def _open(items: Iterable[Wrong], now: dt.datetime) -> list[Incident]:
    opened = Incident.objects.bulk_create(
        Incident(
            key=item.key,
            kind=item.kind,
            severity=item.severity,
            is_terminal=item.is_terminal,
            workspace_id=item.place.workspace_id,
            project_id=item.place.project_id,
            connector_id=item.place.connector_id,
            title=item.title[:200],
            detail=item.detail,
            opened_at=now,
        )
        for item in items
    )
    _record("incident.opened", opened)
    return opened


def _close(rows: Sequence[Incident], now: dt.datetime, why: str = "") -> None:
    still_open = Incident.objects.open().filter(pk__in=[row.pk for row in rows])
    if still_open.update(closed_at=now) != len(rows):
        raise _OvertakenError
    _record("incident.closed", rows, why)


def _reopen(rows: Sequence[Incident]) -> None:
    still_over = Incident.objects.filter(pk__in=[row.pk for row in rows], closed_at__isnull=False)
    if still_over.update(closed_at=None) != len(rows):
        raise _OvertakenError
    Incident.objects.bulk_update(rows, ["title", "detail", "is_terminal"])
    _record("incident.reopened", rows)


def _record(verb: str, rows: Sequence[Incident], why: str = "") -> None:
    """One event for each; the connectors that their labels name are read at once."""
    wanted = {row.connector_id for row in rows if row.connector_id}
    connectors = Connector.objects.select_related("project").only("integration_type_id", "project__name")
    found = connectors.in_bulk(wanted) if wanted else {}
    for row in rows:
        row.connector = found.get(row.connector_id) if row.connector_id else None
    record_events(SCHEDULER, verb, [_change(row, why) for row in rows])


def _change(row: Incident, why: str) -> Change:
    after = {"severity": str(Severity(row.severity).label)}
    return Change(row, after=after, note=f"{row.title}. {why}".strip())

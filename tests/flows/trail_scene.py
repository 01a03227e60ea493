"""A small trail to tamper with: 40 events in six segments, two that wait, a hole of a transaction rolled back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from connectors.core.trail.faults import Kind
from connectors.flows.events import record_event
from connectors.flows.trail_findings import Findings
from connectors.flows.trail_seal import seal, seal_one
from connectors.flows.trail_verify import verify
from connectors.models import Event, Project, TrailSegment, trail_guard
from tests.factories import SHELL

NOW = timezone.now()
SEALED, WAITING, OF_A_SEGMENT = 40, 2, 7
HOLE = 11
"""The event at this place, from 0, never was: a transaction was rolled back."""


def make_trail(project: Project) -> list[int]:
    """The ids of the sealed events, in order."""
    align_sequences()
    with transaction.atomic():
        for number in range(SEALED + 1):
            record_event(SHELL, "project.changed", project, before={"n": number}, after={"n": number + 1, "x": 1.5})
            if number == HOLE:
                Event.objects.order_by("-pk")[:1].get().delete()
    seal(NOW, most=OF_A_SEGMENT)
    for _ in range(WAITING):
        record_event(SHELL, "project.changed", project)
    align_sequences()
    sealed = TrailSegment.objects.latest("number").last_id
    return list(Event.objects.filter(pk__lte=sealed).order_by("pk").values_list("pk", flat=True))


def align_sequences() -> None:
    """As where no test has rolled anything back: the database has counted no more than there is."""
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for table in (trail_guard.EVENTS, trail_guard.SEGMENTS):
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "  # noqa: S608 - names of ours
                f"greatest((SELECT max(id) FROM {table}), 1), (SELECT max(id) FROM {table}) IS NOT NULL)"
            )


@contextmanager
def undone() -> Iterator[None]:
    """What is done inside is taken back, so that the next example finds the trail whole."""
    with transaction.atomic():
        point = transaction.savepoint()
        try:
            yield
        finally:
            transaction.savepoint_rollback(point)


def run(sql: str, *values: Any) -> None:
    """One statement, as somebody with the database's password would make it."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def checked(**options: Any) -> Findings:
    """A check of the trail; the guards, which tests do without, are left out of it."""
    findings = verify(NOW + dt.timedelta(minutes=1), **options)
    known = [fault for fault in findings.faults if fault.kind != Kind.GUARDS]
    findings.fault_count -= len(findings.faults) - len(known)
    findings.faults = known
    return findings


def found(**options: Any) -> set[tuple[str, int | None, int | None]]:
    """What a check finds: kind, segment and event of each fault."""
    return {(fault.kind.value, fault.segment, fault.event) for fault in checked(**options).faults}


def segment_of(event_id: int) -> int:
    """The number of the segment that sealed the event."""
    return TrailSegment.objects.around(event_id)[0].number


__all__ = ["NOW", "align_sequences", "checked", "found", "make_trail", "run", "seal_one", "segment_of", "undone"]

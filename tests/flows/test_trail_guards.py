"""The database itself refuses to change what is on record."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from connectors.flows.events import record_event
from connectors.flows.trail_seal import seal
from connectors.models import Event, Project, TrailSegment, trail_guard
from tests.factories import SHELL

NOW = timezone.now()


@pytest.fixture
def event(project: Project, trail_guards: None) -> Event:
    return record_event(SHELL, "project.added", project)


@pytest.fixture
def segment(event: Event) -> TrailSegment:
    seal(NOW)
    return TrailSegment.objects.get()


def refused(sql: str, *values: int) -> bool:
    """Whether the database refuses a statement because of its guards."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, values)
    except DatabaseError as error:
        return trail_guard.SAID in str(error)
    return False


def test_migrations_leave_every_guard_in_place(django_db_setup: list[str]) -> None:
    assert django_db_setup == []


@pytest.mark.parametrize("column", ["verb", "at", "after", "digest", "note", "project_id"])
def test_no_column_of_an_event_can_be_changed(event: Event, column: str) -> None:
    assert refused(f"UPDATE connectors_event SET {column} = {column} WHERE id = %s", event.pk)  # noqa: S608 - ours


def test_an_event_cannot_be_deleted(event: Event) -> None:
    assert refused("DELETE FROM connectors_event WHERE id = %s", event.pk)


def test_an_event_cannot_be_replaced_by_another_with_its_key(event: Event) -> None:
    other = Event(pk=event.pk, verb="project.removed", door="shell", target_type="project", target_label="x")
    with pytest.raises(DatabaseError), transaction.atomic():
        other.save(force_insert=True)
    if connection.vendor == "sqlite":
        columns = ", ".join(
            str(field.column) for field in Event._meta.concrete_fields if not field.generated and field.column
        )
        sql = f"REPLACE INTO connectors_event ({columns}) SELECT {columns} FROM connectors_event"  # noqa: S608 - ours
        assert refused(sql)
    assert Event.objects.get().verb == "project.added"


def test_neither_table_can_be_truncated(segment: TrailSegment) -> None:
    if connection.vendor == "postgresql":
        assert refused("TRUNCATE connectors_event")
        assert refused("TRUNCATE connectors_trailsegment")
    else:
        assert refused("DELETE FROM connectors_event")
        assert refused("DELETE FROM connectors_trailsegment")


def test_a_segment_cannot_be_deleted(segment: TrailSegment) -> None:
    assert refused("DELETE FROM connectors_trailsegment WHERE id = %s", segment.pk)


@pytest.mark.parametrize("column", ["number", "leaves", "ids", "digest", "previous", "sealed_at", "key_id"])
def test_no_column_of_a_segment_can_be_changed_even_while_it_is_archived(segment: TrailSegment, column: str) -> None:
    value = {"number": "7", "leaves": "NULL", "ids": "'[]'", "sealed_at": "'2020-01-01 00:00:00+00'"}.get(column, "'x'")
    sql = f"UPDATE connectors_trailsegment SET archived_at = sealed_at, {column} = {value} WHERE id = %s"  # noqa: S608
    assert refused(sql, segment.pk)


def test_a_segment_is_marked_as_archived_once_and_never_taken_back(segment: TrailSegment) -> None:
    TrailSegment.objects.update(archived_at=NOW, archive_name="a")
    assert refused("UPDATE connectors_trailsegment SET archived_at = NULL WHERE id = %s", segment.pk)
    assert refused("UPDATE connectors_trailsegment SET archive_name = 'b' WHERE id = %s", segment.pk)


def test_only_events_of_an_archived_segment_can_be_deleted(segment: TrailSegment, event: Event) -> None:
    later = record_event(SHELL, "project.changed", event.project or event)
    TrailSegment.objects.update(archived_at=NOW + dt.timedelta(days=1))
    assert refused("DELETE FROM connectors_event WHERE id = %s", later.pk)
    Event.objects.filter(pk=event.pk).delete()
    assert list(Event.objects.all()) == [later]


@pytest.mark.parametrize("name", ["connectors_trail_event", "connectors_trail_segment"])
def test_a_guard_that_was_emptied_counts_as_missing(trail_guards: None, name: str) -> None:
    assert trail_guard.missing(connection) == []
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            body = "BEGIN RETURN OLD; END"
            cursor.execute(f"CREATE OR REPLACE FUNCTION {name}_guard() RETURNS trigger LANGUAGE plpgsql AS $${body}$$")
            missing = [name]
        else:
            missing = [f"{name}_update"]
            table = trail_guard.EVENTS if name.endswith("event") else trail_guard.SEGMENTS
            cursor.execute(f"DROP TRIGGER {missing[0]}")
            cursor.execute(f"CREATE TRIGGER {missing[0]} BEFORE UPDATE ON {table} BEGIN SELECT 1; END")
    assert trail_guard.missing(connection) == missing


def test_a_guard_with_a_condition_counts_as_missing(trail_guards: None) -> None:
    where = "ON connectors_event"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            name, call = "connectors_trail_event", "FOR EACH ROW WHEN (OLD.id < 0) EXECUTE FUNCTION"
            cursor.execute(f"DROP TRIGGER {name} {where}")
            cursor.execute(f"CREATE TRIGGER {name} BEFORE UPDATE OR DELETE {where} {call} {name}_guard()")
            cursor.execute(f"ALTER TABLE connectors_event ENABLE ALWAYS TRIGGER {name}")
        else:
            name = "connectors_trail_event_update"
            cursor.execute(f"DROP TRIGGER {name}")
            cursor.execute(f"CREATE TRIGGER {name} BEFORE UPDATE {where} WHEN 0 BEGIN SELECT RAISE(ABORT, 'x'); END")
    assert trail_guard.missing(connection) == [name]

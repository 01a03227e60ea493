"""Whatever is done to the trail by somebody with the database's password and without its key is found and located."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.core.trail.form import event_form
from connectors.core.trail.keys import TrailKeys
from connectors.flows.events import record_event
from connectors.flows.trail_verify import checkpoint_now
from connectors.models import Event, Project, TrailSegment
from tests.factories import SHELL
from tests.flows.trail_scene import NOW, OF_A_SEGMENT, SEALED, checked, found, make_trail, run, segment_of, undone

EXAMPLES = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
PLACE = st.integers(0, SEALED - 1)
OTHER = {
    "verb": "project.removed",
    "actor_label": "somebody else",
    "door": "api",
    "target_id": "999",
    "target_label": "another",
    "note": "edited",
    "reason": "edited",
    "request_id": "r",
    "address": "10.0.0.1",
    "user_id": 4711,
    "project_id": 4711,
    "workspace_id": 4711,
    "at": "2020-01-01 00:00:00+00",
    "before": '{"n": -1}',
    "after": "{}",
}


@pytest.fixture
def ids(project: Project) -> list[int]:
    return make_trail(project)


def test_a_trail_that_nobody_touched_verifies(ids: list[int]) -> None:
    findings = checked()
    assert (findings.faults, findings.segments, findings.events, findings.unsealed) == ([], 6, SEALED, 2)


@EXAMPLES
@given(place=PLACE, column=st.sampled_from(sorted(OTHER)))
def test_a_changed_event_is_found(ids: list[int], place: int, column: str) -> None:
    with undone():
        run(f"UPDATE connectors_event SET {column} = %s WHERE id = %s", OTHER[column], ids[place])  # noqa: S608
        assert found() == {("changed", segment_of(ids[place]), ids[place])}


@EXAMPLES
@given(place=PLACE)
def test_a_changed_event_with_a_digest_of_another_key_is_found(ids: list[int], place: int) -> None:
    with undone():
        event = Event.objects.get(pk=ids[place])
        event.verb = "project.removed"
        forged = TrailKeys([secrets.token_hex(32)]).first.of_event(event_form(event.content()))
        Event.objects.filter(pk=event.pk).update(verb=event.verb, digest=forged)
        assert found() == {("changed", segment_of(event.pk), event.pk)}


@EXAMPLES
@given(place=st.integers(0, SEALED - 2), many=st.integers(1, 9))
def test_removed_events_are_found(ids: list[int], place: int, many: int) -> None:
    gone = ids[place : place + many][: SEALED - 1 - place]
    with undone():
        Event.objects.filter(pk__in=gone).delete()
        faults = found()
        assert {kind for kind, _, _ in faults} == {"removed"}
        assert ("removed", segment_of(gone[0]), gone[0]) in faults


def test_a_removed_event_that_was_the_newest_sealed_one_is_found(ids: list[int]) -> None:
    Event.objects.filter(pk=ids[-1]).delete()
    assert found() == {("removed", segment_of(ids[-1]), ids[-1])}


@EXAMPLES
@given(digest=st.sampled_from(["", "00" * 32, "no digest"]), in_hole=st.booleans())
def test_an_inserted_event_is_found(ids: list[int], digest: str, in_hole: bool) -> None:
    hole = next(pk for pk in range(ids[0], ids[-1]) if pk not in ids)
    with undone():
        key_id = TrailKeys([secrets.token_hex(32)]).first.key_id if digest == "no digest" else _key_id()
        pk = hole if in_hole else None
        event = Event(
            pk=pk, verb="login.succeeded", door="admin", target_type="user", digest=digest, key_id=key_id, at=NOW
        )
        event.save(force_insert=True)
        assert found() == {("unknown_key" if digest == "no digest" else "inserted", None, event.pk)}


def test_an_event_that_was_copied_is_found(ids: list[int]) -> None:
    _take_constraints_away()
    copy = Event.objects.get(pk=ids[3])
    copy.pk = ids[-1] + 100
    copy.save(force_insert=True)
    assert found() == {("inserted", None, copy.pk)}


@EXAMPLES
@given(one=PLACE, other=PLACE)
def test_events_that_changed_places_are_found(ids: list[int], one: int, other: int) -> None:
    if one == other:
        return
    with undone():
        _swap("connectors_event", "id", ids[one], ids[other], 10**9)
        assert found() == {("moved", segment_of(pk), pk) for pk in (ids[one], ids[other])}


@EXAMPLES
@given(one=PLACE, other=PLACE)
def test_events_that_changed_times_are_found(ids: list[int], one: int, other: int) -> None:
    pair = {ids[one], ids[other]}
    with undone():
        rows = Event.objects.in_bulk(pair)
        times = {pk: row.at for pk, row in rows.items()}
        if len(set(times.values())) < 2:
            return
        for pk, at in zip(pair, reversed([times[pk] for pk in pair]), strict=True):
            Event.objects.filter(pk=pk).update(at=at)
        assert found() == {("changed", segment_of(pk), pk) for pk in pair}


@EXAMPLES
@given(place=PLACE)
def test_a_tail_of_events_that_was_cut_off_is_found(ids: list[int], place: int) -> None:
    with undone():
        Event.objects.filter(pk__gte=ids[place]).delete()
        faults = found()
        assert ("truncated", segment_of(ids[place]), ids[place]) in faults
        assert {kind for kind, _, _ in faults} == {"truncated"}


@EXAMPLES
@given(last=st.integers(1, 5))
def test_a_tail_that_was_cut_off_with_its_segments_is_found(ids: list[int], last: int) -> None:
    checkpoint = checkpoint_now(NOW)
    assert checkpoint is not None
    with undone():
        gone = TrailSegment.objects.filter(number__gt=last)
        Event.objects.filter(pk__gte=ids[last * OF_A_SEGMENT]).delete()
        gone.delete()
        assert ("truncated", last + 1, None) in found()
        run("UPDATE sqlite_sequence SET seq = 0") if connection.vendor == "sqlite" else _forget_sequences()
        assert found() == set()  # whoever owns the database can do that: it takes a checkpoint from elsewhere
        assert found(checkpoints=[checkpoint]) == {("truncated", last + 1, None)}


@EXAMPLES
@given(
    number=st.integers(1, 6),
    column=st.sampled_from(
        ["event_count", "first_id", "last_id", "previous", "digest", "sealed_at", "newest_at", "ids", "leaves"]
    ),
)
def test_a_changed_segment_is_found(ids: list[int], number: int, column: str) -> None:
    values: dict[str, Any] = {"previous": "ab" * 32, "digest": "cd" * 32, "ids": [[1, 2]], "leaves": bytes(16)}
    row = TrailSegment.objects.get(number=number)
    value = values.get(column, getattr(row, column))
    if column in ("event_count", "first_id", "last_id"):
        value += 1
    if column.endswith("_at"):
        value = NOW.replace(year=2020)
    with undone():
        TrailSegment.objects.filter(number=number).update(**{column: value})
        faults = found()
        assert ("segment_changed", number, None) in faults
        assert {kind for kind, _, _ in faults} == {"segment_changed"}


@EXAMPLES
@given(number=st.integers(1, 5))
def test_a_removed_segment_is_found(ids: list[int], number: int) -> None:
    with undone():
        TrailSegment.objects.filter(number=number).delete()
        assert found() == {("segment_removed", number, None)}


@EXAMPLES
@given(one=st.integers(1, 6), other=st.integers(1, 6))
def test_segments_that_changed_places_are_found(ids: list[int], one: int, other: int) -> None:
    if one == other:
        return
    with undone():
        _swap("connectors_trailsegment", "number", one, other, 10**6)
        faults = found()
        assert {("segment_moved", one, None), ("segment_moved", other, None)} <= faults


def test_a_trail_of_another_key_does_not_verify(ids: list[int], settings: Any) -> None:
    settings.TRAIL_KEYS = [secrets.token_urlsafe(32)]
    faults = checked().faults
    assert {fault.kind.value for fault in faults} == {"unknown_key"}
    assert {fault.segment for fault in faults} >= set(range(1, 7))


def test_a_trail_goes_on_with_a_new_key_in_front(ids: list[int], settings: Any, project: Project) -> None:
    settings.TRAIL_KEYS = [secrets.token_urlsafe(32), *settings.TRAIL_KEYS]
    event = record_event(SHELL, "project.changed", project)
    assert event.key_id != Event.objects.get(pk=ids[0]).key_id
    assert found() == set()


@EXAMPLES
@given(number=st.integers(1, 6))
def test_events_removed_under_the_pretext_of_an_archive_are_found(ids: list[int], number: int) -> None:
    with undone():
        TrailSegment.objects.filter(number=number).update(archived_at=NOW, archive_name="x", archive_seal="ab" * 32)
        Event.objects.filter(pk__in=ids[(number - 1) * OF_A_SEGMENT : number * OF_A_SEGMENT]).delete()
        assert ("archive", number, None) in found()


def test_an_event_keeps_its_digest_whatever_its_values_are(project: Project) -> None:
    odd: Any = {
        "big": 10**30,
        "float": 1e16,
        "small": 1e-7,
        "list": (1, 2.0),
        3: None,
        "text": "ß\u2028\\",
        "deep": {"b": 1},
    }
    event = record_event(SHELL, "project.changed", project, before=odd, after={"uuid": str(uuid.uuid4())})
    assert Event.objects.get(pk=event.pk).is_genuine()


def _key_id() -> str:
    return Event.objects.order_by("pk")[0].key_id


def _swap(table: str, column: str, one: int, other: int, free: int) -> None:
    for old, new in ((one, free), (other, one), (free, other)):
        run(f"UPDATE {table} SET {column} = %s WHERE {column} = %s", new, old)  # noqa: S608 - names of ours


def _forget_sequences() -> None:
    for table in ("connectors_event", "connectors_trailsegment"):
        run(f"ALTER SEQUENCE {table}_id_seq RESTART")


def _take_constraints_away() -> None:
    """So that two events can have the same uid; SQLite has to make the table anew for that."""
    if connection.vendor == "sqlite":
        run("CREATE TABLE unguarded AS SELECT * FROM connectors_event")
        run("DROP TABLE connectors_event")
        run("ALTER TABLE unguarded RENAME TO connectors_event")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE conname LIKE 'connectors_event_uid%'")
        run(f"ALTER TABLE connectors_event DROP CONSTRAINT {cursor.fetchone()[0]}")

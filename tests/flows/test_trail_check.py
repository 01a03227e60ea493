"""Sealing, checking day by day, and telling people when the trail is not as it was written."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from connectors.core.actor import SCHEDULER
from connectors.core.errors import Refused
from connectors.core.trail.checkpoint import CheckpointError, public_key, read
from connectors.core.trail.keys import TrailKeys
from connectors.flows.events import record_event
from connectors.flows.incidents import watch
from connectors.flows.trail_check import check, check_newest
from connectors.flows.trail_seal import LATE, seal, seal_one
from connectors.flows.trail_verify import checkpoint_now, verify
from connectors.models import Event, Incident, Project, TrailCheck, TrailSegment, trail_guard
from connectors.models.trail_keys import trail_keys
from tests.factories import SHELL
from tests.flows.trail_scene import NOW, align_sequences, checked, found, make_trail


@pytest.fixture
def ids(project: Project) -> list[int]:
    return make_trail(project)


@pytest.fixture
def guarded(ids: list[int]) -> list[int]:
    """A trail with its guards, so that a check of it finds nothing at all."""
    trail_guard.install(connection)
    return ids


def taken_out(pk: int) -> Event:
    """An event whose transaction is not committed yet, as others see it."""
    event = Event.objects.get(pk=pk)
    Event.objects.filter(pk=pk).delete()
    return event


def test_an_event_that_was_committed_late_is_sealed_by_a_later_segment(project: Project) -> None:
    align_sequences()
    early = record_event(SHELL, "project.changed", project)
    late = record_event(SHELL, "project.changed", project)
    last = record_event(SHELL, "project.changed", project)
    taken_out(late.pk)
    seal(NOW)
    late.save(force_insert=True)
    seal(NOW)
    assert [row.ids for row in TrailSegment.objects.all()] == [
        [[early.pk, early.pk], [last.pk, last.pk]],
        [[late.pk, late.pk]],
    ]
    align_sequences()
    assert found() == set()


def test_an_event_that_comes_later_than_sealing_looks_is_sealed_after_a_check(guarded: list[int]) -> None:
    trail_guard.remove(connection)
    event = taken_out(Event.objects.latest("pk").pk - 1)
    seal(NOW)
    event.save(force_insert=True)
    trail_guard.install(connection)
    later = NOW + LATE * 2
    assert seal(later) == 0
    assert check(later, SHELL).late == [event.pk]
    assert TrailSegment.objects.around(event.pk)[0].number == 8
    assert checked().late == []


def test_an_event_whose_digest_does_not_fit_is_never_sealed(ids: list[int]) -> None:
    Event.objects.create(verb="login.succeeded", door="admin", target_type="user")
    seal(NOW)
    assert TrailSegment.objects.latest("number").event_count == 2
    assert {kind for kind, _, _ in found()} == {"inserted"}


def test_sealing_again_makes_no_empty_segment(ids: list[int]) -> None:
    assert (seal(NOW), seal(NOW), TrailSegment.objects.count()) == (1, 0, 7)


def test_a_check_goes_on_record_with_what_it_found(ids: list[int]) -> None:
    Event.objects.filter(pk=ids[3]).update(note="edited")
    check(NOW, SCHEDULER)
    event = Event.objects.get(verb="trail.verified")
    assert event.after["faults"] >= 1
    assert f"Event {ids[3]}" in TrailCheck.objects.get().faults[0]["text"]


def test_a_fault_is_an_incident_until_the_same_part_is_found_in_order(guarded: list[int]) -> None:
    trail_guard.remove(connection)
    Event.objects.filter(pk=guarded[3]).update(note="edited")
    check_newest(NOW, SCHEDULER)
    watch(NOW)
    incident = Incident.objects.get(kind="trail")
    assert (incident.severity, f"Event {guarded[3]}" in incident.detail) == (2, True)
    Event.objects.filter(pk=guarded[3]).update(note="")
    trail_guard.install(connection)
    check(NOW, SCHEDULER, from_segment=4)
    watch(NOW)
    assert Incident.objects.open().filter(kind="trail").exists()
    align_sequences()
    check_newest(NOW, SCHEDULER)
    watch(NOW)
    assert not Incident.objects.open().filter(kind="trail").exists()


def test_a_check_says_that_the_guards_are_gone(ids: list[int]) -> None:
    check(NOW, SCHEDULER)
    assert [fault["kind"] for fault in TrailCheck.objects.get().faults] == ["guards"]


def test_a_seal_whose_worker_was_stopped_is_no_fault(ids: list[int]) -> None:
    with suppress(Refused), transaction.atomic():
        assert seal_one(NOW) is not None
        raise Refused("stopped")
    assert found() == set()


def test_a_check_from_a_segment_on_passes_over_what_is_before(ids: list[int]) -> None:
    Event.objects.filter(pk=ids[3]).update(note="edited")
    assert found(from_segment=2) == set()


def test_events_that_wait_for_long_are_a_note(ids: list[int]) -> None:
    notes = verify(NOW + dt.timedelta(hours=3)).notes
    assert any("2 events are older than an hour" in note for note in notes)


def test_a_checkpoint_can_be_checked_with_the_public_key_alone(ids: list[int]) -> None:
    checkpoint = checkpoint_now(NOW)
    assert checkpoint is not None
    key = public_key(trail_keys().first)
    assert found(checkpoints=[checkpoint], public_key=key) == set()
    assert found(checkpoints=[checkpoint], public_key=public_key(TrailKeys(["x" * 40]).first)) == {
        ("checkpoint", 6, None)
    }


def test_a_changed_checkpoint_is_found(ids: list[int], tmp_path: Path) -> None:
    checkpoint = checkpoint_now(NOW)
    assert checkpoint is not None
    (forged,) = read(json.dumps({**checkpoint.document, "segment": 3}), "file")
    assert found(checkpoints=[forged]) == {("checkpoint", 3, None)}


@pytest.mark.parametrize("text", ["", "[]", "{}", "nothing", '{"kind": "connector-portal-trail-checkpoint"}', "1\n2"])
def test_what_is_no_checkpoint_is_refused_in_words(text: str) -> None:
    if not text:
        assert read(text, "here") == []
        return
    with pytest.raises(CheckpointError, match="here holds no checkpoint"):
        read(text, "here")


def test_commands_sign_and_verify_and_end_with_1_when_something_is_wrong(
    guarded: list[int], tmp_path: Path, capsys: Any
) -> None:
    file = tmp_path / "checkpoints"
    call_command("checkpoint_audit_trail", "--out", str(file))
    call_command("checkpoint_audit_trail", "--out", str(file))
    align_sequences()
    capsys.readouterr()
    call_command("verify_audit_trail", "--checkpoint", str(file), "--json")
    assert json.loads(capsys.readouterr().out)["sound"] is True
    trail_guard.remove(connection)
    Event.objects.filter(pk=guarded[3]).update(note="edited")
    trail_guard.install(connection)
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit_trail")
    assert ended.value.code == 1
    assert f"Event {guarded[3]} does not say" in capsys.readouterr().err


def test_old_events_are_archived_by_command(guarded: list[int], settings: Any, tmp_path: Path, capsys: Any) -> None:
    settings.TRAIL_ARCHIVE_DIR = str(tmp_path)
    call_command("archive_audit_trail", "--days", "0")
    assert "segments 1 to 6, 40 events" in capsys.readouterr().out
    assert checked().faults == []

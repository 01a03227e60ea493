"""Old events go into files that hold exactly what was sealed; no crash loses any."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from connectors.core.errors import Refused
from connectors.flows import trail_archive
from connectors.flows.trail_archive import archive
from connectors.flows.trail_files import digest_of, write_gzip
from connectors.models import Event, Project, TrailSegment, trail_guard
from tests.factories import SHELL
from tests.flows.trail_scene import NOW, SEALED, checked, found, make_trail, run

LATER = NOW + dt.timedelta(days=400)


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.TRAIL_ARCHIVE_DIR = str(tmp_path / "trail")
    return tmp_path / "trail"


@pytest.fixture
def ids(project: Project, folder: Path) -> list[int]:
    return make_trail(project)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]


def test_events_that_are_old_enough_are_in_the_file_and_no_longer_in_the_database(ids: list[int], folder: Path) -> None:
    trail_guard.install(connection)
    (made,) = archive(LATER, SHELL, keep_days=365)
    trail_guard.remove(connection)
    assert (made.first, made.last, made.events) == (1, 6, SEALED)
    assert [line["id"] for line in lines_of(folder / made.name)] == ids
    assert not Event.objects.filter(pk__in=ids).exists()
    assert (found(), checked().archived) == (set(), SEALED)


def test_events_that_are_young_stay(ids: list[int], folder: Path) -> None:
    assert archive(NOW + dt.timedelta(days=1), SHELL, keep_days=365) == []
    assert not folder.exists()


def test_the_manifest_tells_the_file_and_has_a_signed_checkpoint(ids: list[int], folder: Path) -> None:
    (made,) = archive(LATER, SHELL, keep_days=365)
    manifest = json.loads((folder / made.name.replace(".jsonl.gz", ".json")).read_text())
    assert [one["number"] for one in manifest["segments"]] == [1, 2, 3, 4, 5, 6]
    assert manifest["checkpoint"]["segment"] == 6
    assert manifest["sha256"] == TrailSegment.objects.get(number=3).archive_digest


def test_archiving_goes_on_record(ids: list[int]) -> None:
    (made,) = archive(LATER, SHELL, keep_days=365)
    assert Event.objects.get(verb="trail.archived").after["file"] == made.name


def test_nothing_is_archived_while_an_event_is_not_as_it_was_written(ids: list[int], folder: Path) -> None:
    Event.objects.filter(pk=ids[20]).update(note="edited")
    with pytest.raises(Refused, match=f"Event {ids[20]} "):
        archive(LATER, SHELL, keep_days=365)
    assert Event.objects.filter(pk__in=ids).count() == SEALED


def test_what_lies_in_a_changed_segment_is_not_archived(ids: list[int]) -> None:
    TrailSegment.objects.filter(number=4).update(newest_at=NOW - dt.timedelta(days=1))
    with pytest.raises(Refused, match="Segment 4"):
        archive(LATER, SHELL, keep_days=365)
    assert Event.objects.filter(pk__in=ids).count() == SEALED


@pytest.mark.parametrize("let_go", [None, 0, 1, 3, 6])
def test_a_crash_at_any_step_loses_no_event(ids: list[int], folder: Path, let_go: int | None) -> None:
    """`let_go`: how many segments had left the database by then; None: the file was not there under its name yet."""
    segments = trail_archive.waiting(LATER)
    path = folder / ("trail-00000001-00000006.jsonl.gz" if let_go is not None else ".unfinished")
    write_gzip(path, trail_archive._lines(segments))
    for segment in segments[: let_go or 0]:
        trail_archive._let_go(segment, path.name, digest_of(path), NOW)
    assert {line["id"] for line in lines_of(path)} == set(ids)
    assert found() == set()
    archive(LATER, SHELL, keep_days=365)
    assert not Event.objects.filter(pk__in=ids).exists()
    assert (found(), checked().archived) == (set(), SEALED)


def test_nothing_is_deleted_when_the_file_cannot_be_written(ids: list[int], folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="exists"):
        archive(LATER, SHELL, keep_days=365)
    assert Event.objects.filter(pk__in=ids).count() == SEALED


def test_a_changed_archive_file_is_found(ids: list[int], folder: Path) -> None:
    (made,) = archive(LATER, SHELL, keep_days=365)
    lines = lines_of(folder / made.name)
    lines[9]["note"] = "edited"
    with gzip.open(folder / made.name, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    assert ("archive", 1, None) in found()


def test_a_changed_file_with_a_digest_to_match_is_found_by_what_was_sealed(ids: list[int], folder: Path) -> None:
    (made,) = archive(LATER, SHELL, keep_days=365)
    lines = lines_of(folder / made.name)
    del lines[9]
    with gzip.open(folder / made.name, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    TrailSegment.objects.update(archive_digest=digest_of(folder / made.name))
    assert {(kind, segment) for kind, segment, _ in found()} == {("archive", number) for number in range(1, 7)}


@pytest.mark.parametrize("damage", [b"", b"no gzip", b"\x1f\x8b\x08"])
def test_a_damaged_archive_file_is_told_of_and_breaks_nothing(ids: list[int], folder: Path, damage: bytes) -> None:
    (made,) = archive(LATER, SHELL, keep_days=365)
    (folder / made.name).write_bytes(damage)
    assert ("archive", 1, None) in found()


def test_an_archive_that_was_moved_elsewhere_is_a_note_and_no_fault(ids: list[int], folder: Path) -> None:
    (made,) = archive(LATER, SHELL, keep_days=365)
    (folder / made.name).unlink()
    findings = checked()
    assert findings.faults == []
    assert made.name in findings.notes[0]


def test_an_archived_event_that_is_put_back_is_found(ids: list[int]) -> None:
    event = Event.objects.get(pk=ids[0])
    archive(LATER, SHELL, keep_days=365)
    event.save(force_insert=True)
    assert found() == {("inserted", 1, ids[0])}


def test_an_archived_segment_of_events_alone_may_be_deleted(ids: list[int], folder: Path) -> None:
    """The guards let go what is archived, and nothing else."""
    trail_guard.install(connection)
    archive(LATER, SHELL, keep_days=365)
    waiting = Event.objects.latest("pk")
    with pytest.raises(DatabaseError, match=trail_guard.SAID), transaction.atomic():
        run("DELETE FROM connectors_event WHERE id = %s", waiting.pk)
    trail_guard.remove(connection)

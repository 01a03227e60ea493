"""Archive: move whole verified segments that are old enough from the database into files.

The events are deleted only after the file is on the disk, was read back and has in it exactly what was sealed. A crash
at any moment leaves the events in the database, or in a file, or in both, and never in neither.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.db.models import Max, Min

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.trail.segment import ArchiveFacts, ids_of
from connectors.flows.events import record_event
from connectors.flows.trail_archived import ArchiveFile
from connectors.flows.trail_files import (
    COLUMNS,
    UnreadableArchiveError,
    archive_dir,
    digest_of,
    document_of,
    line_of,
    sync_folder,
    write_gzip,
)
from connectors.flows.trail_findings import Findings
from connectors.flows.trail_rows import Rows
from connectors.flows.trail_verify import checkpoint_of
from connectors.models import Event, TrailSegment, TrailStream
from connectors.models.trail_keys import trail_keys

OF_A_FILE = 100
"""Segments of one file: a hundred thousand events, a few megabytes."""


@dataclass(frozen=True, slots=True)
class Archived:
    """One file that was written, and what its events were."""

    name: str
    first: int
    last: int
    events: int


def archive(now: dt.datetime, actor: Actor, *, keep_days: int) -> list[Archived]:
    """Archives every segment whose events are all older; oldest first. Raises Refused where one does not verify."""
    before, made = now - dt.timedelta(days=keep_days), []
    while segments := waiting(before):
        made.append(archive_segments(segments, now, actor))
    return made


def waiting(before: dt.datetime, most: int = OF_A_FILE) -> list[TrailSegment]:
    """The oldest segments whose events are here and all older than `before`, without a gap.

    None that a stream in use has still to send.
    """
    here = TrailSegment.objects.filter(archived_at=None).order_by("number")
    behind = TrailStream.objects.filter(is_enabled=True).aggregate(first=Min("segment"))["first"]
    if behind is not None:
        here = here.filter(number__lt=behind)
    found: list[TrailSegment] = []
    for segment in here[:most]:
        if segment.newest_at >= before or (found and segment.number != found[-1].number + 1):
            break
        found.append(segment)
    return found


def archive_segments(segments: Sequence[TrailSegment], now: dt.datetime, actor: Actor) -> Archived:
    """Writes, reads back, then deletes. Raises Refused and deletes nothing when anything is not as it was sealed."""
    _verify(segments)
    first, last = segments[0], segments[-1]
    path = archive_dir() / f"trail-{first.number:08d}-{last.number:08d}.jsonl.gz"
    write_gzip(path, _lines(segments))
    digest = digest_of(path)
    _read_back(path, digest, segments)
    _write_manifest(path, digest, segments, now)
    for segment in segments:
        _let_go(segment, path.name, digest, now)
    made = Archived(path.name, first.number, last.number, sum(segment.event_count for segment in segments))
    after = {"file": made.name, "segments": [made.first, made.last], "events": made.events, "sha256": digest}
    record_event(actor, "trail.archived", last, after=after)
    return made


def _verify(segments: Sequence[TrailSegment]) -> None:
    keys, findings = trail_keys(), Findings()
    reached = TrailSegment.objects.filter(number__lt=segments[0].number).aggregate(last=Max("last_id"))["last"]
    rows = Rows(keys, findings, reached or 0)
    for segment in segments:
        if not segment.facts().is_genuine(keys, segment.digest):
            raise Refused(
                f"Segment {segment.number} does not say what it said when it was sealed; nothing is archived."
            )
        rows.check(segment, after_gap=False)
    if not findings.is_sound:
        raise Refused(f"{findings.faults[0].text} Nothing is archived; see all with: manage.py verify_audit_trail")


def _lines(segments: Sequence[TrailSegment]) -> Iterator[str]:
    for segment in segments:
        rows = Event.objects.filter(pk__in=list(ids_of(segment.ids))).order_by("pk").values(*COLUMNS)
        for row in rows:
            yield line_of({**document_of(row), "segment": segment.number})


def _read_back(path: Path, digest: str, segments: Sequence[TrailSegment]) -> None:
    file, keys = ArchiveFile(path), trail_keys()
    for segment in segments:
        try:
            file.compare(segment, keys, digest)
        except UnreadableArchiveError as error:
            raise Refused(
                f"{path.name} could not be read back as it was written. {error} Nothing was deleted."
            ) from None


def _write_manifest(path: Path, digest: str, segments: Sequence[TrailSegment], now: dt.datetime) -> None:
    """What is in the file, for people and for other programs, with a signed checkpoint of its last segment."""
    document = {
        "file": path.name,
        "sha256": digest,
        "events": sum(segment.event_count for segment in segments),
        "segments": [
            {"number": row.number, "ids": row.ids, "events": row.event_count, "digest": row.digest} for row in segments
        ],
        "checkpoint": checkpoint_of(segments[-1], now).document,
    }
    target = path.with_name(path.name.removesuffix(".jsonl.gz") + ".json")
    unfinished = target.with_name(f".{target.name}.unfinished")
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(target)
    sync_folder(target.parent)


@transaction.atomic
def _let_go(segment: TrailSegment, name: str, digest: str, now: dt.datetime) -> None:
    """Marks the segment and deletes its events: both or neither. One that somebody else archived stays as it is."""
    facts = ArchiveFacts(segment.number, segment.digest, name, digest, now)
    seal = facts.seal(trail_keys().named(segment.key_id))
    free = TrailSegment.objects.filter(pk=segment.pk, archived_at=None)
    if not free.update(archived_at=now, archive_name=name, archive_digest=digest, archive_seal=seal):
        return
    gone, _ = Event.objects.filter(pk__in=list(ids_of(segment.ids))).delete()
    if gone != segment.event_count:
        raise Refused(f"Segment {segment.number} changed while it was archived; its events stay.")

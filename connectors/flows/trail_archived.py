"""Checking archives: whether a segment that left the database was archived by us, and whether its file is as it was."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.core.trail.faults import Kind
from connectors.core.trail.form import is_genuine
from connectors.core.trail.keys import TrailKeys
from connectors.core.trail.segment import ids_of, leaf, leaves_of
from connectors.flows.trail_files import UnreadableArchiveError, archive_dir, content_of, digest_of, documents_in
from connectors.flows.trail_findings import Findings
from connectors.models import TrailSegment


class Archives:
    """Goes along the archived segments with their files open, one file at a time."""

    def __init__(self, keys: TrailKeys, findings: Findings) -> None:
        self._keys, self._findings = keys, findings
        self._file: ArchiveFile | None = None
        self._absent: set[str] = set()

    def check(self, segment: TrailSegment) -> None:
        """A segment whose own digest fits; one that is not archived is passed over."""
        facts = segment.archive_facts()
        if facts is None:
            return
        number, name = segment.number, segment.archive_name
        if not hmac.compare_digest(facts.seal(self._keys.named(segment.key_id)), segment.archive_seal):
            text = f"Segment {number} is marked as archived, but not by somebody with the trail's key."
            self._findings.add(Kind.ARCHIVE, text, segment=number, name=name)
            return
        self._findings.archived += segment.event_count
        path = archive_dir() / Path(name).name
        if not path.is_file():
            self._absent.add(name)
            return
        try:
            self._compare(segment, path)
        except UnreadableArchiveError as error:
            text = f"{name}, the archive of segment {number}, is not as it was written. {error}"
            self._findings.add(Kind.ARCHIVE, text, segment=number, name=name)

    def finish(self) -> None:
        """Says which files were not there to be looked at."""
        for name in sorted(self._absent):
            self._findings.notes.append(f"{name} is not in the folder of the archives, so it was not looked at.")

    def _compare(self, segment: TrailSegment, path: Path) -> None:
        if self._file is None or self._file.path != path:
            self._file = ArchiveFile(path)
        self._file.compare(segment, self._keys)


class ArchiveFile:
    """One archive file, read along with its segments in their order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._digest = digest_of(path)
        self._documents: Iterator[dict[str, Any]] = documents_in(path)
        self._ahead: dict[str, Any] | None = None

    def compare(self, segment: TrailSegment, keys: TrailKeys, digest: str = "") -> None:
        """Raises UnreadableArchiveError unless the file has exactly the events that the segment sealed."""
        if self._digest != (digest or segment.archive_digest):
            raise UnreadableArchiveError("The file is another one than was written.")
        leaves = leaves_of(bytes(segment.leaves))
        for event_id, expected in zip(ids_of(segment.ids), leaves, strict=True):
            document = self._next_of(segment.number)
            if document is None or document.get("id") != event_id:
                raise UnreadableArchiveError(f"Event {event_id} is not where it should be.")
            self._judge(document, expected, keys)
        if self._next_of(segment.number) is not None:
            raise UnreadableArchiveError("There are more events than were sealed.")

    def _judge(self, document: dict[str, Any], expected: bytes, keys: TrailKeys) -> None:
        digest, key_id = str(document.get("digest")), str(document.get("key_id"))
        if leaf(digest) != expected or not is_genuine(keys, content_of(document), digest, key_id):
            raise UnreadableArchiveError(f"Event {document.get('id')} does not say what was sealed.")

    def _next_of(self, number: int) -> dict[str, Any] | None:
        """The next event of a segment; None when the file goes on with another one or ends."""
        if self._ahead is None:
            self._ahead = next(self._documents, None)
        # Segments before this one are in the file as well when archiving was cut off and begun again.
        while self._ahead is not None and int(self._ahead.get("segment") or 0) < number:
            self._ahead = next(self._documents, None)
        if self._ahead is None or self._ahead.get("segment") != number:
            return None
        found, self._ahead = self._ahead, None
        return found

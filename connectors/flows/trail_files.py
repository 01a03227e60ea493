"""Archive files: the events of whole segments as gzipped JSON lines, and reading them back line by line."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from connectors.core.trail.form import FIELDS, moment

MORE = ("digest", "key_id")
COLUMNS = ("id", *FIELDS, *MORE)
MAX_LINE = 50_000_000
"""Characters of one line at most: a file that somebody put there must not fill the memory."""
_BLOCK = 1024 * 1024


class UnreadableArchiveError(Exception):
    """A file is not what the portal wrote; the text says in what way, for an operator."""


def archive_dir() -> Path:
    """Where archive files lie."""
    return Path(settings.TRAIL_ARCHIVE_DIR)


def document_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as JSON has it, in files, exports and streams alike."""
    return {**row, "uid": str(row["uid"]), "at": moment(row["at"])}


def content_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """What the digest covers, from an event as JSON has it. Raises UnreadableArchiveError."""
    try:
        content = {name: document[name] for name in FIELDS}
        content["at"] = dt.datetime.fromisoformat(content["at"])
    except (KeyError, TypeError, ValueError):
        raise UnreadableArchiveError("A line holds no event.") from None
    return content


def line_of(document: Mapping[str, Any]) -> str:
    """One line of JSON, with its end."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    """Writes the file so that it is either there whole, on the disk, or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as raw:
            # Without name and time in it, the same events give the same file.
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
                for line in lines:
                    packed.write(line.encode())
            raw.flush()
            os.fsync(raw.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Puts the folder's list of names on the disk: a renamed file is only safe after that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, read block by block."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def documents_in(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file, one at a time. Raises UnreadableArchiveError when it is damaged."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            while line := file.readline(MAX_LINE):
                document = json.loads(line)
                if not isinstance(document, dict):
                    raise UnreadableArchiveError("A line holds no event.")
                yield document
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnreadableArchiveError(f"It cannot be read as it was written ({type(error).__name__}).") from None

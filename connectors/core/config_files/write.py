"""Carry out an export: in a directory, every file or none, or as a zip archive."""

from __future__ import annotations

import os
import secrets
import stat
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from connectors.core.config_files.export import FileChange, is_plain_name
from connectors.core.errors import ConfigFileError

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def write_changes(root: Path, changes: Iterable[FileChange]) -> None:
    """Carry out a plan in a connectors directory, which is made when it is missing. Unchanged files are not touched.

    Every file is written beside its place first and moved there at the end, so that a full disk or a missing right
    changes nothing; if a move fails, those before it are undone. Raises ConfigFileError, also for a symbolic link
    that leads out of the directory and for a file that appeared since the plan was made.
    """
    todo = [item for item in changes if item.kind in ("new", "edited", "removed")]
    if not todo:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        real = root.resolve()
        _write_all(todo, [_place(real, item) for item in todo])
    except OSError as error:
        raise ConfigFileError(str(root), f"nothing was written: {error.strerror}") from error


def _write_all(todo: Sequence[FileChange], places: Sequence[Path]) -> None:
    temporary: list[Path | None] = []
    done = 0
    try:
        for item, place in zip(todo, places, strict=True):
            temporary.append(None if item.after is None else _write_beside(place, item.after))
        for written, place in zip(temporary, places, strict=True):
            if written is None:
                place.unlink()
            else:
                written.replace(place)
            done += 1
    except OSError:
        for item, place in zip(todo[:done], places, strict=False):
            _restore(place, item.before)
        raise
    finally:
        for written in filter(None, temporary[done:]):
            written.unlink(missing_ok=True)


def _place(root: Path, item: FileChange) -> Path:
    """The file's place on disk, links followed; ConfigFileError when it is not in the directory."""
    if not is_plain_name(item.path):
        raise ConfigFileError(item.path, "is not the name of a connector file; nothing was written")
    place = root / item.path
    if not os.path.lexists(place):
        return place
    if item.kind == "new":
        raise ConfigFileError(item.path, "appeared since the export was planned; nothing was written")
    if item.after is not None and place.is_symlink():
        place = place.resolve()
        if not place.is_relative_to(root):
            raise ConfigFileError(item.path, "is a symbolic link that leaves the directory; nothing was written")
    return place


def _write_beside(place: Path, content: bytes) -> Path:
    """A new hidden file next to `place`, with the same mode."""
    path = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(place.stat().st_mode))
            file.write(content)
    except OSError:
        path.unlink()
        raise
    return path


def _restore(place: Path, before: bytes | None) -> None:
    with suppress(OSError):
        if before is None:
            place.unlink()
        else:
            _write_beside(place, before).replace(place)


def zip_changes(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip archive of (path, content): the same entries give the same bytes, on any machine and in any order.

    Nothing is compressed, for compressed bytes differ between versions of zlib. Raises ValueError for a path that
    occurs twice.
    """
    buffer, last = BytesIO(), None
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted(entries):
            if path == last:
                raise ValueError(f"two entries for {path}")
            info = zipfile.ZipInfo(path, _ZIP_TIME)
            info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content)
            last = path
    return buffer.getvalue()

"""Uploaded connector files, kept between being shown and being taken over, and looked at without being unpacked.

They lie in the cache under a random key that names the person and the page, for `KEEP_SECONDS`; nothing is written
to a path that an uploader could choose.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from connectors.core.config_files import ProjectFiles, locate_projects, locate_upload, read_zip, zip_changes
from connectors.core.config_files.read import MAX_BYTES, is_connector_name
from connectors.core.errors import ConfigFileError, Refused

KEEP_SECONDS = 30 * 60
MAX_FILES = 200
ZIP_START = b"PK"

Upload = tuple[tuple[str, bytes], ...]
"""Names and contents, in the order in which they were chosen."""


def received(request: HttpRequest, field: str = "files") -> Upload:
    """The uploaded files. Raises Refused for none, too many or too much; reads no more than the cap."""
    files = request.FILES.getlist(field)
    if not files:
        raise Refused("Choose the files first: connector files (*.jsonc, *.json), or a zip archive of them.")
    if len(files) > MAX_FILES:
        raise Refused(f"{len(files)} files are too many at once (at most {MAX_FILES}): put them into a zip archive.")
    if sum(file.size or 0 for file in files) > settings.UPLOAD_MAX_BYTES:
        megabytes = settings.UPLOAD_MAX_BYTES / 1024 / 1024
        raise Refused(f"The upload is too large: at most {megabytes:.0f} MB. Leave out what are no connector files.")
    return tuple((file.name or "upload", _read(file)) for file in files)


def located(upload: Upload) -> ProjectFiles:
    """The connector files of one project: a zip archive, a lone file, or several files of the same directory.

    Raises ConfigFileError when there are none or the archive is hostile. Several files chosen by hand say nothing of
    the connectors whose files were not chosen.
    """
    if len(upload) == 1:
        return locate_upload(*upload[0])
    if archives := [name for name, raw in upload if raw.startswith(ZIP_START)]:
        raise ConfigFileError(archives[0], "is an archive: choose it alone, without other files")
    if strange := [name for name, _ in upload if not is_connector_name(name)]:
        raise ConfigFileError(strange[0], "expected connector files only (*.jsonc, *.json), or one zip archive")
    if twice := _first_repeat([name for name, _ in upload]):
        raise ConfigFileError(twice, "two files of this name were chosen")
    # One byte above the cap is kept, so that a file too large is still told from one that fits.
    archive = zip_changes([(name, raw[: MAX_BYTES + 1]) for name, raw in upload])
    return replace(locate_upload("files.zip", archive), whole=False)


def located_projects(upload: Upload) -> tuple[ProjectFiles, ...]:
    """Every project in an archive of a repository. Raises ConfigFileError."""
    if len(upload) != 1:
        raise ConfigFileError(upload[0][0], "choose one zip archive with all projects in it")
    name, raw = upload[0]
    return locate_projects(read_zip(raw, name))


def keep(request: HttpRequest, place: str, upload: Upload) -> str:
    """Keeps the upload for the second step; gives the key that the form carries. `place` is the page it belongs to."""
    key = secrets.token_urlsafe(24)
    cache.set(_name(request, place, key), upload, KEEP_SECONDS)
    return key


def kept(request: HttpRequest, place: str) -> Upload:
    """The upload that the form's key names. Raises Refused when it is gone, or is not this person's on this page."""
    found: Upload | None = cache.get(_name(request, place, request.POST.get("upload", "")))
    if found is None:
        raise Refused("The uploaded files are no longer here: they are kept for half an hour. Choose them again.")
    return found


def forget(request: HttpRequest, place: str) -> None:
    """Drops an upload that was taken over."""
    cache.delete(_name(request, place, request.POST.get("upload", "")))


def _name(request: HttpRequest, place: str, key: str) -> str:
    safe = key if len(key) < 64 and key.isascii() and key.replace("-", "").replace("_", "").isalnum() else "none"
    return f"upload:{place}:{request.user.pk}:{safe}"


def _read(file: UploadedFile[Any]) -> bytes:
    raw: bytes = file.read()
    return raw


def _first_repeat(names: Sequence[str]) -> str:
    return next((name for place, name in enumerate(names) if name in names[:place]), "")

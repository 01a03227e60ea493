"""One way to look at files, whether they lie in a directory or in a zip archive; nothing outside the root is read.

Paths are posix and relative to the root; "" is the root itself. Archives are never unpacked to disk.
"""

from __future__ import annotations

import errno
import io
import lzma
import os
import posixpath
import stat
import zipfile
import zlib
from pathlib import Path
from typing import IO, Literal, Protocol

from connectors.core.config_files.read import MAX_BYTES
from connectors.core.errors import ConfigFileError

MAX_ENTRIES = 50_000
"""Entries an archive may list."""

MAX_ARCHIVE_BYTES = 256 * 1024 * 1024
"""The largest archive that is opened."""

MAX_LEVELS = 100
"""Folders inside each other in an archive."""

MAX_TOTAL_BYTES = 64 * 1024 * 1024
"""Bytes that may come out of one archive; 64,000 ordinary connector files."""

MAX_RATIO = 100
"""How many times larger than its compressed form a file of an archive may be (JSON text reaches about 20)."""

_SMALL = 64 * 1024

Entry = Literal["file", "folder", "link to folder"]


class Tree(Protocol):
    """Files below a root. `name` is how messages call the root; `folder` is the root's last name, without .zip."""

    name: str
    folder: str

    def entries(self, folder: str) -> dict[str, Entry]:
        """What lies directly in a folder, by name; empty when there is no such folder."""

    def read(self, path: str) -> bytes:
        """A file's bytes, cut off just above MAX_BYTES. Raises ConfigFileError when it cannot or must not be read."""


def inside(*parts: str, what: str) -> str:
    """The parts joined and normalised: ("base44", "../shared") -> "shared". ConfigFileError if that leaves the root."""
    if any(part.startswith("/") or "\0" in part for part in parts):
        raise ConfigFileError(what, f"the path {parts[-1]!r} must be relative to the project")
    path = posixpath.normpath(posixpath.join(*parts))
    if path == ".." or path.startswith("../"):
        raise ConfigFileError(what, f"the path {parts[-1]!r} leaves the project's directory")
    return "" if path == "." else path


class DirectoryTree:
    """A directory on disk. Symbolic links are followed as long as they stay inside it."""

    def __init__(self, root: Path) -> None:
        self.name = str(root)
        self._root = os.path.realpath(root)
        self.folder = posixpath.basename(self._root)

    def entries(self, folder: str) -> dict[str, Entry]:
        path = self._checked(folder)
        found: dict[str, Entry] = {}
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir():
                        found[entry.name] = "link to folder" if entry.is_symlink() else "folder"
                    elif entry.is_file():
                        found[entry.name] = "file"
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigFileError(folder or self.name, f"cannot be listed: {error.strerror}") from error
        return found

    def read(self, path: str) -> bytes:
        try:
            try:
                return _read_start(f"{self._root}/{path}", os.O_NOFOLLOW)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.EMLINK):
                    raise
            return _read_start(self._checked(path), 0)
        except OSError as error:
            raise ConfigFileError(path, f"cannot be read: {error.strerror}") from error

    def _checked(self, path: str) -> str:
        real = os.path.realpath(f"{self._root}/{path}") if path else self._root
        if real != self._root and not real.startswith(self._root.rstrip("/") + "/"):
            raise ConfigFileError(path, f"is a symbolic link that leaves {self.name}")
        return real


def _read_start(path: str, flags: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    try:
        return os.read(descriptor, min(os.fstat(descriptor).st_size, MAX_BYTES) + 1)
    finally:
        os.close(descriptor)


class ZipTree:
    """An archive in memory or an open file. Hostile names are refused at once, hostile contents when they are read."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name, self.folder = name, posixpath.basename(name).removesuffix(".zip")
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, UnicodeError) as error:
            raise ConfigFileError(name, "this is not a zip archive, or it is damaged") from error
        if len(self._zip.infolist()) > MAX_ENTRIES:
            raise ConfigFileError(name, f"the archive lists more than {MAX_ENTRIES:,} entries")
        self._left = MAX_TOTAL_BYTES
        self._files: dict[str, zipfile.ZipInfo] = {}
        self._folders: dict[str, dict[str, Entry]] = {"": {}}
        for info in self._zip.infolist():
            self._list(info)

    def _list(self, info: zipfile.ZipInfo) -> None:
        raw = info.filename.replace("\\", "/")
        path = raw.rstrip("/")
        if raw.startswith("/") or ":" in path.split("/")[0] or ".." in path.split("/"):
            raise ConfigFileError(self.name, f"the entry {info.filename!r} leaves the archive; nothing was read")
        if path.count("/") > MAX_LEVELS:
            raise ConfigFileError(self.name, f"an entry lies more than {MAX_LEVELS} folders deep; nothing was read")
        path = posixpath.normpath(path)
        if path == ".":
            return
        if path in self._files:
            raise ConfigFileError(self.name, f"the entry {info.filename!r} occurs twice; nothing was read")
        folder, name = posixpath.split(path)
        self._open_folder(folder if not raw.endswith("/") else path)
        if not raw.endswith("/"):
            self._files[path] = info
            self._folders[folder].setdefault(name, "file")

    def _open_folder(self, folder: str) -> None:
        parent = ""
        for name in folder.split("/") if folder else ():
            self._folders[parent][name] = "folder"
            parent = f"{parent}/{name}" if parent else name
            self._folders.setdefault(parent, {})
        if len(self._folders) > MAX_ENTRIES:  # a short name of many levels stands for as many folders
            raise ConfigFileError(self.name, f"the archive lists more than {MAX_ENTRIES:,} folders")

    def entries(self, folder: str) -> dict[str, Entry]:
        return self._folders.get(folder, {})

    def read(self, path: str) -> bytes:
        info = self._files.get(path)
        if info is None:
            raise ConfigFileError(path, "is not in the archive")
        self._refuse_hostile(path, info)
        try:
            with self._zip.open(info) as file:
                raw = file.read(MAX_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError) as error:
            raise ConfigFileError(path, f"cannot be read from {self.name}: the archive is damaged") from error
        self._left -= len(raw)
        if self._left < 0:
            raise ConfigFileError(self.name, f"more than {MAX_TOTAL_BYTES // 1024 // 1024} MB came out of the archive")
        return raw

    def _refuse_hostile(self, path: str, info: zipfile.ZipInfo) -> None:
        if stat.S_ISLNK(info.external_attr >> 16):
            raise ConfigFileError(path, "is a symbolic link; the archive must hold the file itself")
        if info.flag_bits & 0x1:
            raise ConfigFileError(path, "is encrypted; make the archive without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ConfigFileError(path, "is compressed by a method other than deflate; make an ordinary zip archive")
        if info.file_size > _SMALL and info.file_size > MAX_RATIO * info.compress_size:
            raise ConfigFileError(path, f"would unpack to more than {MAX_RATIO} times its size; refused")


def read_zip(source: bytes | IO[bytes], name: str = "archive.zip") -> ZipTree:
    """The files of a zip archive, given as bytes or as an open binary file that must stay open while it is used.

    Raises ConfigFileError for what is no archive and for names that leave it or occur twice.
    """
    return ZipTree(io.BytesIO(source) if isinstance(source, bytes) else source, name)

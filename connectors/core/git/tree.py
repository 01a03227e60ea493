"""A commit's folders and files, as `config_files` looks at any tree, and what must not be read from a hostile one."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from connectors.core.config_files.locate import MAX_FOLDERS
from connectors.core.config_files.read import MAX_BYTES
from connectors.core.config_files.tree import MAX_LEVELS, Entry
from connectors.core.errors import ConfigFileError
from connectors.core.git.objects import Objects

LFS = b"version https://git-lfs.github.com/spec/"

MAX_NAME = 1_024
"""Bytes of an entry's name; no disk takes more. Comparing two by their Unicode form takes the square of it."""

_BYTES_OF_AN_ENTRY = 300
_FILES = (".json", ".jsonc")
_ENTRY = re.compile(rb"(?P<mode>[0-7]{1,7}) (?P<name>[^\0]*)", re.DOTALL)


class Kind(IntEnum):
    """What an entry of a folder is; the values are the high bits of git's modes."""

    FOLDER = 0o04
    FILE = 0o10
    LINK = 0o12
    SUBMODULE = 0o16


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of a folder: git's mode, as a number, and the object behind it."""

    mode: int
    oid: str

    @property
    def kind(self) -> Kind | None:
        """None for a mode that git does not have."""
        try:
            return Kind(self.mode >> 12)
        except ValueError:
            return None

    @property
    def is_folder(self) -> bool:
        return self.kind is Kind.FOLDER


@dataclass(frozen=True)
class Folder:
    """One tree object. Names that are not UTF-8 hold surrogates. With a `problem` nothing in it may be used."""

    nodes: dict[str, Node]
    problem: str = ""

    @cached_property
    def clashes(self) -> dict[str, str]:
        """Names of which another differs only by case or Unicode form, with that other one."""
        seen: dict[str, str] = {}
        found: dict[str, str] = {}
        for name in self.nodes:
            other = seen.setdefault(folded(name), name)
            if other != name:
                found |= {name: other, other: name}
        return found


def folded(name: str) -> str:
    """What two names have in common that are one file on a disk of Windows or macOS."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_dangerous(name: str) -> bool:
    """Whether git would not take this for a name in a folder: it leads elsewhere, or into a repository's own files."""
    plain = "".join(char for char in name if unicodedata.category(char) != "Cf")  # HFS+ leaves these out
    head = folded(plain).partition(":")[0].rstrip(". ")  # and NTFS what comes here
    return name in ("", ".", "..") or "/" in name or head in (".git", "git~1")


def parse_folder(content: bytes, limit: int) -> Folder:
    """The entries of a tree object of sha1; `limit` is how many there may be."""
    nodes: dict[str, Node] = {}
    start = 0
    while start < len(content):
        end = content.find(b"\0", start)
        match = _ENTRY.fullmatch(content[start:end])
        oid = content[end + 1 : end + 21]
        if end < 0 or len(oid) < 20 or match is None:
            return Folder({}, "is damaged")
        if len(match["name"]) > MAX_NAME:
            return Folder({}, "holds an entry whose name is longer than any disk takes")
        name = match["name"].decode("utf-8", "surrogateescape")
        if name in nodes:
            return Folder({}, f"holds two entries called {name!a}")
        if is_dangerous(name):
            return Folder({}, f"holds an entry called {name!a}, which git forbids")
        nodes[name] = Node(int(match["mode"], 8), oid.hex())
        start = end + 21
    return Folder(nodes) if len(nodes) <= limit else Folder({}, _too_many(limit))


class Trees:
    """The folders of one repository by their ids."""

    def __init__(self, objects: Objects, limit: int) -> None:
        self.objects, self._limit = objects, limit
        self._folders: dict[str, Folder] = {}

    def load(self, oids: Iterable[str]) -> None:
        """Reads these folders, in one visit to the server at most."""
        left = set(oids) - self._folders.keys()
        for oid, found in self.objects.load(left, self._limit * _BYTES_OF_AN_ENTRY).items():
            if found.kind != "tree":
                self._folders[oid] = Folder({}, "is damaged")
            elif found.content is None:
                self._folders[oid] = Folder({}, _too_many(self._limit))
            else:
                self._folders[oid] = parse_folder(found.content, self._limit)

    def __getitem__(self, oid: str) -> Folder:
        if oid not in self._folders:
            self.load([oid])
        return self._folders[oid]


class GitTree:
    """The files of one commit below a folder. It is a `Tree` of config_files: it reads what it lacks from the server.

    Paths in its errors are the paths that were asked for. Besides ConfigFileError it raises GitError, for a server
    that cannot be asked.
    """

    def __init__(self, trees: Trees, root: str, name: str, top: str = "") -> None:
        self.name, self.folder = name, posixpath.basename(top or name)
        self.root, self._trees, self._top = root, trees, top

    def at(self, folder: str) -> GitTree:
        """The same tree seen from a folder, which need not exist."""
        return GitTree(self._trees, self.root, self.name, _join(self._top, folder.strip("/")))

    def __getitem__(self, folder: str) -> GitTree:
        return self.at(folder)

    def entries(self, folder: str) -> dict[str, Entry]:
        """Links and submodules are not among them, except links that are called like a connector's file.

        Those are files to whoever lists, so that reading them says what is wrong.
        """
        node = self._find(folder)
        if node is None or node.kind is Kind.FILE:
            return {}
        found: dict[str, Entry] = {}
        for name, inner in self._open(node, folder or self._top or self.name).nodes.items():
            if inner.is_folder:
                found[name] = "folder"
            elif inner.kind is Kind.FILE or (inner.kind is Kind.LINK and name.lower().endswith(_FILES)):
                found[name] = "file"
        return found

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises ConfigFileError for what is none, or larger than MAX_BYTES, or not really here."""
        node = self._find(path)
        if node is None:
            raise ConfigFileError(path, "is not in the repository")
        _refuse_special(node, path)
        if node.kind is not Kind.FILE:
            raise ConfigFileError(path, "is a folder, not a file")
        blob = self._trees.objects.load([node.oid], MAX_BYTES)[node.oid]
        if blob.content is None:
            raise ConfigFileError(path, f"the file is larger than {MAX_BYTES // 1024} KB; connector files are small")
        if blob.content.startswith(LFS):
            raise ConfigFileError(path, "is stored with Git LFS, so the repository does not hold its content")
        return blob.content

    def blob(self, path: str) -> str:
        """The id of a file's content; "" when there is no such file, or a link or submodule in its place."""
        node = self._look(path)
        return node.oid if node is not None and node.kind is Kind.FILE else ""

    def prefetch(self, folders: Iterable[str]) -> None:
        """Reads all these folders and those above them, in one visit to the server for each level."""
        wanted = {_parts(_join(self._top, folder)) for folder in folders}
        here: dict[tuple[str, ...], str] = {(): self.root}
        while here:
            self._trees.load(here.values())
            here = {
                way: node.oid
                for way in {path[: len(next(iter(here))) + 1] for path in wanted}
                if way and way[:-1] in here
                if (node := self._trees[here[way[:-1]]].nodes.get(way[-1])) and node.is_folder
            }

    def prefetch_files(self, paths: Iterable[str]) -> None:
        """Reads all these files in one visit, besides what their folders need; those that do not exist are left out."""
        wanted = list(paths)
        self.prefetch({posixpath.dirname(path) for path in wanted})
        self._trees.objects.load({oid for path in wanted if (oid := self.blob(path))}, MAX_BYTES)

    def prefetch_all_folders(self) -> None:
        """Reads every folder below this one, up to as many as a search looks into, in one visit."""
        start = self._find("")
        if start is None or not start.is_folder:
            return
        self._trees.objects.bring_trees(start.oid)
        level, seen = {start.oid}, 1
        while level and seen <= MAX_FOLDERS:
            self._trees.load(level)
            inner = {node.oid for oid in level for node in self._trees[oid].nodes.values() if node.is_folder}
            level = set(sorted(inner)[: MAX_FOLDERS - seen + 1])
            seen += len(level)

    def _find(self, path: str) -> Node | None:
        """What is at a path; None for nothing. Refuses links and submodules on the way, and names that clash."""
        node = Node(Kind.FOLDER << 12, self.root)
        way = ""
        for part in _parts(_join(self._top, path)):
            if node.kind is Kind.FILE:
                return None
            folder = self._open(node, way or self.name)
            way = _join(way, part)
            if part in folder.clashes:
                raise ConfigFileError(way, f"differs from {folder.clashes[part]!r} only by how it is written; keep one")
            found = folder.nodes.get(part)
            if found is None:
                return None
            node = found
        return node

    def _look(self, path: str) -> Node | None:
        try:
            return self._find(path)
        except ConfigFileError:
            return None

    def _open(self, node: Node, path: str) -> Folder:
        _refuse_special(node, path)
        folder = self._trees[node.oid]
        if folder.problem:
            raise ConfigFileError(path, folder.problem)
        return folder


def _refuse_special(node: Node, path: str) -> None:
    if node.kind is Kind.LINK:
        raise ConfigFileError(path, "is a symbolic link; the repository must hold the real one in this place")
    if node.kind is Kind.SUBMODULE:
        raise ConfigFileError(path, "is a submodule, which the portal does not look into")
    if node.kind is None:
        raise ConfigFileError(path, "is of a kind that git does not have")


def _too_many(limit: int) -> str:
    return f"holds more than {limit:,} entries"


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(path.split("/")) if path else ()
    if len(parts) > MAX_LEVELS or any(part in ("", ".", "..") for part in parts):
        raise ConfigFileError(path, "is not a path inside the repository")
    return parts

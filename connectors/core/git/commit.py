"""New commits: changed files, the folders above them, and the commit itself, written into the cache."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from connectors.core.git.cache import Cache
from connectors.core.git.terms import Author, Fault, GitError, PathChange
from connectors.core.git.tree import Kind, Node, Trees, folded, is_dangerous

NEW_FILE = 0o100644
_FOLDER = 0o040000

Way = tuple[str, ...]


def write_tree(trees: Trees, root: str, changes: Sequence[PathChange]) -> str:
    """The id of a tree that is `root` ("" for an empty one) with these changes.

    A file keeps its mode; removing what is not there does nothing. Raises ValueError for a path that is changed twice,
    GitError(HOSTILE) for a path that leads through a link or submodule, differs from another only by how it is
    written, or that git forbids.
    """
    files = _checked(changes)
    ways = {(), *(way[:length] for way in files for length in range(len(way)))}
    folders = _folders(trees, root, ways)
    cache = trees.objects.cache
    blobs = _write_blobs(cache, {way: content for way, content in files.items() if content is not None})
    for way in files:
        nodes = folders[way[:-1]]
        before = _regular(nodes, way)
        if way in blobs:
            nodes[way[-1]] = Node(before.mode if before else NEW_FILE, blobs[way])
        else:
            nodes.pop(way[-1], None)
    return _write_folders(cache, folders)


def write_commit(cache: Cache, tree: str, parents: Iterable[str], message: str, author: Author, at: dt.datetime) -> str:
    """The id of a new commit; `at` is author's and committer's time."""
    told = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", author.name), ("EMAIL", author.email), ("DATE", f"@{int(at.timestamp())} +0000"))
    }
    before = [text for parent in parents for text in ("-p", parent)]
    answer = cache.local("commit-tree", tree, *before, "-F", "-", stdin=message.encode(), told=told)
    return answer.decode().strip()


def _checked(changes: Sequence[PathChange]) -> dict[Way, bytes | None]:
    files: dict[Way, bytes | None] = {}
    for change in changes:
        way = tuple(change.path.split("/"))
        if any(is_dangerous(part) or "\\" in part or not part.isprintable() for part in way):
            raise _hostile(ascii(change.path), "is not a path that the portal writes to")
        if way in files:
            raise ValueError(f"{change.path} is changed twice")
        files[way] = change.content
    if any(way[:length] in files for way in files for length in range(1, len(way))):
        raise ValueError("a path is changed both as a file and as a folder")
    return files


def _folders(trees: Trees, root: str, ways: set[Way]) -> dict[Way, dict[str, Node]]:
    """What each of these folders holds now; nothing for those that do not exist yet."""
    oids: dict[Way, str] = {(): root}
    folders: dict[Way, dict[str, Node]] = {}
    for depth in range(1 + max(map(len, ways))):
        level = [way for way in sorted(ways) if len(way) == depth]
        trees.load(oid for way in level if (oid := oids.get(way)))
        for way in level:
            folders[way] = _entries(trees, oids.get(way, ""), "/".join(way))
            for inner in (inner for inner in ways if inner[:-1] == way and inner):
                if node := _subfolder(folders[way], inner):
                    oids[inner] = node.oid
    trees.objects.bring(oid for oid in oids.values() if oid)  # what is pushed is told from them, so they must be there
    return folders


def _subfolder(nodes: Mapping[str, Node], way: Way) -> Node | None:
    node = nodes.get(way[-1])
    if node is not None and not node.is_folder:
        raise _hostile("/".join(way), "is not a folder, and the portal does not write through it")
    _refuse_clash(nodes, way)
    return node


def _entries(trees: Trees, oid: str, path: str) -> dict[str, Node]:
    if not oid:
        return {}
    folder = trees[oid]
    if folder.problem:
        raise _hostile(path or "The repository", folder.problem)
    return dict(folder.nodes)


def _regular(nodes: Mapping[str, Node], way: Way) -> Node | None:
    """The file that is there now. Raises GitError for anything but a file, and for one that is written differently."""
    node = nodes.get(way[-1])
    if node is not None and node.kind is not Kind.FILE:
        raise _hostile("/".join(way), "is not a file, so the portal does not replace it")
    _refuse_clash(nodes, way)
    return node


def _refuse_clash(nodes: Mapping[str, Node], way: Way) -> None:
    name = way[-1]
    if others := [other for other in nodes if other != name and folded(other) == folded(name)]:
        raise _hostile("/".join(way), f"differs from {others[0]!r} only by how it is written")


def _write_blobs(cache: Cache, contents: Mapping[Way, bytes]) -> dict[Way, str]:
    """Their ids. One command writes them all; it takes its input from files, which are gone afterwards."""
    with tempfile.TemporaryDirectory(dir=cache.folder, prefix="tmp_") as place:
        files = [Path(place, f"tmp_{number}") for number in range(len(contents))]
        for file, content in zip(files, contents.values(), strict=True):
            file.write_bytes(content)
        order = b"".join(bytes(file) + b"\n" for file in files)
        answer = cache.local("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=order)
    return dict(zip(contents, answer.decode().split(), strict=True))


def _write_folders(cache: Cache, folders: Mapping[Way, dict[str, Node]]) -> str:
    """Writes all folders from the deepest up, those of one level at once. An empty one is left out, as git does."""
    written: dict[Way, str] = {}
    for depth in range(max(map(len, folders)), -1, -1):
        level = [way for way in folders if len(way) == depth]
        for way in level:
            for inner in (inner for inner in written if inner[:-1] == way and inner):
                if folders[inner]:
                    folders[way][inner[-1]] = Node(_FOLDER, written[inner])
                else:
                    folders[way].pop(inner[-1], None)
        oids = _write_level(cache, [folders[way] for way in level])
        written |= dict(zip(level, oids, strict=True))
    return written[()]


def _write_level(cache: Cache, level: list[dict[str, Node]]) -> list[str]:
    order = b"".join(b"".join(_line(name, node) for name, node in nodes.items()) + b"\0" for nodes in level)
    return cache.local("mktree", "-z", "--missing", "--batch", stdin=order).decode().split()


def _line(name: str, node: Node) -> bytes:
    kind = {Kind.FOLDER: "tree", Kind.SUBMODULE: "commit"}.get(node.kind or Kind.FILE, "blob")
    return f"{node.mode:06o} {kind} {node.oid}\t".encode() + name.encode("utf-8", "surrogateescape") + b"\0"


def _hostile(path: str, message: str) -> GitError:
    return GitError(f"{path}: {message}", Fault.HOSTILE, permanent=True)

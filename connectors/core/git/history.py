"""Commits as their authors wrote them down, and which of them changed a file."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.core.git.objects import MAX_COMMIT, Object, Objects
from connectors.core.git.terms import Commit, Fault, GitError
from connectors.core.git.tree import GitTree, Trees
from connectors.core.printable import one_line

GENERATIONS = 40
"""Commits, counted from the newest, among which the one that changed a file is looked for."""

MAX_COMMITS = 4 * GENERATIONS
"""Commits among these: one merge can name tens of thousands."""

MAX_NAME = 100
MAX_SUBJECT = 200
MAX_RAW = 4_000
"""Bytes of a text that are decoded: some encodings, of which a commit may name any, take the square of its length."""

_OID = re.compile(rb"[0-9a-f]{40}")
_PERSON = re.compile(rb"(?P<name>.*?) ?<(?P<email>[^<>]*)> ?(?P<at>-?\d{1,18})?")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A commit with the ids of those before it."""

    commit: Commit
    parents: tuple[str, ...]


def parse_commit(oid: str, found: Object) -> Parsed:
    """Takes a commit object apart. Raises GitError(HOSTILE) for what is none."""
    if found.kind != "commit" or found.content is None:
        raise GitError("The branch leads to something that is no commit.", Fault.HOSTILE, permanent=True)
    head, _, message = found.content.partition(b"\n\n")
    fields: dict[bytes, list[bytes]] = {}
    for line in head.split(b"\n"):
        name, _, value = line.partition(b" ")
        fields.setdefault(name, []).append(value)
    encoding = fields.get(b"encoding", [b"utf-8"])[0]
    author, email, _ = _person(fields.get(b"author", [b""])[0], encoding)
    at = _person(fields.get(b"committer", [b""])[0], encoding)[2]
    before = [*fields.get(b"tree", [b""])[:1], *fields.get(b"parent", [])]
    if not all(map(_OID.fullmatch, before)):
        raise GitError("The branch leads to a damaged commit.", Fault.HOSTILE, permanent=True)
    tree, *parents = (value.decode() for value in before)
    subject = _text(message.strip().partition(b"\n")[0], encoding, MAX_SUBJECT)
    return Parsed(Commit(oid, tree, author, email, at, subject), tuple(parents))


def changed_by(
    objects: Objects, trees: Trees, path_blobs: Mapping[str, str], old: str, new: Commit
) -> dict[str, tuple[Commit, bool]]:
    """For each path that `old` and `new` have with other content: the commit that made it so, and if that is exact.

    `path_blobs` gives what `new` has at each path, "" for nothing. When `old` is not among the last GENERATIONS
    commits, all paths are looked for. What changed before those is put down to `new`, as not exact. Asks the server
    for these commits and the folders on the way, in one visit for each level, unless what is here already tells.
    """
    found = _look(objects, trees, path_blobs, old, new)
    if all(is_exact for _, is_exact in found.values()):
        return found
    objects.deepen(new.oid, GENERATIONS)
    return _look(objects, trees, path_blobs, old, new)


def _look(
    objects: Objects, trees: Trees, path_blobs: Mapping[str, str], old: str, new: Commit
) -> dict[str, tuple[Commit, bool]]:
    """The same, among the commits that the cache has."""
    commits = _ancestors(objects, new.oid)
    paths = list(path_blobs)
    views = {oid: GitTree(trees, parsed.commit.tree, "the repository") for oid, parsed in commits.items()}
    _prefetch(trees, list(views.values()), paths)
    if old in views:
        paths = [path for path in paths if views[old].blob(path) != path_blobs[path]]
    blobs = {oid: {path: view.blob(path) for path in paths} for oid, view in views.items()}
    return {path: _origin(path, path_blobs[path], new, commits, blobs) for path in paths}


def _origin(
    path: str, blob: str, new: Commit, commits: Mapping[str, Parsed], blobs: Mapping[str, Mapping[str, str]]
) -> tuple[Commit, bool]:
    """Follows the content back for as long as some parent has it too."""
    here = commits[new.oid]
    while True:
        known = [parent for parent in here.parents if parent in commits]
        same = next((parent for parent in known if blobs[parent][path] == blob), None)
        if same is None:
            return (here.commit, True) if len(known) == len(here.parents) else (new, False)
        here = commits[same]


def _ancestors(objects: Objects, newest: str) -> dict[str, Parsed]:
    """The newest commit and those before it that the cache has, GENERATIONS deep at most."""
    found: dict[str, Parsed] = {}
    level = [newest]
    for _ in range(GENERATIONS):
        read = objects.present(set(level) - found.keys(), MAX_COMMIT)
        found |= {oid: parse_commit(oid, raw) for oid, raw in read.items()}
        parents = dict.fromkeys(parent for oid in read for parent in found[oid].parents)
        level = list(parents)[: max(0, MAX_COMMITS - len(found))]
        if not level:
            break
    return found


def _prefetch(trees: Trees, views: list[GitTree], paths: list[str]) -> None:
    """Brings the folders of these paths for all commits together: one visit for each level, not for each commit."""
    here = {view.root for view in views}
    folders = {tuple(path.split("/")[:-1]) for path in paths}
    depth = 0
    while here:
        trees.load(here)
        names = {way[depth] for way in folders if len(way) > depth}
        here = {node.oid for oid in here for name in names if (node := trees[oid].nodes.get(name)) and node.is_folder}
        depth += 1


def _person(line: bytes, encoding: bytes) -> tuple[str, str, dt.datetime]:
    match = _PERSON.match(line)
    if match is None:
        return _text(line, encoding, MAX_NAME), "", _time(0)
    name, email = _text(match["name"], encoding, MAX_NAME), _text(match["email"], encoding, MAX_NAME)
    return name, email, _time(int(match["at"] or 0))


def _time(seconds: int) -> dt.datetime:
    """A commit may claim any time; one that no calendar has becomes 1970."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return dt.datetime.fromtimestamp(0, dt.UTC)


def _text(raw: bytes, encoding: bytes, longest: int) -> str:
    raw = raw[:MAX_RAW]
    try:
        text = raw.decode(encoding.decode("ascii", "replace"), "replace")
    except (LookupError, ValueError):
        text = raw.decode("utf-8", "replace")
    return one_line(text, longest)

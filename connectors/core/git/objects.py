"""git's objects by their ids, out of the cache, or out of the repository when the cache lacks them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from connectors.core.git.cache import Cache
from connectors.core.git.faults import BrokenCacheError
from connectors.core.git.terms import Fault, GitError

AT_ONCE = 16 * 1024 * 1024
"""Bytes of objects that one command reads."""

MAX_COMMIT = 1024 * 1024
"""Bytes of a commit with its message."""

MAX_READ = 64 * 1024 * 1024
"""Bytes of objects that one visit looks at and keeps in memory. A hostile pack of few bytes can stand for far more."""

FOLDERS_WEIGH = 2
"""A folder needs several times its bytes once it is taken apart, so each of them counts for this many."""

FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--no-recurse-submodules", "--stdin"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Object:
    """One object. `content` is None when it is larger than it was allowed to be; `size` is in bytes."""

    kind: str
    size: int
    content: bytes | None


class Objects:
    """The objects of one repository. They never change, so what was read once is kept."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self._kept: dict[str, Object] = {}
        self._room = MAX_READ

    def load(self, oids: Iterable[str], largest: int) -> dict[str, Object]:
        """These objects, in one visit to the server at most; content only up to `largest` bytes.

        A cache that turns out to be damaged is made anew once. Raises GitError, LIMIT for more than MAX_READ in all.
        """
        wanted = set(oids)
        found = {oid: self._kept[oid] for oid in wanted & self._kept.keys()}
        if left := sorted(wanted - found.keys()):
            try:
                found |= self._load(left, largest)
            except BrokenCacheError:
                self.cache.renew()
                found |= self._load(left, largest)
        return found

    def load_commit(self, oid: str) -> Object:
        """A commit, without those before it. A cache that turns out to be damaged is made anew once."""
        try:
            if self._absent([oid]):
                self.deepen(oid, 1)
            return self._load([oid], MAX_COMMIT)[oid]
        except BrokenCacheError:
            self.cache.renew()
            self.deepen(oid, 1)
            return self._load([oid], MAX_COMMIT)[oid]

    def deepen(self, oid: str, depth: int) -> None:
        """Brings the commits before one, `depth` generations in all; without what they hold."""
        self._fetch([oid], "--filter=tree:0", f"--depth={depth}")

    def bring(self, oids: Iterable[str]) -> None:
        """Sees to it that these objects are in the cache, in one visit at most."""
        if absent := self._absent(sorted(set(oids))):
            self._fetch(absent, "--filter=tree:0")

    def bring_trees(self, tree: str) -> None:
        """Brings every folder below a tree, without files."""
        self._fetch([tree], "--filter=blob:none", "--refetch")

    def present(self, oids: Iterable[str], largest: int) -> dict[str, Object]:
        """Those of these objects that the cache has; nothing is asked of the server."""
        return self._read(self._sizes(sorted(set(oids))), largest)

    def _load(self, oids: list[str], largest: int) -> dict[str, Object]:
        sizes = self._sizes(oids)
        if absent := [oid for oid in oids if oid not in sizes]:
            self._fetch(absent, "--filter=tree:0")
            sizes |= self._sizes(absent)
        if len(sizes) < len(oids):
            raise BrokenCacheError  # the server believes that we have them, for a pack that said so was lost
        return self._read(sizes, largest)

    def _absent(self, oids: list[str]) -> list[str]:
        sizes = self._sizes(oids)
        return [oid for oid in oids if oid not in sizes]

    def _fetch(self, oids: list[str], *how: str) -> None:
        self.cache.network(*FETCH, *how, "origin", stdin="".join(f"{oid}\n" for oid in oids).encode())

    def _sizes(self, oids: list[str]) -> dict[str, tuple[str, int]]:
        """Kind and size of those that the cache has."""
        if not oids:
            return {}
        lines = self.cache.local("cat-file", "--batch-check", stdin="\n".join([*oids, ""]).encode()).splitlines()
        found = (line.decode().split() for line in lines)
        return {fields[0]: (fields[1], int(fields[2])) for fields in found if len(fields) == 3}

    def _read(self, sizes: dict[str, tuple[str, int]], largest: int) -> dict[str, Object]:
        found = {oid: Object(kind, size, None) for oid, (kind, size) in sizes.items() if size > largest}
        small = {oid: told for oid, told in sizes.items() if oid not in found}
        self._refuse_too_much({oid: told for oid, told in small.items() if oid not in self._kept})
        for group in _groups({oid: size for oid, (_, size) in small.items()}):
            answer = self.cache.local("cat-file", "--batch", stdin="\n".join([*group, ""]).encode())
            read = dict(_parse(answer, group))
            self._room -= sum(_weight(one.kind, one.size) for oid, one in read.items() if oid not in self._kept)
            self._kept |= read
            found |= read
        return found

    def _refuse_too_much(self, sizes: dict[str, tuple[str, int]]) -> None:
        if sum(_weight(kind, size) for kind, size in sizes.values()) > self._room:
            message = "The portal would have to look at more of the repository than it does at once."
            raise GitError(message, Fault.LIMIT, permanent=True)


def _weight(kind: str, size: int) -> int:
    return size * FOLDERS_WEIGH if kind == "tree" else size


def _groups(sizes: dict[str, int]) -> Iterator[list[str]]:
    """The ids in groups whose sizes stay below AT_ONCE together."""
    group: list[str] = []
    total = 0
    for oid, size in sizes.items():
        if group and total + size > AT_ONCE:
            yield group
            group, total = [], 0
        group.append(oid)
        total += size
    if group:
        yield group


def _parse(answer: bytes, oids: list[str]) -> Iterator[tuple[str, Object]]:
    """The objects in the answer of `cat-file --batch`, each held against its id."""
    start = 0
    for oid in oids:
        end = answer.find(b"\n", start)
        fields = answer[start:end].decode("ascii", "replace").split()
        if end < 0 or len(fields) != 3 or fields[0] != oid:
            raise BrokenCacheError
        kind, size = fields[1], int(fields[2])
        content = answer[end + 1 : end + 1 + size]
        start = end + 1 + size + 1
        if hashlib.sha1(f"{kind} {size}\0".encode() + content, usedforsecurity=False).hexdigest() != oid:
            raise BrokenCacheError
        yield oid, Object(kind, size, content)

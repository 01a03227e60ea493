"""One repository, while its cache is ours: what flows do with it."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from connectors.core.git import commit as writing
from connectors.core.git import history, program, route
from connectors.core.git.cache import Cache, locked
from connectors.core.git.faults import BrokenCacheError
from connectors.core.git.objects import FETCH, Objects
from connectors.core.git.terms import Access, Author, Commit, Fault, GitError, Limits, PathChange, Remote
from connectors.core.git.tree import GitTree, Trees
from connectors.core.printable import one_line

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The id of a folder without entries, which every git knows."""

# What git-check-ref-format allows, and nothing that begins like an option.
_BRANCH = re.compile(r"(?![-/.])(?!.*(\.\.|//|@\{|/\.|\.lock(/|\Z)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![/.])")
_HEADS = "refs/heads/"
_WITHOUT_HOOKS = "--receive-pack=git -c core.hooksPath=/dev/null receive-pack"
_NOBODY = Author("Connector portal", "connector-portal@localhost")


@contextmanager
def opened(folder: Path, access: Access, limits: Limits = Limits(), *, wait: float = 60.0) -> Iterator[Git]:  # noqa: B008
    """The repository, with its cache at `folder` locked for this process until the end.

    Raises GitError: BUSY when another process has it for longer than `wait` seconds, ADDRESS for an address that must
    not be reached, NO_GIT. The server is not asked yet.
    """
    program.require_git()
    way = route.find(access)
    with locked(folder, wait) as lock:
        cache = Cache(folder.absolute(), way, limits, lock)  # git works from inside it
        cache.tidy()
        yield Git(cache)


class Git:
    """One repository on its server. Every method raises GitError when the server says no, or nothing."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._name = cache.route.address.label
        self._objects = Objects(cache)
        self._trees = Trees(self._objects, cache.limits.entries)

    def remote(self) -> Remote:
        """The branches that there are, and which is the main one; nothing is brought."""
        answer = self._cache.network("ls-remote", "--symref", "origin", "HEAD", f"{_HEADS}*")
        branches: dict[str, str] = {}
        default = ""
        for what, _, ref in (line.partition("\t") for line in answer.decode("utf-8", "replace").split("\n")):
            if ref == "HEAD" and what.startswith(f"ref: {_HEADS}"):
                default = what.removeprefix(f"ref: {_HEADS}")
            elif ref.startswith(_HEADS) and _is_branch(ref.removeprefix(_HEADS)):
                branches[ref.removeprefix(_HEADS)] = what
        return Remote(branches, default if _is_branch(default) else "")

    def fetch(self, branch: str) -> Commit:
        """The newest commit of a branch. Raises GitError(NO_BRANCH) when there is none of this name."""
        # A name of our own: two branches like `a` and `a/b` could not be kept side by side over time.
        kept = f"refs/portal/{hashlib.sha256(_checked(branch).encode()).hexdigest()[:16]}"
        try:
            return self._fetch(branch, kept)
        except GitError as error:
            if not isinstance(error, BrokenCacheError) and error.fault not in (Fault.OTHER, Fault.HOSTILE):
                raise
        self._cache.renew()
        return self._fetch(branch, kept)

    def files(self, commit: Commit) -> GitTree:
        """The files of a commit; what is looked at is brought then, unless `prefetch` did."""
        return GitTree(self._trees, commit.tree, self._name)

    def changed_by(self, path_blobs: Mapping[str, str], old: str, new: Commit) -> dict[str, tuple[Commit, bool]]:
        """Who changed each path that differs between the commits `old` ("" for none) and `new`; see history.changed_by.

        `path_blobs` holds what `new` has there, "" for nothing. The truth value: whether the commit is the very one.
        """
        return history.changed_by(self._objects, self._trees, path_blobs, old, new)

    def commit(
        self, base: Commit | None, changes: Sequence[PathChange], message: str, author: Author, at: dt.datetime
    ) -> Commit:
        """A commit on top of `base` (None: the first one of all), in the cache only until it is pushed.

        Raises ValueError if it would change nothing, GitError(HOSTILE) for a path that must not be written to.
        """
        if base is not None:
            self._objects.load_commit(base.oid)
        tree = writing.write_tree(self._trees, base.tree if base else "", changes)
        if tree == (base.tree if base else EMPTY_TREE):
            raise ValueError("The commit would change nothing.")
        by = _presentable(author)
        oid = writing.write_commit(self._cache, tree, [base.oid] if base else [], _clean(message), by, at)
        return history.parse_commit(oid, self._objects.load_commit(oid)).commit

    def push(self, commit: Commit, branch: str, *, expect: str) -> None:
        """Puts a branch on this commit, if it is on `expect` now; "" for a branch that must not exist yet.

        Raises GitError(MOVED) when it is elsewhere: then nothing was changed. A commit that does not stand on `expect`
        replaces it, which only the branch of a pull request of the portal's own is meant for.
        """
        ref = f"refs/heads/{_checked(branch)}"
        self._push(f"--force-with-lease={ref}:{expect}", "origin", f"{commit.oid}:{ref}")

    def can_push(self, branch: str) -> None:
        """Asks for leave to write, without writing. Raises GitError(READ_ONLY), PROTECTED or what else is in the way.

        A host tells of its branch rules only when something is really pushed, so they are not noticed here.
        """
        ref = f"refs/heads/{_checked(branch)}"
        oid = self.remote().branches.get(branch)
        if oid is None:
            oid = writing.write_commit(
                self._cache, EMPTY_TREE, [], "Try", _NOBODY, dt.datetime.fromtimestamp(0, dt.UTC)
            )
        else:
            self._objects.load_commit(oid)
        self._push("--dry-run", "origin", f"{oid}:{ref}")

    def _push(self, *arguments: str) -> None:
        # A host runs its hooks on its own machine; those of a repository on this disk would run here, as the portal.
        on_disk = (_WITHOUT_HOOKS,) if self._cache.route.address.scheme == "file" else ()
        self._cache.network("push", "--porcelain", "--no-verify", *on_disk, *arguments, pushing=True)

    def _fetch(self, branch: str, kept: str) -> Commit:
        order = f"+refs/heads/{branch}:{kept}\n".encode()
        # The commit with its top folder, which is always looked at: one visit less.
        self._cache.network(*FETCH, "--filter=tree:1", "--depth=1", "origin", stdin=order)
        oid = self._cache.local("rev-parse", "--verify", "--quiet", kept).decode().strip()
        return history.parse_commit(oid, self._objects.load_commit(oid)).commit


def _is_branch(name: str) -> bool:
    return _BRANCH.fullmatch(name) is not None and name.isprintable() and name != "@"


def _checked(branch: str) -> str:
    if not _is_branch(branch):
        raise GitError("This cannot be the name of a git branch.", Fault.NO_BRANCH, permanent=True)
    return branch


def _presentable(author: Author) -> Author:
    """git refuses names of which nothing is left once it has taken out what it cannot store."""
    name = one_line(author.name, history.MAX_NAME).strip(" .,:;<>\"\\'")
    email = one_line(author.email, history.MAX_NAME).strip(" <>")
    return replace(author, name=name or _NOBODY.name, email=email or _NOBODY.email)


def _clean(message: str) -> str:
    """The message without what a commit cannot hold."""
    return message.replace("\0", "").replace("\r\n", "\n").encode("utf-8", "replace").decode()

"""What it takes to build repositories that git refuses to make."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tests.servers.git_repos import MIRA, RepoMaker

RawEntry = tuple[str, bytes, str]
HOOKS = (
    "applypatch-msg",
    "fsmonitor-watchman",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-auto-gc",
    "pre-commit",
    "pre-push",
    "pre-receive",
    "reference-transaction",
    "update",
)


def entries(repo: RepoMaker, folder: str) -> list[RawEntry]:
    """What main has in a folder, raw; nothing where there is no such folder."""
    listed = repo.git("ls-tree", "-z", f"main:{folder}")
    found = []
    for line in listed.split(b"\0")[:-1]:
        words, name = line.split(b"\t", 1)
        mode, _, oid = words.decode().split()
        found.append((mode.lstrip("0"), name, oid))
    return found


def in_folder(repo: RepoMaker, folder: str, more: Sequence[RawEntry]) -> str:
    """Commits a main that has more entries in a folder, whatever their names; gives the commit."""
    tree = repo.tree(sorted([*entries(repo, folder), *more], key=_in_gits_order))
    while folder:
        folder, _, name = folder.rpartition("/")
        above = [("40000", there, tree) if there == name.encode() else (mode, there, oid)
                 for mode, there, oid in entries(repo, folder)]  # fmt: skip
        tree = repo.tree(above)
    return repo.commit_tree(tree, "Add what must not be there")


def _in_gits_order(entry: RawEntry) -> bytes:
    mode, name, _ = entry
    return name + b"/" if mode == "40000" else name


def bomb(repo: RepoMaker, *, levels: int, width: int) -> None:
    """Commits folders in which each holds the same folder `width` times: a few objects, and width ** levels paths."""
    tree = repo.tree([("100644", b"leaf.txt", repo.write("blob", b"x\n"))])
    for _ in range(levels):
        tree = repo.tree([("40000", f"d{number:02}".encode(), tree) for number in range(width)])
    repo.commit_tree(tree, "Grow")


def big_folder(repo: RepoMaker, folder: str, count: int) -> None:
    """Commits `count` more files in one folder, all with the same content."""
    blob = repo.write("blob", b"{}")
    in_folder(repo, folder, [("100644", f"more-{number:06}.jsonc".encode(), blob) for number in range(count)])


def zeros(repo: RepoMaker, size: int) -> str:
    """Stores a blob of this many zero bytes, of which the compressed form is a thousandth, and gives its id."""
    path = repo.path / "zeros"
    with path.open("wb") as file:
        file.truncate(size)
    oid = repo.git("hash-object", "-w", "--no-filters", str(path)).decode().strip()
    path.unlink()
    return oid


def noise(size: int) -> bytes:
    """Bytes that no compression makes smaller, the same ones every time."""
    return random.Random(7).randbytes(size)  # noqa: S311 - noise, not a secret


def hooks(folder: Path, script: str) -> None:
    """Every hook that git knows, in a folder of hooks."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in HOOKS:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def put_ref(repo: RepoMaker, ref: str, kind: str) -> str:
    """Points a ref at an object that is no commit: a "blob", a "tree", or a "tag" of the newest commit."""
    if kind == "blob":
        oid = repo.write("blob", b"x\n")
    elif kind == "tree":
        oid = repo.git("rev-parse", "main^{tree}").decode().strip()
    else:
        text = f"object {repo.head()}\ntype commit\ntag v1\ntagger {MIRA} 1700000000 +0000\n\nv1\n"
        oid = repo.write("tag", text.encode())
    path = repo.path / ref
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{oid}\n")
    return oid

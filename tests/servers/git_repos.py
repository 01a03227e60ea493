"""Bare repositories for tests, made by git itself: what a team's host would hold, honest or not."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIRA = "Mira Vale <mira@example.com>"
FIRST_COMMIT = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies at a path when it is no plain file: `mode` as git writes it."""

    content: bytes
    mode: str


def executable(content: bytes) -> Entry:
    """A file that may be run."""
    return Entry(content, "100755")


def symlink(target: str) -> Entry:
    """A symbolic link to this path."""
    return Entry(target.encode(), "120000")


def submodule(commit: str = "1" * 40) -> Entry:
    """A commit of another repository."""
    return Entry(commit.encode(), "160000")


Content = str | bytes | Entry | None
"""What a commit puts at a path: text, bytes or an entry; None removes what is there."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One commit as `git log` tells it."""

    oid: str
    author: str
    subject: str
    body: str


def clean_environment() -> dict[str, str]:
    """The environment of the tests' own git commands: nobody's configuration, no prompt, English."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


class RepoMaker:
    """One bare repository. `url` is where a server offers it, or its file:// address.

    repo = RepoMaker(folder / "shop.git")
    repo.commit({"base44/connectors/gmail.jsonc": text})
    """

    def __init__(self, path: Path, url: str = "", *, object_format: str = "sha1") -> None:
        self.path, self.url = path, url or path.as_uri()
        self._commits = 0
        path.mkdir(parents=True)
        self.git("init", "-q", "--bare", "--template=", "--initial-branch=main", f"--object-format={object_format}")
        self.configure("uploadpack.allowFilter", "true")
        self.configure("uploadpack.allowAnySHA1InWant", "true")

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a git command in the repository prints. Raises CalledProcessError."""
        return subprocess.run(
            ["git", *arguments], cwd=self.path, input=stdin, capture_output=True, check=True, env=clean_environment()
        ).stdout

    def configure(self, name: str, value: str) -> None:
        """Sets an option of the repository, as whoever runs the host would."""
        self.git("config", name, value)

    def without_filters(self) -> None:
        """From now on it is served as by hosts that know no partial clone."""
        self.configure("uploadpack.allowFilter", "false")

    def commit(
        self, files: Mapping[str, Content], message: str = "Change files", author: str = MIRA, branch: str = "main"
    ) -> str:
        """Commits files by path on top of the branch, which is made when it is missing; gives the new commit's id.

        Raises CalledProcessError when somebody else moved the branch meanwhile.
        """
        stamp = f"{self._next_second()} +0000"
        head = self.head(branch)
        lines = [f"commit refs/heads/{branch}\nauthor {author} {stamp}\ncommitter {author} {stamp}\n".encode()]
        lines += [_data(message.encode()), f"from {head}\n".encode() if head else b""]
        lines += [_file(path, content) for path, content in files.items()]
        self.git("fast-import", "--quiet", stdin=b"".join(lines))
        return self.head(branch)

    def commit_beside_others(self, files: Mapping[str, Content], message: str, author: str = MIRA) -> str:
        """The same on main while others push there: again and again until nobody else was faster."""
        for _ in range(99):
            with suppress(subprocess.CalledProcessError):
                return self.commit(files, message, author)
        return self.commit(files, message, author)

    def commit_tree(self, tree: str, message: str = "Change files", branch: str = "main") -> str:
        """Commits a tree as it is, whatever it holds."""
        stamp = f"{self._next_second()} +0000"
        head = self.head(branch)
        parent = f"parent {head}\n" if head else ""
        text = f"tree {tree}\n{parent}author {MIRA} {stamp}\ncommitter {MIRA} {stamp}\n\n{message}\n"
        commit = self.write("commit", text.encode())
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def write(self, kind: str, content: bytes) -> str:
        """Stores any bytes as an object of this kind, unchecked, and gives its id."""
        return self.git("hash-object", "-w", "-t", kind, "--literally", "--stdin", stdin=content).decode().strip()

    def tree(self, entries: Iterable[tuple[str, bytes, str]]) -> str:
        """A tree of (mode, name, object id), in this order and with these names even where git would not."""
        raw = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
        return self.write("tree", raw)

    def hook(self, name: str, script: str) -> None:
        """Lets the host run this shell script as a hook."""
        path = self.path / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def protect(self, branch: str = "main", words: str = "Protected branch update failed.") -> None:
        """From now on the host refuses pushes to the branch, in these words."""
        refused = f'[ "$ref" != {shlex.quote(f"refs/heads/{branch}")} ] || {{ echo {shlex.quote(words)} >&2; exit 1; }}'
        self.hook("pre-receive", f"while read -r old new ref; do {refused}; done")

    def head(self, branch: str = "main") -> str:
        """The branch's commit, "" when there is no such branch."""
        name = f"refs/heads/{branch}"
        return self.git("for-each-ref", "--format=%(objectname)", name).decode().strip()

    def branches(self) -> list[str]:
        """Names of all branches, sorted."""
        return self.git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").decode().split()

    def paths(self, branch: str = "main") -> list[str]:
        """Paths of all files of the branch, in git's order."""
        listed = self.git("ls-tree", "-r", "-z", "--name-only", f"refs/heads/{branch}")
        return listed.decode().split("\0")[:-1]

    def mode(self, path: str, branch: str = "main") -> str:
        """What git takes the entry at a path for, such as 100644."""
        return self.git("ls-tree", f"refs/heads/{branch}", path).decode().split(" ", 1)[0]

    def read(self, path: str, branch: str = "main") -> bytes:
        """The file's bytes. Raises CalledProcessError when there is none."""
        return self.git("cat-file", "blob", f"refs/heads/{branch}:{path}")

    def log(self, branch: str = "main") -> list[Logged]:
        """All commits of the branch, newest first."""
        told = self.git("log", "-z", "--format=%H%n%an <%ae>%n%s%n%b", f"refs/heads/{branch}", "--").decode()
        return [Logged(*entry.split("\n", 3)) for entry in told.split("\0") if entry]

    def changed(self, commit: str) -> list[str]:
        """Paths that a commit changed, against its first parent."""
        listed = self.git("diff-tree", "--root", "-r", "-z", "--name-only", "--no-commit-id", commit)
        return listed.decode().split("\0")[:-1]

    def check(self) -> None:
        """Raises CalledProcessError when the repository is damaged."""
        self.git("fsck", "--strict", "--full")

    def _next_second(self) -> int:
        self._commits += 1
        return int(FIRST_COMMIT.timestamp()) + self._commits


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _file(path: str, content: Content) -> bytes:
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if content is None:
        return f"D {quoted}\n".encode()
    if isinstance(content, str):
        content = content.encode()
    entry = content if isinstance(content, Entry) else Entry(content, "100644")
    if entry.mode == "160000":
        return f"M 160000 {entry.content.decode()} {quoted}\n".encode()
    return f"M {entry.mode} inline {quoted}\n".encode() + _data(entry.content)

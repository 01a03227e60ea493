"""What the portal does with git, in one line each: read a file of a branch, write files to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from connectors.core.git import Access, Author, Commit, Git, Limits, PathChange, opened
from connectors.core.net import Allowed

CONNECTORS = "base44/connectors"
PATH = f"{CONNECTORS}/gmail.jsonc"
SLACK_PATH = f"{CONNECTORS}/slack.jsonc"
GMAIL = '{"type": "gmail", "scopes": ["gmail.readonly"]} // asked for by sales\n'
WIDER = '{"type": "gmail", "scopes": ["gmail.readonly", "gmail.send"]} // asked for by sales\n'
LOOPBACK = Allowed.of(["127.0.0.1"])
PORTAL = Author("Connector portal", "portal@example.com")
NOW = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)


def read(cache: Path, access: Access, path: str = PATH, branch: str = "main", limits: Limits | None = None) -> bytes:
    """The file as the branch has it now."""
    with opened(cache, access, limits or Limits()) as git:
        return git.files(git.fetch(branch)).read(path)


def export(
    cache: Path, access: Access, files: Mapping[str, str | None] | None = None, limits: Limits | None = None
) -> Commit:
    """Commits files (the wider gmail.jsonc, unless told) on top of main and pushes the commit there."""
    with opened(cache, access, limits or Limits()) as git:
        return push(git, git.fetch("main"), files or {PATH: WIDER})


def push(git: Git, base: Commit, files: Mapping[str, str | None], message: str = "Write connectors") -> Commit:
    """The same in an open cache, on top of a main that was looked at."""
    commit = git.commit(base, changes(files), message, PORTAL, NOW)
    git.push(commit, "main", expect=base.oid)
    return commit


def changes(files: Mapping[str, str | None]) -> list[PathChange]:
    """What a commit takes: text by path, None to remove."""
    return [PathChange(path, None if text is None else text.encode()) for path, text in files.items()]

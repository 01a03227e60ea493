"""What a host of repositories for tests knows: pull requests over real git branches, and whom it lets in."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import SecretStr

from tests.servers.git_repos import RepoMaker

Kind = Literal["github", "gitlab", "gitea"]
PREFIXES: dict[Kind, str] = {"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1"}
WHEN = dt.datetime(2026, 11, 1, 12, 0, tzinfo=dt.UTC)
MERGER = "Mira Vale <mira@example.com>"


@dataclass
class Pull:
    """One pull request. While it is open its head is its branch's commit; afterwards what that was at the end."""

    number: int
    title: str
    body: str
    branch: str
    base: str
    state: Literal["open", "closed", "merged"] = "open"
    last_head: str = ""


@dataclass
class Project:
    """One repository of the host, with its pull requests by number."""

    path: str
    repo: RepoMaker
    id: int
    pulls: dict[int, Pull] = field(default_factory=dict)
    is_archived: bool = False

    def head(self, pull: Pull) -> str:
        """The newest commit of a pull request, "" when its branch is gone."""
        return self.repo.head(pull.branch) if pull.state == "open" else pull.last_head

    def open_one(self, branch: str, base: str) -> Pull | None:
        """The open pull request between two branches."""
        return next(
            (p for p in self.pulls.values() if p.state == "open" and (p.branch, p.base) == (branch, base)), None
        )

    def start(self, branch: str, base: str, title: str, body: str) -> Pull:
        """Opens one; numbers are not used again."""
        pull = Pull(max(self.pulls, default=0) + 1, title, body, branch, base)
        self.pulls[pull.number] = pull
        return pull

    def end(self, pull: Pull, state: Literal["closed", "merged"]) -> None:
        """Closes or merges it, and remembers where its branch was."""
        pull.last_head = self.head(pull)
        pull.state = state


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Canned:
    """An answer that is given in place of the real one."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Forge:
    """The host as tests see it. `token` may do everything, `read_only_token` only look, `scopes` are what GitLab tells.

    `renamed` maps a repository's old path to its new one. `short_pages` gives two entries a page, whatever is asked.
    """

    url: str = ""
    token: SecretStr = field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    read_only_token: SecretStr = field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    login: str = "portal-bot"
    scopes: tuple[str, ...] = ("api",)
    projects: dict[str, Project] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    canned: list[Canned] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    short_pages: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, path: str, repo: RepoMaker) -> Project:
        """Offers a bare repository under `owner/name`."""
        self.projects[path] = Project(path, repo, id=len(self.projects) + 1)
        return self.projects[path]

    def api(self, kind: Kind) -> str:
        """Where the API of this kind of host is."""
        return self.url + PREFIXES[kind]

    def can(self, status: int, body: object = b"", **headers: str) -> None:
        """Orders the next answer, whatever is asked. `_` in a header's name stands for `-`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.canned.append(Canned(status, raw, named))

    def merge(self, path: str, number: int, *, squash: bool = False) -> str:
        """Merges as a person would at the host, so that the branch moves; gives the new commit."""
        project = self.projects[path]
        pull = project.pulls[number]
        commit = merge_branches(project.repo, pull, squash=squash)
        project.end(pull, "merged")
        return commit

    def close(self, path: str, number: int) -> None:
        """Closes as a person would at the host."""
        project = self.projects[path]
        project.end(project.pulls[number], "closed")

    def reset(self) -> None:
        """An empty host with the same address and tokens."""
        for kept in (self.projects, self.renamed, self.asked, self.canned, self.breaches):
            kept.clear()
        self.short_pages, self.scopes = False, ("api",)


def merge_branches(repo: RepoMaker, pull: Pull, *, squash: bool) -> str:
    """Merges one branch into another with git and moves the base. Raises CalledProcessError for a conflict."""
    base, head = repo.head(pull.base), repo.head(pull.branch)
    tree = repo.git("merge-tree", "--write-tree", base, head).decode().split("\n", 1)[0]
    text = f"tree {tree}\nparent {base}\n" + ("" if squash else f"parent {head}\n")
    stamp = f"{MERGER} {int(WHEN.timestamp())} +0000"
    text += f"author {stamp}\ncommitter {stamp}\n\nMerge pull request #{pull.number}\n"
    commit = repo.write("commit", text.encode())
    repo.git("update-ref", f"refs/heads/{pull.base}", commit, base)
    return commit

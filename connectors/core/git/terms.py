"""What flows and git say to each other: how to reach a repository, what a commit is, and what can go wrong."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import SecretStr

from connectors.core.errors import PortalError
from connectors.core.net import Allowed


class Fault(StrEnum):
    """What a `GitError` is about, for code that has to tell one from another."""

    NO_GIT = "no_git"
    ADDRESS = "address"
    """The address is none, or one that must not be reached."""
    UNREACHABLE = "unreachable"
    HOST_KEY = "host_key"
    CREDENTIAL = "credential"
    """Refused: the host wants another credential, or one at all."""
    NO_REPOSITORY = "no_repository"
    NO_BRANCH = "no_branch"
    READ_ONLY = "read_only"
    """The credential may read and not write."""
    PROTECTED = "protected"
    """The host's rules keep this branch from being written to like this."""
    MOVED = "moved"
    """The branch is not where it was: look again and do it anew."""
    LIMIT = "limit"
    """Larger, or slower, than the limits allow."""
    HOSTILE = "hostile"
    """The repository holds what no honest one does."""
    BUSY = "busy"
    """Another process works on the same cache."""
    OTHER = "other"


class GitError(PortalError):
    """Git did not do what was asked. The text never holds a secret, nor what the server said where that may hold one.

    `permanent`: the same again cannot help until somebody changes something.
    """

    def __init__(self, message: str, fault: Fault, *, permanent: bool) -> None:
        super().__init__(message)
        self.fault, self.permanent = fault, permanent


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach one repository. `token` goes over https with `username`; `deploy_key` over ssh.

    `known_hosts` are lines of that file's format. `allowed` are private hosts that may be reached, `file_urls` whether
    file:// may be.
    """

    url: str
    username: str = ""
    token: SecretStr | None = None
    deploy_key: SecretStr | None = None
    known_hosts: str = ""
    allowed: Allowed = field(default_factory=Allowed)
    file_urls: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one git command may take: seconds, bytes that it may write into one file, and entries of one folder."""

    seconds: float = 300.0
    bytes: int = 512 * 1024 * 1024
    entries: int = 10_000


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as its author wrote it down; `at` is the committer's time. Texts are cut and printable."""

    oid: str
    tree: str
    author_name: str
    author_email: str
    at: dt.datetime
    subject: str

    @property
    def author(self) -> str:
        """`Mira <mira@example.com>`, or what there is of it."""
        return f"{self.author_name} <{self.author_email}>" if self.author_email else self.author_name


@dataclass(frozen=True, slots=True)
class Author:
    """Whom a commit of the portal's names."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class PathChange:
    """A file's new content at a path from the repository's top; None removes it."""

    path: str
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Remote:
    """What a server says of a repository: its branches' commits, and the branch that it takes for the main one."""

    branches: dict[str, str]
    default: str = ""

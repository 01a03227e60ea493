"""What flows and hosts say to each other: a pull request as its host shows it, and what can be done with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["open", "merged", "closed"]

READ, WRITE, PULL_REQUESTS = "read", "write", "pull_requests"
"""What a token may do: read the repository, push to its branches, open pull requests."""


@dataclass(frozen=True, slots=True)
class PullRequestView:
    """A pull request (GitLab: merge request) as it is now.

    `head` is the newest commit of its branch, "" when the host does not say; `url` is where people look at it, "" when
    the host names no web address. Texts are printable and cut.
    """

    number: int
    url: str
    state: State
    head: str
    branch: str
    title: str


class Host(Protocol):
    """One repository at its host, seen with one token. Every method raises HostError."""

    @property
    def name(self) -> str:
        """How people call the host: GitHub, GitLab or Gitea."""

    def find_open(self, branch: str, base: str) -> PullRequestView | None:
        """The open pull request from one branch of the repository into another, None when there is none."""

    def get(self, number: int) -> PullRequestView:
        """The pull request with this number."""

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequestView:
        """Opens one, or gives the one that is open for these branches already, as it is. Long texts are cut."""

    def update(self, number: int, title: str, body: str) -> PullRequestView:
        """Gives it another title and body. Long texts are cut."""

    def close(self, number: int) -> PullRequestView:
        """Closes it without merging."""

    def whoami(self) -> str:
        """The user name that the token belongs to, "" when the token may not ask."""

    def permissions(self) -> frozenset[str]:
        """Which of READ, WRITE and PULL_REQUESTS the host says that the token may do with the repository.

        What the host does not tell counts as allowed. GitHub and Gitea tell what the token's owner may do; that the
        token is narrower shows when it is used.
        """

"""Pull requests at Gitea and Forgejo, whose APIs are the same here. https://docs.gitea.com/api/"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from connectors.core.hosts.api import CONFLICTS
from connectors.core.hosts.errors import HostError
from connectors.core.hosts.like_github import Branch, LikeGitHub, Pull, RepositoryFacts
from connectors.core.hosts.terms import PullRequestView

PAGE, PAGES = 50, 10
"""Pull requests of one page, and pages that are looked through for an open one."""


def headers(token: str) -> dict[str, str]:
    """What goes with every call."""
    return {"Authorization": f"token {token}", "Accept": "application/json"}


def default_api(host: str, origin: str) -> str:
    """Where the API of a host is."""
    return f"{origin}/api/v1"


class _Branch(Branch):
    repo_id: int = 0


class _Pull(Pull):
    merged: bool = False
    head: _Branch
    base: _Branch

    @property
    def is_merged(self) -> bool:
        return self.merged


class _Repository(RepositoryFacts):
    has_pull_requests: bool = True

    @property
    def takes_pull_requests(self) -> bool:
        return self.has_pull_requests


@dataclass(frozen=True, slots=True)
class Gitea(LikeGitHub):
    """One repository at Gitea or Forgejo."""

    name: str = "Gitea"

    pull: ClassVar[type[Pull]] = _Pull
    facts: ClassVar[type[RepositoryFacts]] = _Repository

    def find_open(self, branch: str, base: str) -> PullRequestView | None:
        # Asking for base and head directly gives any of them, closed ones too; older versions know no filter by base.
        for page in range(1, PAGES + 1):
            found = self.api.get(
                self.at("pulls"),
                list[_Pull],
                state="open",
                base_branch=base,
                sort="recentupdate",
                limit=PAGE,
                page=page,
            )
            for pull in found:
                is_own = pull.head.repo_id == pull.base.repo_id
                if is_own and (pull.head.ref, pull.base.ref) == (branch, base):
                    return pull.view()
            if not found:  # a page may be shorter than asked for: the host has a limit of its own
                return None
        return None

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequestView:
        try:
            return self.post(branch, base, title, body)
        except HostError as error:
            if error.status not in CONFLICTS or (found := self.find_open(branch, base)) is None:
                raise
            return found

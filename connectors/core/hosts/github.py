"""Pull requests at GitHub and at GitHub Enterprise.

https://docs.github.com/en/rest/pulls/pulls; the answers of Enterprise Server's `/api/v3` are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from connectors.core.hosts.api import CONFLICTS
from connectors.core.hosts.errors import HostError
from connectors.core.hosts.like_github import LikeGitHub, Pull
from connectors.core.hosts.terms import PullRequestView

API_VERSION = "2022-11-28"


def headers(token: str) -> dict[str, str]:
    """What goes with every call."""
    return {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": API_VERSION,
    }


def default_api(host: str, origin: str) -> str:
    """Where the API of a host is: github.com and its tenants (*.ghe.com) have a name of its own for it."""
    if host == "github.com" or host.endswith(".ghe.com"):
        return f"https://api.{host}"
    return f"{origin}/api/v3"


class _Pull(Pull):
    merged_at: str | None = None

    @property
    def is_merged(self) -> bool:
        return self.merged_at is not None


@dataclass(frozen=True, slots=True)
class GitHub(LikeGitHub):
    """One repository at GitHub."""

    name: str = "GitHub"

    pull: ClassVar[type[Pull]] = _Pull

    def find_open(self, branch: str, base: str) -> PullRequestView | None:
        head = f"{self.owner}:{branch}"
        found = self.api.get(self.at("pulls"), list[_Pull], state="open", head=head, base=base)
        # A head that GitHub cannot find counts as no filter at all.
        return next((pull.view() for pull in found if pull.head.ref == branch), None)

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequestView:
        try:
            return self.post(branch, base, title, body)
        except HostError as error:
            if error.status not in CONFLICTS:
                raise
            if (found := self.find_open(branch, base)) is None:
                raise _soon(error) from None
            return found


def _soon(error: HostError) -> HostError:
    """As it is, or worth another try: a branch that was pushed a moment ago may not be known to the API yet."""
    if "head is invalid" not in str(error) and "Head ref" not in str(error):
        return error
    return HostError(str(error), error.fault, permanent=False, status=error.status)

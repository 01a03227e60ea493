"""What GitHub's API and those made after its example (Gitea, Forgejo) have in common about pull requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel

from connectors.core.hosts.api import MAX_TITLE, Api, Number, cut, link, object_id
from connectors.core.hosts.errors import HostError, HostFault
from connectors.core.hosts.terms import PULL_REQUESTS, READ, WRITE, PullRequestView
from connectors.core.printable import one_line

MAX_BODY = 65_536
"""Characters of a pull request's body at GitHub. Gitea sets no limit; nobody reads more."""


class Branch(BaseModel):
    """One end of a pull request."""

    ref: str
    sha: str = ""


class Pull(BaseModel):
    """A pull request; how it shows that it was merged is each host's own."""

    number: Number
    html_url: str
    title: str
    state: Literal["open", "closed"]
    head: Branch

    @property
    def is_merged(self) -> bool:
        raise NotImplementedError

    def view(self) -> PullRequestView:
        return PullRequestView(
            self.number,
            link(self.html_url),
            "merged" if self.is_merged else self.state,
            object_id(self.head.sha),
            one_line(self.head.ref, 300),
            one_line(self.title, 300),
        )


class Rights(BaseModel):
    """What the token's owner may do with the repository."""

    pull: bool = True
    push: bool = True


class RepositoryFacts(BaseModel):
    """The repository as the token's owner sees it."""

    permissions: Rights | None = None
    archived: bool = False

    @property
    def takes_pull_requests(self) -> bool:
        return True


class User(BaseModel):
    """Whose token it is."""

    login: str


@dataclass(frozen=True, slots=True)
class LikeGitHub:
    """One repository at such a host; `Host` says what the methods do. Subclasses find and open pull requests."""

    api: Api
    owner: str
    repository: str

    pull: ClassVar[type[Pull]] = Pull
    facts: ClassVar[type[RepositoryFacts]] = RepositoryFacts

    def get(self, number: int) -> PullRequestView:
        return self.api.get(self.at(f"pulls/{number}"), self.pull).view()

    def update(self, number: int, title: str, body: str) -> PullRequestView:
        return self._patch(number, worded(title, body))

    def close(self, number: int) -> PullRequestView:
        return self._patch(number, {"state": "closed"})

    def whoami(self) -> str:
        try:
            return one_line(self.api.get("/user", User).login, 100)
        except HostError as error:
            if error.fault == HostFault.REFUSED:  # an app's token belongs to nobody, a narrow one may not ask
                return ""
            raise

    def permissions(self) -> frozenset[str]:
        found = self.api.get(self.at(""), self.facts)
        rights = found.permissions or Rights()
        writes = rights.push and not found.archived
        named = {READ: rights.pull, WRITE: writes, PULL_REQUESTS: writes and found.takes_pull_requests}
        return frozenset(word for word, may in named.items() if may)

    def at(self, path: str) -> str:
        """Where something of this repository is."""
        place = f"/repos/{quote(self.owner, safe='')}/{quote(self.repository, safe='')}"
        return f"{place}/{path}" if path else place

    def post(self, branch: str, base: str, title: str, body: str) -> PullRequestView:
        """Opens a pull request. Raises HostError, also when one is open already."""
        sent = {"head": branch, "base": base, **worded(title, body)}
        return self.api.send("POST", self.at("pulls"), sent, self.pull).view()

    def _patch(self, number: int, sent: dict[str, str]) -> PullRequestView:
        return self.api.send("PATCH", self.at(f"pulls/{number}"), sent, self.pull).view()


def worded(title: str, body: str) -> dict[str, str]:
    """Title and body as these hosts take them."""
    return {"title": one_line(title, MAX_TITLE), "body": cut(body, MAX_BODY)}

"""Merge requests at GitLab.com and at a GitLab of one's own; here they are called pull requests as everywhere else.

https://docs.gitlab.com/api/merge_requests/, which works with personal, group and project access tokens alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel

from connectors.core.hosts.api import CONFLICTS, MAX_TITLE, Api, Number, cut, link, object_id
from connectors.core.hosts.errors import HostError, HostFault
from connectors.core.hosts.terms import PULL_REQUESTS, READ, WRITE, PullRequestView, State
from connectors.core.printable import one_line

MAX_BODY = 1_048_576
"""Characters of a merge request's description."""

REPORTER, DEVELOPER = 20, 30
"""Access levels: who may see the code, and who may push and open merge requests."""

# "locked" is what a merge request is while it is being merged.
_STATES: dict[str, State] = {"opened": "open", "locked": "open", "closed": "closed", "merged": "merged"}


def headers(token: str) -> dict[str, str]:
    """What goes with every call."""
    return {"PRIVATE-TOKEN": token, "Accept": "application/json"}


def default_api(host: str, origin: str) -> str:
    """Where the API of a host is."""
    return f"{origin}/api/v4"


class _MergeRequest(BaseModel):
    iid: Number
    web_url: str
    title: str
    state: Literal["opened", "locked", "closed", "merged"]
    sha: str | None = None
    source_branch: str
    source_project_id: int | None = None
    target_project_id: int | None = None

    def view(self) -> PullRequestView:
        branch, title = one_line(self.source_branch, 300), one_line(self.title, 300)
        return PullRequestView(self.iid, link(self.web_url), _STATES[self.state], object_id(self.sha), branch, title)


class _Access(BaseModel):
    access_level: int = 0


class _Permissions(BaseModel):
    project_access: _Access | None = None
    group_access: _Access | None = None

    @property
    def level(self) -> int:
        """The higher of the two; neither is told to who gets in through an invited group or as an administrator."""
        told = [access.access_level for access in (self.project_access, self.group_access) if access]
        return max(told, default=DEVELOPER)


class _Project(BaseModel):
    permissions: _Permissions | None = None
    archived: bool = False
    merge_requests_enabled: bool = True
    visibility: str = "private"


class _Token(BaseModel):
    scopes: list[str]


class _User(BaseModel):
    username: str


@dataclass(frozen=True, slots=True)
class GitLab:
    """One repository at GitLab. `path` is its project's, with all groups: `group/sub/name`."""

    api: Api
    path: str
    name: str = "GitLab"

    def find_open(self, branch: str, base: str) -> PullRequestView | None:
        found = self.api.get(
            self._at("merge_requests"), list[_MergeRequest], state="opened", source_branch=branch, target_branch=base
        )
        # Branches of forks have the same names.
        own = (row for row in found if row.source_project_id == row.target_project_id)
        return next((row.view() for row in own), None)

    def get(self, number: int) -> PullRequestView:
        return self.api.get(self._at(f"merge_requests/{number}"), _MergeRequest).view()

    def open(self, branch: str, base: str, title: str, body: str) -> PullRequestView:
        sent = {"source_branch": branch, "target_branch": base, **_texts(title, body), "remove_source_branch": True}
        try:
            return self.api.send("POST", self._at("merge_requests"), sent, _MergeRequest).view()
        except HostError as error:
            if error.status not in CONFLICTS or (found := self.find_open(branch, base)) is None:
                raise
            return found

    def update(self, number: int, title: str, body: str) -> PullRequestView:
        return self._put(number, _texts(title, body))

    def close(self, number: int) -> PullRequestView:
        return self._put(number, {"state_event": "close"})

    def whoami(self) -> str:
        try:
            return one_line(self.api.get("/user", _User).username, 100)
        except HostError as error:
            if error.fault == HostFault.REFUSED:  # a token with the scopes of git alone
                return ""
            raise

    def permissions(self) -> frozenset[str]:
        found = self.api.get(self._at(""), _Project)
        level, scopes = (found.permissions or _Permissions()).level, self._scopes()
        writes = level >= DEVELOPER and not found.archived
        may_push = scopes is None or not scopes.isdisjoint({"api", "write_repository"})
        may_open = scopes is None or "api" in scopes
        named = {
            READ: level >= REPORTER or found.visibility != "private",
            WRITE: writes and may_push,
            PULL_REQUESTS: writes and may_open and found.merge_requests_enabled,
        }
        return frozenset(word for word, may in named.items() if may)

    def _scopes(self) -> frozenset[str] | None:
        """The token's scopes, None when the host does not tell."""
        try:
            return frozenset(self.api.get("/personal_access_tokens/self", _Token).scopes)
        except HostError as error:
            if error.permanent:
                return None
            raise

    def _put(self, number: int, sent: dict[str, object]) -> PullRequestView:
        return self.api.send("PUT", self._at(f"merge_requests/{number}"), sent, _MergeRequest).view()

    def _at(self, path: str) -> str:
        place = f"/projects/{quote(self.path, safe='')}"
        return f"{place}/{path}" if path else place


def _texts(title: str, body: str) -> dict[str, object]:
    return {"title": one_line(title, MAX_TITLE), "description": cut(body, MAX_BODY)}

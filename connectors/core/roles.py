"""What a role allows, and where: the rules of who may do what, without a database.

A permission is a codename of Django's (`change_project`). Everybody's permissions are the union of what their roles
grant at a place; no role takes anything away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What somebody is to a project, to a workspace with all its projects, or to the whole portal."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    EDITOR = "editor"
    APPROVER = "approver"
    OWNER = "owner"


def _each(verbs: str, *models: str) -> frozenset[str]:
    return frozenset(f"{verb}_{model}" for verb in verbs.split() for model in models)


_VIEWER = _each(
    "view",
    "workspace",
    "project",
    "connector",
    "integrationtype",
    "cataloguescope",
    "syncrun",
    "repository",
)
_AUDITOR = (
    _VIEWER
    | _each(
        "view",
        "alertroute",
        "approval",
        "approvaldemand",
        "consentlink",
        "event",
        "incident",
        "ledgerentry",
        "membership",
        "oauthclient",
        "policyexception",
        "policyrule",
        "reviewcampaign",
        "token",
    )
    | _each("add change delete view", "savedview")
)
_EDITOR = (
    _AUDITOR
    | _each("add change", "project", "repository", "connector", "consentlink", "policyexception")
    | {"delete_connector", "change_token"}
)
_APPROVER = _AUDITOR | {"decide_policyexception", "decide_approval"}
_OWNER = (
    _EDITOR
    | _APPROVER
    | _each(
        "add change delete",
        "alertroute",
        "approvaldemand",
        "invitation",
        "membership",
        "oauthclient",
        "project",
        "repository",
        "reviewcampaign",
    )
    | _each("add change", "policyrule", "cataloguescope", "workspace")
    | {"view_invitation", "change_integrationtype", "change_incident", "delete_policyrule", "delete_token"}
    | {"delete_cataloguescope", "delete_workspace"}
)

PERMISSIONS: Mapping[Role, frozenset[str]] = {
    Role.VIEWER: _VIEWER,
    Role.AUDITOR: _AUDITOR,
    Role.EDITOR: _EDITOR,
    Role.APPROVER: _APPROVER,
    Role.OWNER: _OWNER,
}
"""What each role allows at the place where it is held. An approver edits nothing: they judge what others propose."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody holds: at a project, at a workspace, or with neither everywhere.

    `through` is the group by which they have it, "" when it is theirs in person.
    """

    role: Role
    workspace_id: int | None = None
    project_id: int | None = None
    through: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where one permission holds: everywhere, or in these workspaces with their projects and in these projects."""

    everywhere: bool = False
    workspaces: frozenset[int] = frozenset()
    projects: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return self.everywhere or bool(self.workspaces or self.projects)

    def covers(self, workspace_id: int | None, project_id: int | None = None) -> bool:
        """Whether the permission holds at this place; a place without either is the portal as a whole."""
        return self.everywhere or workspace_id in self.workspaces or project_id in self.projects


NOWHERE = Reach()
EVERYWHERE = Reach(everywhere=True)


@dataclass(slots=True)
class Grants:
    """All that one person may do. `codenames` are permissions that Django itself gives them, which hold everywhere."""

    is_superuser: bool = False
    codenames: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()
    answers: dict[tuple[str, str, object], bool] = field(default_factory=dict, repr=False)
    """What was answered already: permission, kind of row and its key."""
    _reaches: dict[str, Reach] = field(default_factory=dict, repr=False)

    def reach(self, codename: str) -> Reach:
        """Where the person has this permission."""
        if self.is_superuser or codename in self.codenames:
            return EVERYWHERE
        if codename not in self._reaches:
            self._reaches[codename] = reach_of(self.grants, codename)
        return self._reaches[codename]

    def anywhere(self, codename: str) -> bool:
        """Whether there is any place where the person has this permission."""
        return bool(self.reach(codename))


def reach_of(grants: Iterable[Grant], codename: str) -> Reach:
    """Where these roles together give the permission."""
    giving = [grant for grant in grants if codename in PERMISSIONS[grant.role]]
    if any(grant.workspace_id is None and grant.project_id is None for grant in giving):
        return EVERYWHERE
    return Reach(
        workspaces=frozenset(grant.workspace_id for grant in giving if grant.workspace_id is not None),
        projects=frozenset(grant.project_id for grant in giving if grant.project_id is not None),
    )

"""What roles allow, in words: the pages that say who may do what, and docs/people.md, take them from here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from .roles import Role

ROLE_ABOUT = {
    Role.VIEWER: "Sees projects and their connectors, and changes nothing.",
    Role.AUDITOR: "Sees all there is, with scope ledger, tokens' states, people and activity, and changes nothing.",
    Role.EDITOR: "Changes connectors, plans and applies, exports and imports, asks for consent.",
    Role.APPROVER: "Sees what an auditor sees and decides on what others propose. Edits nothing.",
    Role.OWNER: "Does everything there, and gives roles to others.",
}
"""Each role in a sentence."""


class Level(IntEnum):
    """How wide a place is: what is wider has all that is in it."""

    PROJECT = 1
    WORKSPACE = 2
    EVERYWHERE = 3


@dataclass(frozen=True, slots=True)
class Ability:
    """Permissions that come together, and what they allow in words. `key` stands in addresses.

    `level` is how wide the role's place must be: who owns one project cannot edit its workspace.
    """

    key: str
    text: str
    codenames: frozenset[str]
    level: Level = Level.PROJECT


def _ability(key: str, text: str, codenames: str, level: Level = Level.PROJECT) -> Ability:
    return Ability(key, text, frozenset(codenames.split()), level)


ABILITIES = (
    _ability(
        "see",
        "See projects, connectors, workspaces, repositories, runs and the catalogue",
        "view_workspace view_project view_connector view_integrationtype view_cataloguescope view_syncrun "
        "view_repository",
    ),
    _ability(
        "audit",
        "See the scope ledger, tokens' states, OAuth clients and consent links",
        "view_ledgerentry view_token view_oauthclient view_consentlink",
    ),
    _ability(
        "oversee",
        "See policies, exceptions, access reviews, incidents and alert routes",
        "view_policyrule view_policyexception view_reviewcampaign view_incident view_alertroute",
    ),
    _ability(
        "trail",
        "See activity, people with their roles, and approvals",
        "view_event view_membership view_approval view_approvaldemand",
    ),
    _ability(
        "views",
        "Keep views of the ledger under a name",
        "add_savedview change_savedview delete_savedview view_savedview",
    ),
    _ability("apply", "Edit projects; sync, pull, import, plan and apply", "change_project"),
    _ability("projects", "Add projects", "add_project", Level.WORKSPACE),
    _ability("declare", "Add, edit and remove connectors", "add_connector change_connector delete_connector"),
    _ability("consent", "Ask colleagues for consent by a link", "add_consentlink change_consentlink"),
    _ability("tokens", "Authorise, refresh and revoke tokens", "change_token"),
    _ability("git", "Add and edit repositories; export to them and read them", "add_repository change_repository"),
    _ability("ask", "Ask for exceptions from policies", "add_policyexception change_policyexception"),
    _ability("approve", "Decide on what others propose: plans, revokes, exports", "decide_approval"),
    _ability("except", "Decide on exceptions from policies", "decide_policyexception"),
    _ability("people", "Give and take roles", "add_membership change_membership delete_membership"),
    _ability(
        "invite",
        "Invite people by e-mail",
        "view_invitation add_invitation change_invitation delete_invitation",
    ),
    _ability(
        "demand",
        "Say what needs the approval of another person",
        "add_approvaldemand change_approvaldemand delete_approvaldemand",
        Level.WORKSPACE,
    ),
    _ability(
        "workspace",
        "Edit and delete workspaces, with their credentials",
        "change_workspace delete_workspace",
        Level.WORKSPACE,
    ),
    _ability("remove", "Delete projects and repositories", "delete_project delete_repository"),
    _ability("forget", "Forget tokens without revoking them", "delete_token"),
    _ability(
        "clients",
        "Manage OAuth clients",
        "add_oauthclient change_oauthclient delete_oauthclient",
        Level.WORKSPACE,
    ),
    _ability(
        "alerts",
        "Manage alert routes and incidents",
        "add_alertroute change_alertroute delete_alertroute change_incident",
    ),
    _ability(
        "review",
        "Run access reviews",
        "add_reviewcampaign change_reviewcampaign delete_reviewcampaign",
        Level.WORKSPACE,
    ),
    _ability(
        "rules",
        "Add workspaces; edit policies and the catalogue",
        "add_workspace add_policyrule change_policyrule delete_policyrule add_cataloguescope change_cataloguescope "
        "delete_cataloguescope change_integrationtype",
        Level.EVERYWHERE,
    ),
)
"""Every permission that a role can give is in exactly one of them, and a role has all of one or none of it."""


def abilities_of(codenames: Collection[str], level: Level = Level.EVERYWHERE) -> list[Ability]:
    """What somebody with these permissions at a place of this width can do."""
    return [ability for ability in ABILITIES if ability.level <= level and ability.codenames <= set(codenames)]


def ability_called(key: str) -> Ability | None:
    """The ability with this key; None when there is none."""
    return next((ability for ability in ABILITIES if ability.key == key), None)

"""Giving somebody a role, and taking it away: nobody gives what they do not hold as owner there."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.db import IntegrityError, models, transaction

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.core.roles import EVERYWHERE, NOWHERE, Reach, reach_of
from connectors.flows.events import record_event
from connectors.models import Membership, Project, Workspace
from connectors.models.grants import forget_grants, grants_of
from connectors.models.membership import RoleChoices

GIVES = "add_membership"
"""The permission that only an owner's role holds: who has it at a place gives any role there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role counts: at a project, at a workspace with all its projects, or with neither everywhere."""

    workspace: Workspace | None = None
    project: Project | None = None

    def __str__(self) -> str:
        if self.project is not None:
            return f"the project {self.project}"
        return f"the workspace {self.workspace}" if self.workspace is not None else "the whole portal"


def giving_reach(giver: User) -> Reach:
    """Where this person may give roles.

    Superusers everywhere, owners at their places. Permissions that Django itself gives do not count: whoever has one
    of those is owner of nothing, and could make themself one.
    """
    grants = grants_of(giver)
    if grants.is_superuser:
        return EVERYWHERE
    return reach_of(grants.grants, GIVES) if giver.is_active else NOWHERE


def may_give(giver: User, place: Place) -> bool:
    """Whether this person may give and take roles at this place."""
    reach = giving_reach(giver)
    if place.project is not None:
        return reach.covers(place.project.workspace_id, place.project.pk)
    return reach.covers(place.workspace.pk if place.workspace is not None else None)


def refuse_giving(giver: User, place: Place) -> None:
    """Raises Refused unless this person may give and take roles at this place."""
    if place.workspace is not None and place.project is not None:
        raise Refused("A role is for one place: choose a workspace or a project, not both.")
    if not may_give(giver, place):
        raise Refused(f"Only an owner of {place} or an administrator gives and takes roles there.")


def refuse_grant(
    giver: User,
    *,
    user: User | None,
    group: Group | None,
    role: str,
    workspace: Workspace | None,
    project: Project | None,
) -> None:
    """Raises Refused when `grant` would, so that a form can say so beforehand."""
    place = Place(workspace, project)
    if (user is None) == (group is None):
        raise Refused("Choose a person or a group, one of the two.")
    if role not in RoleChoices.values:
        raise Refused("There is no such role.")
    refuse_giving(giver, place)
    if user is not None and not (user.is_active and user.is_staff):
        raise Refused(f"{user.get_username()} can't use the portal: their account is switched off or is not staff.")
    if _same(user, group, place).filter(role=role).exists():
        raise _held(user, group, role, place)


@transaction.atomic
def grant(
    actor: Actor,
    giver: User,
    *,
    user: User | None = None,
    group: Group | None = None,
    role: str,
    workspace: Workspace | None = None,
    project: Project | None = None,
) -> Membership:
    """Gives the role to the person or the group. Raises Refused where `giver` may not, or they have it already."""
    refuse_grant(giver, user=user, group=group, role=role, workspace=workspace, project=project)
    place = Place(workspace, project)
    made = Membership(
        user=user, group=group, role=role, workspace=workspace, project=project, added_by_label=giver.get_username()
    )
    try:
        with transaction.atomic():  # so that what the caller has begun can go on
            made.save()
    except IntegrityError:
        raise _held(user, group, role, place) from None
    _note(actor, "membership.given", made, after=described(made))
    return made


def refuse_change(giver: User, membership: Membership, role: str) -> None:
    """Raises Refused when `change_role` would, so that a form can say so beforehand."""
    place = place_of(membership)
    refuse_giving(giver, place)
    if role not in RoleChoices.values:
        raise Refused("There is no such role.")
    same = _same(membership.user, membership.group, place).filter(role=role)
    if same.exclude(pk=membership.pk).exists():
        raise _held(membership.user, membership.group, role, place)


@transaction.atomic
def change_role(actor: Actor, giver: User, membership: Membership, role: str) -> None:
    """Makes it another role at the same place. Raises Refused where `giver` may not, or they have that one already."""
    refuse_change(giver, membership, role)
    stored = Membership.objects.get(pk=membership.pk)
    before = described(stored)
    if stored.role == role:
        return
    try:
        with transaction.atomic():
            Membership.objects.filter(pk=membership.pk).update(role=role, added_by_label=giver.get_username())
    except IntegrityError:
        raise _held(stored.user, stored.group, role, place_of(stored)) from None
    membership.role = role
    _note(actor, "membership.changed", membership, before=before, after=described(membership))


@transaction.atomic
def withdraw(actor: Actor, giver: User, membership: Membership) -> None:
    """Takes the role away. Raises Refused where `giver` may not."""
    refuse_giving(giver, place_of(membership))
    before = described(membership)
    if not Membership.objects.filter(pk=membership.pk).delete()[0]:
        return
    _note(actor, "membership.withdrawn", membership, before=before)


def place_of(membership: Membership) -> Place:
    """Where the role counts."""
    return Place(membership.workspace, membership.project)


def described(membership: Membership) -> dict[str, str]:
    """What an event says of it."""
    holder = {"group": membership.group.name} if membership.group else {"person": _name(membership.user)}
    return {**holder, "role": membership.role, "where": str(place_of(membership))}


def roles_in_words(memberships: models.QuerySet[Membership]) -> list[str]:
    """What the event says of roles that go with the person, group or place that they hang on."""
    rows = memberships.select_related("user", "group", "workspace", "project").order_by("pk")
    return [f"{_holder(row)}: {row.role} of {place_of(row)}" for row in rows]


def _holder(row: Membership) -> str:
    return f"group {row.group.name}" if row.group else _name(row.user)


def _name(user: User | None) -> str:
    return user.get_username() if user is not None else ""


def _same(user: User | None, group: Group | None, place: Place) -> models.QuerySet[Membership]:
    return Membership.objects.filter(user=user, group=group, workspace=place.workspace, project=place.project)


def _held(user: User | None, group: Group | None, role: str, place: Place) -> Refused:
    holder = f"The group {group.name}" if group is not None else _name(user)
    return Refused(f"{holder} has the role {RoleChoices(role).label} for {place} already.")


def _note(
    actor: Actor,
    verb: str,
    row: Membership,
    *,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    """On record with the place where it counts; a role for the whole portal with whoever has it."""
    holder: models.Model | None = row.group or row.user
    target = row.project or row.workspace or holder
    if target is not None:
        record_event(actor, verb, target, before=before, after=after)
    if row.user is not None:
        forget_grants(row.user)

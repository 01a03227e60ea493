"""Who can do what, where and why, in words: what one person can, and who can something at one place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.db.models import Q

from connectors.core.role_words import Ability, Level, abilities_of
from connectors.core.roles import PERMISSIONS, Role
from connectors.models import Membership, Project, Workspace
from connectors.models.grants import grants_of
from connectors.models.membership import MembershipQuerySet, RoleChoices
from connectors.models.visibility import Person

EVERYWHERE = "Everywhere"
IN_PERSON = "In person"
SUPERUSER = "Superuser"
OWN_PERMISSIONS = "Single permissions"
SEES_PEOPLE = "view_membership"
APP = "connectors"
MFA = "allauth.mfa"
SECOND_FACTORS = ("totp", "webauthn")
"""allauth's names of what counts as a second factor; recovery codes alone are none."""


@dataclass(frozen=True, slots=True)
class Held:
    """One reason why a person may do something: a role at a place, being a superuser, or permissions from Django.

    `through` says by whom they have it; `row` is the membership, None where there is none.
    """

    role: str
    place: str
    kind: str
    through: str
    codenames: frozenset[str] | None
    row: Membership | None = None

    @property
    def is_everything(self) -> bool:
        """Whether there is nothing that it does not allow."""
        return self.codenames is None

    @property
    def level(self) -> Level:
        """How wide the place is."""
        if self.row is None:
            return Level.EVERYWHERE
        if self.row.project_id is not None:
            return Level.PROJECT
        return Level.WORKSPACE if self.row.workspace_id is not None else Level.EVERYWHERE

    @property
    def abilities(self) -> list[Ability]:
        """What it allows, in words; of a superuser, for whom there is no end, nothing."""
        return [] if self.codenames is None else abilities_of(self.codenames, self.level)

    def allows(self, ability: Ability) -> bool:
        """Whether this alone lets them do it."""
        return self.codenames is None or ability in self.abilities


@dataclass(frozen=True, slots=True)
class PersonHere:
    """Somebody who can do something at a place, with every reason why."""

    user: User
    held: list[Held] = field(default_factory=list)
    has_second_factor: bool = False


def what_they_can(user: User, viewer: User) -> list[Held]:
    """Each role and permission of `user` that `viewer` may know of, with its reason. Nobody else's places are named.

    Superusers see all, everybody all of their own; others what counts where they may see people.
    """
    if not (user.is_active and user.is_staff):
        return []
    reach = grants_of(viewer).reach(SEES_PEOPLE)
    if not reach and viewer.pk != user.pk:
        return []
    if user.is_superuser:
        return [_superuser()]
    rows = _rows(Membership.objects.filter(Q(user=user) | Q(group__in=user.groups.all())))
    if viewer.pk != user.pk and not reach.everywhere:
        theirs = rows.visible_to(viewer).values("pk")
        rows = rows.filter(Q(pk__in=theirs) | Q(workspace=None, project=None))
    found = [_held(row) for row in rows]
    return found + [
        _permissions(codenames, through) for codenames, through in _django_permissions([user]).get(user.pk, [])
    ]


def who_can(place: Project | Workspace, ability: Ability | None = None) -> list[PersonHere]:
    """Everybody whose word counts at this place, with all reasons; with `ability` those who can do that there.

    Of a workspace also those who have a role at one of its projects only.
    """
    people: dict[int, PersonHere] = {}
    for user in User.objects.filter(is_active=True, is_staff=True, is_superuser=True):
        _at(people, user).held.append(_superuser())
    for row, user in _holders(place):
        _at(people, user).held.append(_held(row))
    _add_permissions(people)
    found = [_cut(person, ability) for person in people.values()]
    keyed = _with_second_factor(people)
    return sorted(
        (PersonHere(one.user, one.held, one.user.pk in keyed) for one in found if one.held),
        key=lambda one: one.user.get_username(),
    )


def may_see_people(viewer: Person, place: Project | Workspace) -> bool:
    """Whether the viewer may know who has roles at this place.

    Not asked with the row: whoever sees a project sees its workspace's name, and not for that its people.
    """
    reach = grants_of(viewer).reach(SEES_PEOPLE)
    if isinstance(place, Project):
        return reach.covers(place.workspace_id, place.pk)
    return reach.covers(place.pk)


def _at(people: dict[int, PersonHere], user: User) -> PersonHere:
    return people.setdefault(user.pk, PersonHere(user))


def _cut(person: PersonHere, ability: Ability | None) -> PersonHere:
    """The person with the reasons that let them do it; permissions that only together suffice count together."""
    if ability is None:
        return person
    held = [one for one in person.held if one.allows(ability)]
    wide = [one for one in person.held if one.level >= ability.level]
    together: set[str] = set().union(*(one.codenames or () for one in wide))
    if not held and ability.codenames <= together:
        held = wide
    return PersonHere(person.user, held)


def _rows(rows: MembershipQuerySet) -> MembershipQuerySet:
    return rows.select_related("user", "group", "workspace", "project__workspace").defer("project__notes")


def _holders(place: Project | Workspace) -> Iterable[tuple[Membership, User]]:
    """Each membership that counts at the place, with each person who has it, in person or by their group."""
    if isinstance(place, Project):
        rows = Membership.objects.at(place)
    else:
        everywhere = Q(workspace=None, project=None)
        rows = Membership.objects.filter(Q(workspace=place) | Q(project__workspace=place) | everywhere)
    found = list(_rows(rows))
    members = _members({row.group_id for row in found if row.group_id is not None})
    for row in found:
        yield from (
            (row, user) for user in ([row.user] if row.user else members.get(row.group_id or 0, [])) if _counts(user)
        )


def _counts(user: User) -> bool:
    """Superusers need no role: naming theirs would say that taking it away changes something."""
    return user.is_active and user.is_staff and not user.is_superuser


def _members(groups: Collection[int]) -> Mapping[int, list[User]]:
    found: dict[int, list[User]] = {}
    through = User.groups.through._default_manager.filter(group__in=groups).select_related("user")
    for link in through:
        found.setdefault(link.group_id, []).append(link.user)
    return found


def _add_permissions(people: dict[int, PersonHere]) -> None:
    staff = User.objects.filter(is_active=True, is_staff=True, is_superuser=False)
    with_any = Permission.objects.filter(content_type__app_label=APP)
    holders = staff.filter(Q(user_permissions__in=with_any) | Q(groups__permissions__in=with_any)).distinct()
    users = {user.pk: user for user in holders}
    for pk, found in _django_permissions(list(users.values())).items():
        for codenames, through in found:
            _at(people, users[pk]).held.append(_permissions(codenames, through))


def _django_permissions(users: list[User]) -> dict[int, list[tuple[frozenset[str], str]]]:
    """By person: the permissions that Django itself gives them, in person and by each group."""
    keys, found = [user.pk for user in users], dict[tuple[int, str], set[str]]()
    own, theirs = User.user_permissions.through, User.groups.through
    direct = own._default_manager.filter(user__in=keys, permission__content_type__app_label=APP)
    for user, codename in direct.values_list("user_id", "permission__codename"):
        found.setdefault((user, IN_PERSON), set()).add(codename)
    by_group = theirs._default_manager.filter(user__in=keys, group__permissions__content_type__app_label=APP)
    for user, group, codename in by_group.values_list("user_id", "group__name", "group__permissions__codename"):
        found.setdefault((user, f"Group {group}"), set()).add(codename)
    by_user: dict[int, list[tuple[frozenset[str], str]]] = {}
    for (user, through), codenames in found.items():
        by_user.setdefault(user, []).append((frozenset(codenames), through))
    return by_user


def _with_second_factor(people: Collection[int]) -> set[int]:
    """Those who have set up a second factor."""
    if not apps.is_installed(MFA):
        return set()
    authenticators = apps.get_model("mfa", "Authenticator")._default_manager
    return set(authenticators.filter(user__in=people, type__in=SECOND_FACTORS).values_list("user", flat=True))


def _held(row: Membership) -> Held:
    through = f"Group {row.group.name}" if row.group else IN_PERSON
    place, kind = EVERYWHERE, ""
    if row.project is not None:
        place, kind = row.project.name, f"Project in {row.project.workspace.name}"
    elif row.workspace is not None:
        place, kind = row.workspace.name, "Workspace with all its projects"
    return Held(str(RoleChoices(row.role).label), place, kind, through, PERMISSIONS[Role(row.role)], row)


def _superuser() -> Held:
    return Held(SUPERUSER, EVERYWHERE, "", IN_PERSON, None)


def _permissions(codenames: frozenset[str], through: str) -> Held:
    return Held(OWN_PERMISSIONS, EVERYWHERE, "", through, codenames)

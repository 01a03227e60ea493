"""Roles are given and taken by those who own the place, each on record."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User

from connectors.core.actor import Actor, Door
from connectors.core.errors import Refused
from connectors.flows.memberships import change_role, grant, withdraw
from connectors.models import Event, Membership, Project, Workspace
from tests.factories import make_membership, make_project, make_user, make_workspace

pytestmark = pytest.mark.django_db


def actor(user: User) -> Actor:
    return Actor(user.get_username(), Door.ADMIN, user.pk)


def fresh(user: User) -> User:
    """As the next request sees them."""
    return User.objects.get(pk=user.pk)


@pytest.fixture
def ann() -> User:
    """Somebody with nothing yet."""
    return make_user("ann", staff=True)


@pytest.fixture
def owner(project: Project) -> User:
    """Owner of `project` alone."""
    user = make_user("olga", staff=True)
    make_membership(user, "owner", project=project)
    return user


def test_an_owner_gives_any_role_at_their_project(owner: User, ann: User, project: Project) -> None:
    assert not ann.has_perm("connectors.change_project", project)
    made = grant(actor(owner), owner, user=ann, role="owner", project=project)
    assert made.added_by_label == "olga"
    assert ann.has_perm("connectors.change_project", project)


def test_giving_is_on_record_at_its_place(owner: User, ann: User, project: Project) -> None:
    grant(actor(owner), owner, user=ann, role="editor", project=project)
    event = Event.objects.get(verb="membership.given")
    assert (event.project_id, event.actor_label, event.before) == (project.pk, "olga", {})
    assert event.after == {"person": "ann", "role": "editor", "where": f"the project {project}"}


def test_a_role_for_everything_is_on_record_with_the_person(operator: User, ann: User) -> None:
    grant(actor(operator), operator, user=ann, role="auditor")
    event = Event.objects.get(verb="membership.given")
    assert (event.target_type, event.target_id, event.after["where"]) == ("user", str(ann.pk), "the whole portal")


def test_an_owner_of_a_workspace_gives_roles_at_its_projects(ann: User, project: Project) -> None:
    owner = make_user("walt", staff=True)
    make_membership(owner, "owner", workspace=project.workspace)
    assert grant(actor(owner), owner, user=ann, role="approver", project=project).pk
    assert grant(actor(owner), owner, user=ann, role="viewer", workspace=project.workspace).pk


@pytest.mark.parametrize("where", ["workspace", "other project", "other workspace", "everywhere"])
def test_an_owner_of_a_project_gives_nothing_elsewhere(where: str, owner: User, ann: User, project: Project) -> None:
    places: dict[str, dict[str, object]] = {
        "workspace": {"workspace": project.workspace},
        "other project": {"project": make_project("other", workspace=project.workspace)},
        "other workspace": {"workspace": make_workspace("Other")},
        "everywhere": {},
    }
    with pytest.raises(Refused, match="Only an owner"):
        grant(actor(owner), owner, user=ann, role="viewer", **places[where])  # type: ignore[arg-type]
    assert not Membership.objects.filter(user=ann).exists()


@pytest.mark.parametrize("role", ["viewer", "auditor", "editor", "approver"])
def test_nobody_but_an_owner_gives_roles(role: str, ann: User, project: Project) -> None:
    giver = make_user("greg", staff=True)
    make_membership(giver, role, workspace=project.workspace)
    with pytest.raises(Refused):
        grant(actor(giver), giver, user=ann, role="viewer", project=project)


def test_a_single_permission_of_djangos_makes_nobody_a_giver(ann: User, project: Project) -> None:
    giver = make_user("greg", staff=True)
    giver.user_permissions.add(Permission.objects.get(codename="add_membership"))
    with pytest.raises(Refused):
        grant(actor(giver), fresh(giver), user=giver, role="owner")


def test_whoever_is_switched_off_gives_nothing(owner: User, ann: User, project: Project) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    with pytest.raises(Refused):
        grant(actor(owner), fresh(owner), user=ann, role="viewer", project=project)


def test_a_role_needs_a_person_who_can_use_the_portal(owner: User, stranger: User, project: Project) -> None:
    with pytest.raises(Refused, match="not staff"):
        grant(actor(owner), owner, user=stranger, role="viewer", project=project)


def test_a_role_is_for_a_person_or_a_group(operator: User, ann: User, workspace: Workspace) -> None:
    group = Group.objects.create(name="Team")
    for holders in ({}, {"user": ann, "group": group}):
        with pytest.raises(Refused, match="person or a group"):
            grant(actor(operator), operator, role="viewer", workspace=workspace, **holders)  # type: ignore[arg-type]


def test_a_role_is_for_one_place(operator: User, ann: User, project: Project) -> None:
    with pytest.raises(Refused, match="one place"):
        grant(actor(operator), operator, user=ann, role="viewer", workspace=project.workspace, project=project)


def test_the_same_role_is_not_given_twice(owner: User, ann: User, project: Project) -> None:
    grant(actor(owner), owner, user=ann, role="viewer", project=project)
    with pytest.raises(Refused, match=r"ann has the role Viewer for the project .* already"):
        grant(actor(owner), owner, user=ann, role="viewer", project=project)


def test_a_group_gets_a_role_for_all_in_it(owner: User, ann: User, project: Project) -> None:
    group = Group.objects.create(name="Team")
    ann.groups.add(group)
    grant(actor(owner), owner, group=group, role="editor", project=project)
    assert fresh(ann).has_perm("connectors.change_connector", project)
    assert Event.objects.get(verb="membership.given").after["group"] == "Team"


def test_taking_a_role_away_is_on_record(owner: User, ann: User, project: Project) -> None:
    made = grant(actor(owner), owner, user=ann, role="editor", project=project)
    withdraw(actor(owner), owner, made)
    assert not ann.has_perm("connectors.change_project", project)
    event = Event.objects.get(verb="membership.withdrawn")
    assert (event.before["role"], event.after) == ("editor", {})


def test_only_an_owner_of_the_place_takes_a_role_away(owner: User, ann: User, project: Project) -> None:
    made = make_membership(ann, "viewer", workspace=project.workspace)
    with pytest.raises(Refused):
        withdraw(actor(owner), owner, made)
    assert Membership.objects.filter(pk=made.pk).exists()


def test_changing_a_role_says_before_and_after(owner: User, ann: User, project: Project) -> None:
    made = make_membership(ann, "viewer", project=project)
    change_role(actor(owner), owner, made, "approver")
    event = Event.objects.get(verb="membership.changed")
    assert (event.before["role"], event.after["role"]) == ("viewer", "approver")
    assert Membership.objects.get(pk=made.pk).role == "approver"


def test_a_role_that_is_held_already_is_not_taken_by_a_change(owner: User, ann: User, project: Project) -> None:
    made = make_membership(ann, "viewer", project=project)
    make_membership(ann, "editor", project=project)
    with pytest.raises(Refused, match="already"):
        change_role(actor(owner), owner, made, "editor")
    assert Membership.objects.get(pk=made.pk).role == "viewer"
    assert not Event.objects.filter(verb="membership.changed").exists()

"""Who can do what where, and why: said of a person and of a place."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User

from connectors.core.role_words import Ability, ability_called
from connectors.flows.access_words import Held, what_they_can, who_can
from connectors.models import Project, Workspace
from tests.factories import make_membership, make_project, make_user, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return make_user("ann", staff=True)


@pytest.fixture
def elsewhere() -> Project:
    """A project of another team."""
    return make_project("secret", workspace=make_workspace("Elsewhere"), name="Zebra")


def ability(key: str) -> Ability:
    found = ability_called(key)
    assert found is not None
    return found


def lines(held: list[Held]) -> list[tuple[str, str, str]]:
    return [(one.role, one.place, one.through) for one in held]


def people(place: Project | Workspace, key: str = "") -> dict[str, list[tuple[str, str, str]]]:
    found = who_can(place, ability(key) if key else None)
    return {one.user.username: lines(one.held) for one in found}


def test_a_persons_roles_are_listed_with_place_and_reason(ann: User, operator: User, project: Project) -> None:
    group = Group.objects.create(name="Team")
    ann.groups.add(group)
    make_membership(ann, "editor", project=project)
    make_membership(group=group, role="auditor", workspace=project.workspace)
    assert lines(what_they_can(ann, operator)) == [
        ("Editor", project.name, "In person"),
        ("Auditor", project.workspace.name, "Group Team"),
    ]


def test_permissions_of_djangos_are_a_reason_of_their_own(ann: User, operator: User) -> None:
    group = Group.objects.create(name="Team")
    group.permissions.set(Permission.objects.filter(codename__in=["change_token", "change_user"]))
    ann.groups.add(group)
    ann.user_permissions.set(Permission.objects.filter(codename__endswith="_connector"))
    held = what_they_can(ann, operator)
    assert sorted(lines(held)) == [
        ("Single permissions", "Everywhere", "Group Team"),
        ("Single permissions", "Everywhere", "In person"),
    ]
    assert {one.through: [it.key for it in one.abilities] for one in held} == {
        "Group Team": ["tokens"],
        "In person": ["declare"],
    }


def test_a_superuser_can_everything(operator: User) -> None:
    (held,) = what_they_can(operator, operator)
    assert held.is_everything
    assert held.allows(ability("rules"))


def test_whoever_is_switched_off_can_nothing(ann: User, operator: User, project: Project) -> None:
    make_membership(ann, "owner", project=project)
    ann.is_active = False
    assert what_they_can(ann, operator) == []


def test_everybody_sees_all_of_their_own(ann: User, project: Project, elsewhere: Project) -> None:
    make_membership(ann, "viewer", project=project)
    make_membership(ann, "viewer", project=elsewhere)
    assert [one.place for one in what_they_can(ann, ann)] == [project.name, "Zebra"]


def test_an_owner_sees_of_others_only_what_counts_at_their_places(
    ann: User, project: Project, elsewhere: Project
) -> None:
    owner = make_user("olga", staff=True)
    make_membership(owner, "owner", workspace=project.workspace)
    make_membership(ann, "editor", project=project)
    make_membership(ann, "owner", project=elsewhere)
    assert [one.place for one in what_they_can(ann, owner)] == [project.name]


def test_a_viewer_sees_nothing_of_others(ann: User, project: Project) -> None:
    viewer = make_user("vera", staff=True)
    make_membership(viewer, "viewer", project=project)
    make_membership(ann, "editor", project=project)
    assert what_they_can(ann, viewer) == []


def test_who_can_lists_everybody_who_counts_at_a_project(ann: User, operator: User, project: Project) -> None:
    group = Group.objects.create(name="Team")
    bob, cleo = make_user("bob", staff=True), make_user("cleo", staff=True)
    bob.groups.add(group)
    cleo.user_permissions.add(Permission.objects.get(codename="change_token"))
    make_membership(ann, "editor", project=project)
    make_membership(ann, "auditor")
    make_membership(group=group, role="owner", workspace=project.workspace)
    assert people(project) == {
        "ann": [("Editor", project.name, "In person"), ("Auditor", "Everywhere", "In person")],
        "bob": [("Owner", project.workspace.name, "Group Team")],
        "cleo": [("Single permissions", "Everywhere", "In person")],
        "operator": [("Superuser", "Everywhere", "In person")],
    }


def test_who_can_leaves_out_other_teams_and_who_cannot_log_in(
    ann: User, stranger: User, project: Project, elsewhere: Project
) -> None:
    gone = make_user("gone", staff=True)
    make_membership(ann, "owner", project=elsewhere)
    make_membership(gone, "owner", project=project)
    make_membership(stranger, "owner", project=project)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert people(project) == {}


def test_of_a_workspace_the_people_of_its_projects_are_listed_too(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    assert people(project.workspace) == {"ann": [("Editor", project.name, "In person")]}


def test_who_can_do_one_thing_leaves_out_who_cannot(ann: User, project: Project) -> None:
    bob = make_user("bob", staff=True)
    make_membership(ann, "editor", project=project)
    make_membership(ann, "viewer", workspace=project.workspace)
    make_membership(bob, "approver", project=project)
    assert people(project, "apply") == {"ann": [("Editor", project.name, "In person")]}
    assert list(people(project, "approve")) == ["bob"]


def test_permissions_that_suffice_only_together_count(ann: User, project: Project) -> None:
    group = Group.objects.create(name="Team")
    group.permissions.set(Permission.objects.filter(codename="add_connector"))
    ann.groups.add(group)
    ann.user_permissions.set(Permission.objects.filter(codename__in=["change_connector", "delete_connector"]))
    assert list(people(project, "declare")) == ["ann"]


def test_an_owner_of_a_project_is_not_listed_for_what_takes_its_workspace(ann: User, project: Project) -> None:
    make_membership(ann, "owner", project=project)
    make_membership(make_user("walt", staff=True), "owner", workspace=project.workspace)
    assert list(people(project, "workspace")) == ["walt"]


def test_who_can_costs_the_same_for_one_and_for_many(
    project: Project, operator: User, django_assert_max_num_queries: object
) -> None:
    group = Group.objects.create(name="Team")
    for number in range(10):
        user = make_user(f"user{number}", staff=True)
        user.groups.add(group)
        make_membership(user, "editor", project=project)
    make_membership(group=group, role="viewer", project=project)
    with django_assert_max_num_queries(7):  # type: ignore[operator]
        assert len(who_can(project)) == 11

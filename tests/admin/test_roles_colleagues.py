"""Whom forms offer as owners and the like: people who have to do with the same projects."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from connectors.models import Workspace
from connectors.models.membership import colleagues_of
from tests.factories import make_membership, make_project, make_user, make_workspace


@pytest.fixture
def owner(workspace: Workspace) -> User:
    made = make_user("owner", staff=True)
    make_membership(made, "owner", workspace=workspace)
    return made


def names(user: User) -> set[str]:
    return set(colleagues_of(user).values_list("username", flat=True))


def test_people_with_a_role_at_the_same_workspace_or_one_of_its_projects_are_known(
    owner: User, workspace: Workspace
) -> None:
    make_membership(make_user("neighbour", staff=True), "viewer", workspace=workspace)
    make_membership(make_user("guest", staff=True), "viewer", project=make_project(workspace=workspace))
    assert names(owner) == {"owner", "neighbour", "guest"}


def test_people_in_a_group_with_a_role_there_are_known(owner: User, workspace: Workspace) -> None:
    group = Group.objects.create(name="Sales")
    make_user("seller", staff=True).groups.add(group)
    make_membership(None, "viewer", group=group, workspace=workspace)
    assert names(owner) == {"owner", "seller"}


def test_people_who_run_everything_and_owners_of_projects_are_known(owner: User, workspace: Workspace) -> None:
    make_user("boss", staff=True, superuser=True)
    make_membership(make_user("auditor", staff=True), "auditor")
    make_project(workspace=workspace, owner=make_user("keeper", staff=True))
    assert names(owner) == {"owner", "boss", "auditor", "keeper"}


def test_people_of_other_teams_and_those_who_have_left_are_not(owner: User, workspace: Workspace) -> None:
    make_membership(make_user("stranger", staff=True), "owner", workspace=make_workspace())
    gone = make_user("gone", staff=True)
    make_membership(gone, "viewer", workspace=workspace)
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert names(owner) == {"owner"}


def test_whoever_sees_everything_sees_everybody(operator: User) -> None:
    make_user("anybody", staff=True)
    assert names(operator) == {"operator", "anybody"}


def test_a_form_keeps_an_owner_of_another_team_who_stands_there_already(owner: User, workspace: Workspace) -> None:
    there, elsewhere = make_user("there", staff=True), make_user("elsewhere", staff=True)
    project = make_project(workspace=workspace, owner=there)
    browser = Client()
    browser.force_login(owner)
    page = browser.get(reverse("admin:connectors_project_change", args=[project.pk])).content.decode()
    assert "there@" not in page  # names and no addresses
    assert f'value="{there.pk}" selected' in page
    assert f'value="{elsewhere.pk}"' not in page

"""What administrators do to accounts and groups is on record, and whoever is switched off is out."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from connectors.core.actor import Actor, Door
from connectors.flows.users import (
    delete_group,
    delete_user,
    note_group_saved,
    note_user_added,
    note_user_changed,
    state_of,
    state_of_group,
)
from connectors.models import Event, Project
from tests.factories import make_membership, make_user

pytestmark = pytest.mark.django_db

BOSS = Actor("boss", Door.ADMIN)


@pytest.fixture
def ann() -> User:
    return make_user("ann", staff=True)


def is_logged_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_new_account_is_on_record_without_its_password(ann: User) -> None:
    note_user_added(BOSS, ann)
    event = Event.objects.get(verb="user.added")
    assert event.after == {"username": "ann", "email": "ann@example.com", "is_active": True, "is_staff": True}


def test_powers_and_groups_are_on_record_with_before_and_after(ann: User) -> None:
    before = state_of(ann)
    ann.is_superuser = True
    ann.save()
    ann.groups.add(Group.objects.create(name="Team"))
    ann.user_permissions.add(Permission.objects.get(codename="delete_workspace"))
    note_user_changed(BOSS, ann, before)
    event = Event.objects.get(verb="user.changed")
    assert event.before == {"is_superuser": False, "groups": [], "permissions": []}
    assert event.after == {"is_superuser": True, "groups": ["Team"], "permissions": ["connectors.delete_workspace"]}


def test_saving_without_a_change_leaves_no_trace(ann: User) -> None:
    note_user_changed(BOSS, ann, state_of(ann))
    assert not Event.objects.exists()


def test_switching_an_account_off_ends_its_sessions_and_no_others(ann: User, operator: User) -> None:
    anns, boss = Client(), Client()
    for browser, user in ((anns, ann), (boss, operator)):
        browser.post(reverse("account_login"), {"login": user.username, "password": "password"})
    assert (is_logged_in(anns), is_logged_in(boss)) == (True, True)
    before = state_of(ann)
    ann.is_active = False
    ann.save()
    note_user_changed(BOSS, ann, before)
    assert Event.objects.get(verb="user.deactivated").before == {"is_active": True}
    assert (is_logged_in(anns), is_logged_in(boss)) == (False, True)


def test_a_deleted_account_leaves_its_roles_on_record(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    delete_user(BOSS, ann)
    assert not User.objects.filter(username="ann").exists()
    assert Event.objects.get(verb="user.deleted").before["roles"] == [f"ann: editor of the project {project}"]


def test_a_group_is_on_record_when_it_comes_changes_and_goes(ann: User, project: Project) -> None:
    group = Group.objects.create(name="Team")
    note_group_saved(BOSS, group, None)
    before = state_of_group(group)
    group.permissions.add(Permission.objects.get(codename="view_project"))
    note_group_saved(BOSS, group, before)
    ann.groups.add(group)
    make_membership(group=group, role="owner", project=project)
    delete_group(BOSS, group)
    assert Event.objects.get(verb="group.added").after == {"name": "Team", "permissions": []}
    assert Event.objects.get(verb="group.changed").after == {"permissions": ["connectors.view_project"]}
    gone = Event.objects.get(verb="group.deleted").before
    assert (gone["members"], gone["roles"]) == (["ann"], [f"group {group}: owner of the project {project}"])

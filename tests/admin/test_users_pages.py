"""Accounts and groups in the admin: each change is on record."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from connectors.models import Event, Project
from tests.factories import make_membership, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return make_user("ann", staff=True)


def change(browser: Client, user: User, **values: Any) -> None:
    """Saves the account with these values; the boxes that are not named stay as they are."""
    boxes = {name: "on" for name in ("is_active", "is_staff", "is_superuser") if getattr(user, name)}
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "12:00:00"}
    data = {"username": user.username, "email": user.email, **joined, **boxes, **values}
    data = {name: value for name, value in data.items() if value is not None}
    answer = browser.post(reverse("admin:auth_user_change", args=[user.pk]), data)
    assert answer.status_code == 302


def verbs() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("verb", flat=True))


def test_a_new_account_is_on_record(browser: Client) -> None:
    typed = {"usable_password": "true", "password1": "long and unusual", "password2": "long and unusual"}
    browser.post(reverse("admin:auth_user_add"), {"username": "ann", **typed})
    event = Event.objects.get(verb="user.added")
    assert (event.target_label, event.actor_label) == ("ann", "operator")
    assert "long and unusual" not in str(event.after)


def test_powers_and_groups_are_on_record(browser: Client, ann: User) -> None:
    group = Group.objects.create(name="Team")
    change(browser, ann, is_superuser="on", groups=[group.pk])
    event = Event.objects.get(verb="user.changed")
    assert event.before == {"is_superuser": False, "groups": []}
    assert event.after == {"is_superuser": True, "groups": ["Team"]}


def test_whoever_is_switched_off_is_logged_out(browser: Client, ann: User) -> None:
    anns = Client()
    anns.post(reverse("account_login"), {"login": "ann", "password": "password"})
    assert anns.get("/admin/").status_code == 200
    change(browser, ann, is_active=None)
    assert anns.get("/admin/").status_code == 302
    assert "_auth_user_id" not in anns.session
    assert "user.deactivated" in verbs()


def test_a_superuser_logs_somebody_out_everywhere(browser: Client, clerk: Client, ann: User) -> None:
    anns = Client()
    anns.post(reverse("account_login"), {"login": "ann", "password": "password"})
    path = reverse("admin:auth_user_end_sessions", args=[ann.pk])
    assert path in browser.get(reverse("admin:auth_user_change", args=[ann.pk])).content.decode()
    assert clerk.post(path).status_code == 403
    assert browser.get(path).status_code == 405
    assert anns.get("/admin/").status_code == 200
    browser.post(path)
    assert anns.get("/admin/").status_code == 302
    event = Event.objects.get(verb="login.sessions_ended")
    assert (event.actor_label, event.target_label) == ("operator", "ann")


def test_a_deleted_account_is_on_record(browser: Client, ann: User, project: Project) -> None:
    make_membership(ann, "owner", project=project)
    browser.post(reverse("admin:auth_user_delete", args=[ann.pk]), {"post": "yes"})
    assert not User.objects.filter(username="ann").exists()
    assert Event.objects.get(verb="user.deleted").before["username"] == "ann"


def test_a_password_that_somebody_else_set_is_on_record_and_ends_sessions(browser: Client, ann: User) -> None:
    anns = Client()
    anns.post(reverse("account_login"), {"login": "ann", "password": "password"})
    typed = {"usable_password": "true", "password1": "long and unusual", "password2": "long and unusual"}
    browser.post(reverse("admin:auth_user_password_change", args=[ann.pk]), {**typed, "set-password": "1"})
    ann.refresh_from_db()
    assert ann.check_password("long and unusual")
    assert Event.objects.get(verb="login.password_changed").actor_label == "operator"
    assert anns.get("/admin/").status_code == 302


def test_ones_own_password_is_changed_where_the_old_one_is_asked_for(browser: Client, operator: User) -> None:
    path = reverse("admin:auth_user_password_change", args=[operator.pk])
    answer = browser.post(path, {**NEW_PASSWORD, "set-password": "1"})
    assert (answer.status_code, answer["Location"]) == (302, reverse("account_change_password"))
    operator.refresh_from_db()
    assert operator.check_password("password")


def test_groups_are_on_record(browser: Client) -> None:
    browser.post(reverse("admin:auth_group_add"), {"name": "Team"})
    group = Group.objects.get()
    browser.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "Crew"})
    browser.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})
    assert verbs() == ["group.added", "group.changed", "group.deleted"]
    assert Event.objects.get(verb="group.changed").after == {"name": "Crew"}


@pytest.mark.parametrize("model", ["user", "group"])
def test_nothing_is_deleted_in_bulk(model: str, browser: Client, ann: User) -> None:
    group = Group.objects.create(name="Team")
    key = ann.pk if model == "user" else group.pk
    data = {"action": "delete_selected", "_selected_action": str(key), "post": "yes"}
    browser.post(reverse(f"admin:auth_{model}_changelist"), data)
    assert User.objects.filter(pk=ann.pk).exists()
    assert Group.objects.exists()


def test_the_list_counts_roles_in_person_and_by_groups(browser: Client, ann: User, project: Project) -> None:
    group = Group.objects.create(name="Team")
    ann.groups.add(group)
    make_membership(ann, "viewer", project=project)
    make_membership(ann, "editor", project=project)
    make_membership(group=group, role="auditor", workspace=project.workspace)
    rows = browser.get(reverse("admin:auth_user_changelist")).context["cl"].result_list
    assert {row.username: row.role_count for row in rows} == {"ann": 3, "operator": 0}


@pytest.fixture
def clerk(db: None) -> Client:
    """The browser of somebody who may edit logins, and is no superuser."""
    user = make_user("clerk", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_user", "change_user"]))
    client = Client()
    client.force_login(user)
    return client


NEW_PASSWORD = {"usable_password": "true", "password1": "long and unusual", "password2": "long and unusual"}


def test_whoever_edits_logins_cannot_take_over_somebody_with_a_role(clerk: Client, ann: User, project: Project) -> None:
    make_membership(ann, "viewer", project=project)
    path = reverse("admin:auth_user_password_change", args=[ann.pk])
    assert clerk.post(path, {**NEW_PASSWORD, "set-password": "1"}).status_code == 403
    change(clerk, ann, email="clerk@example.com", username="mine")
    ann.refresh_from_db()
    assert (ann.username, ann.email, ann.check_password("password")) == ("ann", "ann@example.com", True)


@pytest.mark.parametrize("written", ["%20{}", "%2B{}", "0_{}", "_2B{}"])
def test_no_way_to_write_a_key_leads_round_that(written: str, clerk: Client, ann: User, project: Project) -> None:
    User.objects.filter(pk=ann.pk).update(id=7)  # one digit, as one way to write it needs
    ann = User.objects.get(username="ann")
    make_membership(ann, "owner", project=project)
    answer = clerk.post(f"/admin/auth/user/{written.format(ann.pk)}/password/", {**NEW_PASSWORD, "set-password": "1"})
    ann.refresh_from_db()
    assert (answer.status_code, ann.check_password("password")) == (403, True)


def test_whoever_edits_logins_helps_somebody_without_any_role(clerk: Client, ann: User) -> None:
    path = reverse("admin:auth_user_password_change", args=[ann.pk])
    clerk.post(path, {**NEW_PASSWORD, "set-password": "1"})
    ann.refresh_from_db()
    assert ann.check_password("long and unusual")

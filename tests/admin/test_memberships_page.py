"""Giving roles in the admin: whose memberships one sees, what the form offers, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from connectors.models import Event, Membership, Project
from tests.admin.form_data import address, errors, last_event, save, shown, told
from tests.factories import make_membership, make_project, make_user, make_workspace

pytestmark = pytest.mark.django_db

QUERIES = 5
"""Of the list: session, person, filter of people, count, and the page."""


@pytest.fixture
def owner(project: Project) -> User:
    """Owner of `project` alone, called Olga."""
    user = make_user("olga", staff=True)
    make_membership(user, "owner", project=project)
    return user


@pytest.fixture
def owners(owner: User) -> Client:
    """The owner's browser."""
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def ann() -> User:
    return make_user("ann", staff=True)


@pytest.fixture
def elsewhere() -> Project:
    """A project of another team."""
    return make_project("secret", workspace=make_workspace("Zebra workspace"), name="Zebra")


def offered(client: Client, field: str, term: str = "", path: str = "") -> Any:
    query = {"app_label": "connectors", "model_name": "membership", "field_name": field, "term": term}
    return client.get(path or address("membership", "people"), query)


def test_an_owner_gives_a_role_in_the_form(owners: Client, ann: User, project: Project) -> None:
    answer = save(owners, "membership", user=ann.pk, role="editor", project=project.pk)
    assert errors(answer) == {}
    row = Membership.objects.get(user=ann)
    assert (row.role, row.project, row.added_by_label) == ("editor", project, "olga")
    assert last_event().verb == "membership.given"


def test_a_forged_place_does_not_exist_for_the_form(owners: Client, ann: User, elsewhere: Project) -> None:
    for place in ({"project": elsewhere.pk}, {"workspace": elsewhere.workspace_id}):
        answer = save(owners, "membership", user=ann.pk, role="viewer", **place)
        assert "Select a valid choice" in str(errors(answer))
    assert not Membership.objects.filter(user=ann).exists()


def test_a_place_that_one_sees_but_does_not_own_is_no_choice(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    other = make_project("mine", workspace=project.workspace)
    make_membership(ann, "owner", project=other)
    client = Client()
    client.force_login(ann)
    answer = save(client, "membership", user=ann.pk, role="owner", project=project.pk)
    assert "project" in errors(answer)


def test_the_form_says_why_a_role_is_refused(owners: Client, ann: User, project: Project) -> None:
    nowhere = save(owners, "membership", user=ann.pk, role="viewer")
    assert "Only an owner of the whole portal" in str(errors(nowhere))
    nobody = save(owners, "membership", role="viewer", project=project.pk)
    assert errors(nobody) == {"__all__": ["Choose a person or a group, one of the two."]}


def test_the_form_refuses_who_is_no_staff(owners: Client, stranger: User, project: Project) -> None:
    answer = save(owners, "membership", user=stranger.pk, role="viewer", project=project.pk)
    assert "user" in errors(answer)


def test_a_role_is_changed_and_its_place_is_not(
    owners: Client, ann: User, project: Project, elsewhere: Project
) -> None:
    row = make_membership(ann, "viewer", project=project)
    answer = save(owners, "membership", row.pk, role="approver", project=elsewhere.pk, user=ann.pk)
    assert errors(answer) == {}
    row.refresh_from_db()
    assert (row.role, row.project) == ("approver", project)
    assert last_event().verb == "membership.changed"


def test_a_role_that_somebody_else_changed_meanwhile_is_not_overwritten(
    owners: Client, ann: User, project: Project
) -> None:
    row = make_membership(ann, "viewer", project=project)
    path = address("membership", "change", row.pk)
    data = {**shown(owners, path), "role": "editor"}
    Membership.objects.filter(pk=row.pk).update(role="auditor")
    assert b"Somebody has changed" in owners.post(path, data).content
    assert Membership.objects.get(pk=row.pk).role == "auditor"


def test_a_role_is_taken_away(owners: Client, ann: User, project: Project) -> None:
    row = make_membership(ann, "viewer", project=project)
    owners.post(address("membership", "delete", row.pk), {"post": "yes"})
    assert not Membership.objects.filter(pk=row.pk).exists()
    assert Event.objects.get(verb="membership.withdrawn").before["person"] == "ann"


def test_roles_of_other_teams_do_not_exist(owners: Client, ann: User, elsewhere: Project) -> None:
    row = make_membership(ann, "viewer", project=elsewhere)
    assert b"Zebra" not in owners.get(address("membership", "changelist")).content
    assert b"Zebra" not in owners.get(address("membership", "changelist") + "?q=ann").content
    for page in ("change", "delete", "history"):
        answer = owners.post(address("membership", page, row.pk), {"post": "yes", "role": "owner"})
        assert answer.status_code == 302 or b"Zebra" not in answer.content
    assert Membership.objects.get(pk=row.pk).role == "viewer"


def test_a_role_above_ones_own_place_can_be_seen_by_nobody_below(owners: Client, ann: User, project: Project) -> None:
    row = make_membership(ann, "viewer", workspace=project.workspace)
    owners.post(address("membership", "delete", row.pk), {"post": "yes"})
    assert Membership.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("role", ["viewer", "auditor", "editor", "approver"])
def test_only_owners_get_the_form(role: str, ann: User, project: Project) -> None:
    make_membership(ann, role, project=project)
    client = Client()
    client.force_login(ann)
    assert client.get(address("membership", "add")).status_code == 403
    assert offered(client, "user").status_code == 403


def test_people_are_offered_by_name_and_address_and_only_staff(owners: Client, ann: User, stranger: User) -> None:
    User.objects.filter(pk=ann.pk).update(first_name="Ann", last_name="Lee")
    found = offered(owners, "user", "lee").json()["results"]
    assert found == [{"id": str(ann.pk), "text": "ann (Ann Lee, ann@example.com)"}]
    assert offered(owners, "user", "stranger").json()["results"] == []


def test_groups_are_offered(owners: Client) -> None:
    group = Group.objects.create(name="Team")
    assert offered(owners, "group", "tea").json()["results"] == [{"id": str(group.pk), "text": "Team"}]


def test_the_lookup_of_people_offers_nothing_else(owners: Client, elsewhere: Project) -> None:
    assert offered(owners, "project", "Zebra").status_code == 403


def test_djangos_own_lookup_offers_owners_no_accounts(owners: Client) -> None:
    assert offered(owners, "user", "", "/admin/autocomplete/").status_code == 403


def test_a_person_to_filter_by_is_one_whose_roles_one_sees(
    owners: Client, ann: User, project: Project, elsewhere: Project
) -> None:
    make_membership(make_user("zebra", staff=True), "viewer", project=elsewhere)
    make_membership(ann, "viewer", project=project)
    page = owners.get(address("membership", "changelist"), {"person": str(ann.pk)})
    assert [row.user for row in page.context["cl"].result_list] == [ann]
    assert b"zebra" not in page.content


def test_the_list_costs_the_same_for_one_and_for_many(
    browser: Client, ann: User, project: Project, django_assert_num_queries: Any
) -> None:
    make_membership(ann, "viewer", project=project)
    browser.get(address("membership", "changelist"))
    with django_assert_num_queries(QUERIES):
        browser.get(address("membership", "changelist"))
    for number in range(10):
        make_membership(make_user(f"user{number}", staff=True), "viewer", project=project)
    with django_assert_num_queries(QUERIES):
        assert b"user9" in browser.get(address("membership", "changelist")).content


def test_a_giver_by_djangos_permission_alone_is_refused_in_words(ann: User, project: Project) -> None:
    ann.user_permissions.set(Permission.objects.filter(codename__endswith="_membership"))
    row = make_membership(make_user("bob", staff=True), "viewer", project=project)
    client = Client()
    client.force_login(ann)
    answer = client.post(address("membership", "delete", row.pk), {"post": "yes"}, follow=True)
    assert "Only an owner" in told(answer)
    assert Membership.objects.filter(pk=row.pk).exists()

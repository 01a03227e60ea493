"""The pages "what can this person do" and "who can do what here": what they say, and to whom."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from connectors.models import Event, Project
from tests.factories import make_membership, make_project, make_user, make_workspace
from tests.teams import browser_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return make_user("ann", staff=True)


@pytest.fixture
def elsewhere() -> Project:
    """A project of another team."""
    return make_project("secret", workspace=make_workspace("Zebra workspace"), name="Zebra")


def of(user: User) -> str:
    return reverse("admin:auth_user_access", args=[user.pk])


def at(place: Project) -> str:
    return reverse("admin:connectors_project_access", args=[place.pk])


def somebody(role: str, project: Project, name: str = "olga") -> Client:
    user = make_user(name, staff=True)
    make_membership(user, role, project=project)
    return browser_of(user)


def test_everybody_finds_their_own_page(ann: User, project: Project) -> None:
    make_membership(ann, "viewer", project=project)
    answer = browser_of(ann).get(reverse("admin:connectors_membership_mine"), follow=True)
    assert answer.redirect_chain == [(of(ann), 302)]
    assert answer.context["title"] == "What you can do"
    assert [one.place for one, _ in answer.context["held"]] == [project.name]


def test_the_way_back_leads_only_where_one_may_go(ann: User, browser: Client) -> None:
    logins = reverse("admin:auth_user_changelist").encode()
    assert logins not in browser_of(ann).get(of(ann)).content
    assert logins in browser.get(of(ann)).content


def test_whoever_has_no_role_is_told_whom_to_ask(ann: User) -> None:
    assert b"You have no role yet" in browser_of(ann).get(of(ann)).content


def test_a_person_of_another_team_does_not_exist(ann: User, project: Project, elsewhere: Project) -> None:
    make_membership(ann, "owner", project=elsewhere)
    assert somebody("owner", project).get(of(ann)).status_code == 404


def test_roles_at_other_teams_places_are_not_told(ann: User, project: Project, elsewhere: Project) -> None:
    make_membership(ann, "owner", project=elsewhere)
    make_membership(ann, "editor", project=project)
    client = somebody("auditor", project)
    for path in (of(ann), of(ann) + "?download=csv"):
        answer = client.get(path)
        assert b"Zebra" not in b"".join(answer)
    assert b"Your part of it" in client.get(of(ann)).content


def test_a_viewer_sees_nobody_elses_access(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    client = somebody("viewer", project)
    assert client.get(of(ann)).status_code == 404
    assert client.get(at(project)).status_code == 403


def test_a_superuser_sees_anybodys_access(browser: Client, stranger: User) -> None:
    assert b"They can do nothing now" in browser.get(of(stranger)).content


def test_people_at_another_teams_project_do_not_exist(project: Project, elsewhere: Project) -> None:
    assert somebody("owner", project).get(at(elsewhere)).status_code == 404
    place = reverse("admin:connectors_workspace_access", args=[elsewhere.workspace_id])
    assert somebody("owner", project, "otto").get(place).status_code == 404


def test_an_owner_of_a_project_does_not_see_all_people_of_its_workspace(project: Project) -> None:
    place = reverse("admin:connectors_workspace_access", args=[project.workspace_id])
    assert somebody("owner", project).get(place).status_code == 403


def test_people_are_listed_with_their_second_factor(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    Authenticator.objects.create(user=ann, type=Authenticator.Type.TOTP, data={})
    make_user("spare", staff=True, superuser=True)
    answer = somebody("auditor", project).get(at(project))
    found = {one.user.username: one.has_second_factor for one in answer.context["people"]}
    assert found == {"ann": True, "olga": False, "spare": False}


def test_recovery_codes_alone_are_no_second_factor(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    Authenticator.objects.create(user=ann, type=Authenticator.Type.RECOVERY_CODES, data={})
    answer = somebody("auditor", project).get(at(project))
    assert not any(one.has_second_factor for one in answer.context["people"])


def test_the_page_answers_who_can_apply_here(ann: User, project: Project) -> None:
    make_membership(ann, "editor", project=project)
    answer = somebody("auditor", project).get(at(project), {"can": "apply"})
    assert [one.user.username for one in answer.context["people"]] == ["ann"]


def test_an_owner_is_offered_to_give_roles_and_others_are_not(project: Project) -> None:
    give = f"{reverse('admin:connectors_membership_add')}?project={project.pk}".encode()
    assert give in somebody("owner", project).get(at(project)).content
    assert give not in somebody("auditor", project, "otto").get(at(project)).content


def test_downloads_are_on_record(ann: User, project: Project, browser: Client) -> None:
    make_membership(ann, "editor", project=project)
    text = b"".join(browser.get(at(project) + "?download=csv")).decode()
    assert "ann@example.com" in text
    b"".join(browser.get(of(ann) + "?download=json"))
    events = list(Event.objects.order_by("pk").values_list("target_type", "after__report"))
    assert events == [("project", "access-to-place"), ("user", "access-of-person")]


def test_project_and_workspace_pages_lead_to_their_people(browser: Client, project: Project) -> None:
    assert at(project).encode() in browser.get(reverse("admin:connectors_project_change", args=[project.pk])).content
    workspace = reverse("admin:connectors_workspace_change", args=[project.workspace_id])
    people = reverse("admin:connectors_workspace_access", args=[project.workspace_id])
    assert people.encode() in browser.get(workspace).content


def test_a_viewer_is_led_to_no_people(project: Project) -> None:
    page = reverse("admin:connectors_project_change", args=[project.pk])
    assert at(project).encode() not in somebody("viewer", project).get(page).content


def test_single_permissions_are_told_in_words(ann: User, browser: Client) -> None:
    ann.user_permissions.set(Permission.objects.filter(codename__endswith="_oauthclient"))
    assert b"Single permissions" in browser.get(of(ann)).content

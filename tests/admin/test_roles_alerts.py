"""Incidents and alert routes for people with roles at some places."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from connectors.flows.alert_routes import save_route
from connectors.flows.alert_routing import tell_opened, wishes
from connectors.models import AlertRoute, Incident, Project
from tests.admin.form_data import address, errors, save
from tests.factories import (
    SHELL,
    make_incident,
    make_membership,
    make_project,
    make_route,
    make_user,
    make_workspace,
)
from tests.teams import browser_of

INCIDENTS = "admin:connectors_incident_changelist"
ROUTES = "admin:connectors_alertroute_changelist"


def titles(user: User) -> set[str]:
    return {row.title for row in browser_of(user).get(reverse(INCIDENTS)).context["cl"].result_list}


@pytest.fixture
def ours(db: None) -> Project:
    return make_project("ours", workspace=make_workspace("Our workspace"))


@pytest.fixture
def theirs(db: None) -> Project:
    return make_project("zebra", workspace=make_workspace("Zebra workspace"))


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", staff=True)


def incident_at(project: Project, title: str) -> Incident:
    return make_incident(title=title, project=project, workspace=project.workspace)


def route_for(name: str, *projects: Project, **values: Any) -> AlertRoute:
    route = make_route(name, **values)
    save_route(route, SHELL, projects=list(projects))
    return route


def test_incidents_of_others_are_not_there(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "auditor", workspace=ours.workspace)
    incident_at(ours, "Ours")
    hidden = incident_at(theirs, "Zebra").pk
    make_incident(title="Of the whole portal", kind="repository")
    assert titles(ada) == {"Ours"}
    answers = [browser_of(ada).get(address("incident", "change", pk)) for pk in (hidden, hidden + 999)]
    assert [(answer.status_code, answer["Location"]) for answer in answers] == [(302, reverse("admin:index"))] * 2


def test_a_role_at_a_project_shows_what_its_workspace_suffers_from(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "auditor", project=ours)
    make_incident(title="Credential", kind="credential", workspace=ours.workspace)
    make_incident(title="Client of everybody", kind="client")
    make_incident(title="A repository there", kind="repository", workspace=ours.workspace)
    make_incident(title="Credential of others", kind="credential", workspace=theirs.workspace)
    assert titles(ada) == {"Credential", "Client of everybody"}


def test_a_viewer_sees_no_incidents_at_all(ada: User, ours: Project) -> None:
    make_membership(ada, "viewer", workspace=ours.workspace)
    assert browser_of(ada).get(reverse(INCIDENTS)).status_code == 403


def test_only_routes_within_reach_are_listed(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "auditor", workspace=ours.workspace)
    route_for("Ours", ours)
    route_for("Of both teams", ours, theirs)
    route_for("Everything")
    found = browser_of(ada).get(reverse(ROUTES)).context["cl"].result_list
    assert [row.name for row in found] == ["Ours"]


def test_a_route_whose_places_are_gone_is_shown_to_nobody_with_a_role_elsewhere(
    ada: User, ours: Project, theirs: Project
) -> None:
    make_membership(ada, "auditor", workspace=ours.workspace)
    route_for("Zebra route", theirs)
    theirs.delete()
    assert not browser_of(ada).get(reverse(ROUTES)).context["cl"].result_list


TYPED = {"name": "New", "channel": "email", "emails": "ada@example.com", "min_severity": "1", "quiet_timezone": "UTC"}


def test_an_owner_at_one_place_has_to_name_the_places_of_a_route(ada: User, ours: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    assert "workspaces" in errors(save(browser_of(ada), "alertroute", **TYPED))
    save(browser_of(ada), "alertroute", **TYPED, workspaces=[ours.workspace_id])
    assert AlertRoute.objects.get().is_local


@pytest.mark.parametrize("role", [None, "auditor"])
def test_places_without_the_permission_cannot_be_chosen(
    role: str | None, ada: User, ours: Project, theirs: Project
) -> None:
    make_membership(ada, "owner", project=ours)
    if role:
        make_membership(ada, role, project=theirs)
    found = errors(save(browser_of(ada), "alertroute", **TYPED, projects=[ours.pk, theirs.pk]))
    assert "projects" in found
    assert "Zebra" not in str(found)


def test_the_places_of_a_route_cannot_be_taken_away_by_whoever_may_not_hear_of_everything(
    ada: User, ours: Project
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    route = route_for("Ours", ours)
    assert "workspaces" in errors(save(browser_of(ada), "alertroute", route.pk, projects=[]))


@pytest.mark.parametrize("page", ["test", "secret"])
def test_an_auditor_neither_tests_a_route_nor_replaces_its_secret(page: str, ada: User, ours: Project) -> None:
    make_membership(ada, "auditor", workspace=ours.workspace)
    route = route_for("Ours", ours)
    assert browser_of(ada).post(address("alertroute", page, route.pk)).status_code == 403


def test_a_route_that_was_for_everything_does_not_show_what_it_told_of_others(
    ada: User, ours: Project, theirs: Project
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    route = route_for("Everything")
    tell_opened([incident_at(ours, "Ours"), incident_at(theirs, "Zebra")], {}, timezone.now(), wishes())
    save_route(route, SHELL, projects=[ours])
    page = browser_of(ada).get(address("alertroute", "change", route.pk))
    assert [line["what"] for line in page.context["deliveries"]] == ["Ours"]
    assert b"Zebra" not in page.content


def test_routes_of_others_do_not_count_as_telling_somebody(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "auditor", workspace=ours.workspace)
    route_for("Zebra route", theirs)
    assert browser_of(ada).get(reverse(INCIDENTS)).context["has_route"] is False
    route_for("Everything")
    assert browser_of(ada).get(reverse(INCIDENTS)).context["has_route"] is True

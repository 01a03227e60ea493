"""Which route hears of which incident."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.flows.alert_routes import save_route
from connectors.flows.alert_routing import tell_opened, wishes
from connectors.models import AlertDelivery, AlertRoute, Incident, Project, Severity, Workspace
from tests.factories import SHELL, make_incident, make_project, make_route, make_workspace


def reaches(route: AlertRoute, incident: Incident) -> bool:
    (wish,) = wishes([route])
    return wish.wants(incident, incident.project.environment if incident.project else None)


@pytest.fixture
def shop(db: None) -> Project:
    return make_project("shop", environment="production", workspace=make_workspace("Acme"))


def of(project: Project | None = None, workspace: Workspace | None = None, **values: Any) -> Incident:
    home = workspace or (project.workspace if project else None)
    return make_incident(project=project, workspace=home, **values)


def test_a_route_without_conditions_hears_of_everything(shop: Project) -> None:
    assert reaches(make_route(), of(shop))
    assert reaches(make_route(), of())


@pytest.mark.parametrize(
    ("values", "heard"),
    [
        ({"kinds": ["drift"]}, True),
        ({"kinds": ["sync", "token"]}, False),
        ({"min_severity": Severity.WARNING}, True),
        ({"min_severity": Severity.CRITICAL}, False),
        ({"environments": ["production", "staging"]}, True),
        ({"environments": ["development"]}, False),
    ],
)
def test_every_condition_has_to_hold(values: dict[str, Any], heard: bool, shop: Project) -> None:
    assert reaches(make_route(**values), of(shop, kind="drift")) == heard


def test_a_route_for_a_project_or_a_workspace_hears_of_both(shop: Project) -> None:
    other, third = make_project(workspace=shop.workspace), make_project()
    route = make_route()
    route.projects.add(shop)
    assert [reaches(route, of(project)) for project in (shop, other, third)] == [True, False, False]
    route.workspaces.add(third.workspace)
    assert [reaches(route, of(project)) for project in (shop, other, third)] == [True, False, True]


@pytest.mark.parametrize("kind", ["credential", "client"])
def test_a_route_for_a_project_hears_of_what_its_workspace_suffers_from(kind: str, shop: Project) -> None:
    route = make_route(environments=["production"])
    route.projects.add(shop)
    assert reaches(route, of(workspace=shop.workspace, kind=kind))
    assert not reaches(route, of(workspace=make_workspace(), kind=kind))


def test_a_route_for_a_project_hears_of_an_oauth_client_for_every_workspace(shop: Project) -> None:
    route = make_route()
    route.projects.add(shop)
    assert reaches(route, of(kind="client"))


@pytest.mark.parametrize("kind", ["repository", "review"])
def test_a_route_for_a_project_hears_of_nothing_that_may_be_others_alone(kind: str, shop: Project) -> None:
    route = make_route()
    route.projects.add(shop)
    assert not reaches(route, of(workspace=shop.workspace, kind=kind))
    assert not reaches(route, of(kind=kind))


def test_a_route_for_a_workspace_hears_of_its_repositories_and_of_no_others(shop: Project) -> None:
    route = make_route()
    route.workspaces.add(shop.workspace)
    assert reaches(route, of(workspace=shop.workspace, kind="repository"))
    assert not reaches(route, of(kind="repository"))


def test_a_route_whose_last_place_is_deleted_does_not_begin_to_hear_of_everything(shop: Project) -> None:
    route = make_route()
    save_route(route, SHELL, projects=[shop])
    other = make_project()
    shop.delete()
    assert not reaches(route, of(other))


def test_a_route_that_is_off_gets_nothing(shop: Project) -> None:
    make_route(is_enabled=False)
    assert tell_opened([of(shop)], {}, timezone.now(), wishes()) == 0
    assert not AlertDelivery.objects.exists()


@pytest.mark.parametrize("count", [1, 8])
def test_the_number_of_queries_does_not_follow_the_routes(
    count: int, shop: Project, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        make_route().projects.add(shop)
    with django_assert_num_queries(4):
        assert len(wishes()) == count

"""The first page's figures."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.models import Connector, SyncRun
from portal.dashboard import Tile, dashboard_context
from tests import factories

State = Connector.SyncState


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def context_for(user: User) -> dict[str, Any]:
    request = RequestFactory().get("/admin/")
    request.user = user
    return dashboard_context(request, {})


def tile(context: dict[str, Any], label: str) -> Tile:
    tiles: list[Tile] = context["tiles"]
    return next(tile for tile in tiles if tile.label == label)


def test_connectors_that_differ_are_counted_whatever_the_difference(operator: User) -> None:
    project = factories.make_project()
    for type_, state in [("a", State.DIFFERS), ("b", State.INACTIVE), ("c", State.IN_SYNC), ("d", State.UNKNOWN)]:
        factories.make_connector(project, type_, sync_state=state)
    assert tile(context_for(operator), "Differ from Base44").value == 2


def test_consent_is_counted_while_it_is_needed_or_waited_for(operator: User) -> None:
    project = factories.make_project()
    for type_, consent in [("a", "needed"), ("b", "pending"), ("c", "")]:
        factories.make_connector(project, type_, consent=consent)
    assert tile(context_for(operator), "Need consent").value == 2


def test_a_failing_sync_takes_the_place_of_what_was_never_compared(operator: User) -> None:
    factories.make_project(sync_error="Base44 answered 503.")
    labels = [tile.label for tile in context_for(operator)["tiles"]]
    assert "Failing syncs" in labels
    assert "Not compared yet" not in labels


@pytest.mark.parametrize("label", ["Connectors", "Need consent", "Differ from Base44"])
def test_a_figure_leads_to_the_list_of_just_these_rows(label: str, operator: User, client: Client) -> None:
    project = factories.make_project()
    factories.make_connector(project, "gmail", sync_state=State.DIFFERS, consent="needed")
    factories.make_connector(project, "slack", sync_state=State.DIFFERS, consent="pending")
    figure = tile(context_for(operator), label)
    client.force_login(operator)
    assert client.get(figure.href).context["cl"].result_count == figure.value


def test_failing_syncs_lead_to_the_projects_that_failed(operator: User, client: Client) -> None:
    factories.make_project(sync_error="Base44 answered 503.")
    factories.make_project()
    client.force_login(operator)
    answer = client.get(tile(context_for(operator), "Failing syncs").href)
    assert answer.context["cl"].result_count == 1


def test_projects_that_could_not_be_read_come_before_those_with_waiting_connectors(operator: User) -> None:
    waiting = factories.make_project("waiting")
    factories.make_connector(waiting, "gmail", needs_attention=True)
    failing = factories.make_project("failing", sync_error="Base44 answered 503.", synced_at=timezone.now())
    assert [row["pk"] for row in context_for(operator)["attention"]] == [failing.pk, waiting.pk]


def test_a_project_that_fails_and_waits_is_listed_once(operator: User) -> None:
    project = factories.make_project(sync_error="Base44 answered 503.")
    factories.make_connector(project, "gmail", needs_attention=True)
    assert len(context_for(operator)["attention"]) == 1


def test_what_waits_for_consent_and_what_ends_soon_lead_to_their_pages(operator: User, client: Client) -> None:
    project = factories.make_project()
    factories.make_connector(project, "slack", consent="needed")
    testing = factories.make_oauth_client(provider="google", is_testing=True)
    factories.make_token(factories.make_connector(project, "gmail"), oauth_client=testing)
    client.force_login(operator)
    page = client.get("/admin/").content.decode()
    counts = context_for(operator)["oauth"]
    assert (counts["waiting"], counts["ending"], counts["days"]) == (1, 1, 14)
    assert reverse("admin:connectors_connector_desk") in page
    assert "1 token ends within 14 days" in page


def test_runs_are_counted_as_done_or_failed(operator: User) -> None:
    project = factories.make_project()
    for state in [SyncRun.State.DONE, SyncRun.State.FAILED, SyncRun.State.INTERRUPTED]:
        SyncRun.objects.create(project=project, kind="sync", state=state, actor_label="tests", door="shell")
    context = context_for(operator)
    assert (context["runs_done"], context["runs_failed"]) == (1, 2)


def test_a_stranger_is_shown_no_figure_but_zero(stranger: User) -> None:
    factories.make_connector(factories.make_project(sync_error="Failed."), "gmail", sync_state=State.DIFFERS)
    context = context_for(stranger)
    assert [tile.value for tile in context["tiles"]] == [0, 0, 0, 0]
    assert context["attention"] == []


def test_a_fresh_installation_asks_for_a_workspace_first(operator: User, client: Client) -> None:
    client.force_login(operator)
    page = client.get("/admin/").content.decode()
    assert reverse("admin:connectors_workspace_add") in page
    assert "<canvas" not in page


@pytest.mark.parametrize("projects", [1, 60])
def test_the_number_of_queries_does_not_grow(
    projects: int, operator: User, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    factories.make_fleet(projects, 5)
    Connector.objects.update(needs_attention=True, sync_state=State.DIFFERS)
    client.force_login(operator)
    with django_assert_num_queries(20):
        client.get("/admin/")


def test_critical_incidents_that_are_open_are_told_of(operator: User, client: Client) -> None:
    factories.make_project()
    factories.make_incident(severity=2)
    factories.make_incident(severity=2, closed_at=timezone.now())
    factories.make_incident(severity=1)
    client.force_login(operator)
    assert "1 critical incident is open." in client.get("/admin/").content.decode()


def test_failing_repositories_and_projects_with_conflicts_are_counted_where_they_are_in_use(operator: User) -> None:
    factories.make_repository(state="failing")
    factories.make_repository(state="failing", is_enabled=False)
    factories.make_placement(conflicts=2)
    factories.make_placement(repository=factories.make_repository(is_enabled=False), conflicts=1)
    assert context_for(operator)["git"] == {"failing": 1, "conflicting": 1}

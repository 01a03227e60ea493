"""What the lists cost: the same statements however many rows there are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from connectors.models import Connector, Event, IntegrationType, OAuthClient, Project, SyncRun, Token, Workspace
from tests.admin.asking import path_of
from tests.factories import (
    make_connector,
    make_fleet,
    make_oauth_client,
    make_project,
    make_token,
    make_workspace,
)

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def queries(browser: Client, path: str) -> int:
    """How many statements the page takes, the sidebar's badge among them, whose cache may run out at any time."""
    assert browser.get(path).status_code == 200
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        assert browser.get(path).status_code == 200
    return len(captured)


def add_workspaces(count: int) -> None:
    start = Workspace.objects.count()
    Workspace.objects.bulk_create(Workspace(name=f"W{n}") for n in range(start, count))
    Project.objects.bulk_create(
        Project(workspace=row, name=f"P{row.pk}", slug=f"p{row.pk}", app_id=f"p{row.pk}")
        for row in Workspace.objects.filter(projects=None)
    )


def add_projects(count: int) -> None:
    missing = count - Project.objects.count()
    for project in make_fleet(missing, 2, workspace=make_workspace()):
        project.synced_at = NOW
        project.save(update_fields=["synced_at"])


def add_connectors(count: int) -> None:
    make_fleet((count - Connector.objects.count()) // 5, 5)


def add_types(count: int) -> None:
    start = IntegrationType.objects.count()
    IntegrationType.objects.bulk_create(
        IntegrationType(slug=f"kind-{n}", display_name=f"Kind {n}") for n in range(start, count)
    )
    project = Project.objects.first() or make_project()
    Connector.objects.bulk_create(
        Connector(project=project, integration_type=kind) for kind in IntegrationType.objects.filter(connectors=None)
    )


def add_runs(count: int) -> None:
    for project in make_fleet(count - SyncRun.objects.count(), 0):
        SyncRun.objects.create(project=project, kind="sync", actor_label="tests", door="shell", started_at=NOW)


def add_events(count: int) -> None:
    for project in make_fleet(count - Event.objects.count(), 0):
        Event.objects.create(
            verb="project.added",
            project=project,
            actor_label="x",
            door="shell",
            target_label="x",
            target_type="project",
        )


def add_tokens(count: int) -> None:
    missing = count - Token.objects.count()
    make_fleet(missing // 5, 5)
    client, times = make_oauth_client(), {"authorised_at": NOW, "issued_at": NOW, "expires_at": NOW}
    Token.objects.bulk_create(
        Token(connector=connector, oauth_client=client, granted_scopes=["a:read"], **times)
        for connector in Connector.objects.filter(token=None)
    )


def add_clients(count: int) -> None:
    project = make_project()
    for number in range(OAuthClient.objects.count(), count):
        client = make_oauth_client(workspace=project.workspace if number % 2 else None)
        if number % 20 == 0:
            make_token(make_connector(project, f"kind-{number}"), oauth_client=client)


@pytest.mark.parametrize(
    ("model", "fill", "pinned"),
    [
        ("workspace", add_workspaces, 8),
        ("project", add_projects, 8),
        ("connector", add_connectors, 9),
        ("integrationtype", add_types, 8),
        ("syncrun", add_runs, 7),
        ("event", add_events, 7),
        ("oauthclient", add_clients, 8),
        ("token", add_tokens, 8),
    ],
)
def test_a_list_takes_the_same_statements_for_10_rows_and_for_200(
    model: str, fill: Callable[[int], None], pinned: int, browser: Client
) -> None:
    fill(10)
    few = queries(browser, path_of(model))
    fill(200)
    assert (few, queries(browser, path_of(model))) == (pinned, pinned)


def test_the_list_of_connectors_never_reads_imported_files(browser: Client, project: Project) -> None:
    make_connector(project, "slack", source=b"// a comment", source_path="slack.jsonc")
    with CaptureQueriesContext(connection) as captured:
        browser.get(path_of("connector"))
    assert not any('"source"' in query["sql"] for query in captured)


def test_a_projects_page_takes_the_same_statements_for_1_connector_and_for_40(
    browser: Client, workspace: Workspace
) -> None:
    (small,) = make_fleet(1, 1, workspace=workspace)
    (large,) = make_fleet(1, 40, workspace=workspace)
    Project.objects.update(synced_at=NOW)
    page = "admin:connectors_project_change"
    few = queries(browser, reverse(page, args=[small.pk]))
    many = queries(browser, reverse(page, args=[large.pk]))
    assert (few, many) == (16, 16)


def test_everything_cannot_be_put_on_one_page(browser: Client) -> None:
    make_fleet(6, 10)
    assert len(browser.get(path_of("connector"), {"all": ""}).context["cl"].result_list) == 50

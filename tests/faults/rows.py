"""What the test's own process knows of the portal's database: it makes the rows, looks at them, and turns the clock."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.utils import timezone

from connectors.models import (
    Connector,
    OAuthClient,
    Project,
    Repository,
    RepositoryRun,
    SyncRun,
    Token,
    Workspace,
)
from tests import factories
from tests.faults.world import World, wanted

Result = TypeVar("Result")
LATER = dt.timedelta(minutes=5)


def patiently(ask: Callable[[], Result]) -> Result:
    """What `ask` says, as soon as there is a database to ask."""
    end = time.monotonic() + 60
    while True:
        try:
            return ask()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def prepare(world: World, projects: int) -> str:
    """A workspace with projects, each with its folder in the repository and a token; gives somebody's session key."""
    admin = factories.make_user("ada", staff=True, superuser=True)
    workspace = factories.make_workspace(
        "Live", api_url=world.emulator.url, token=world.emulator.pat, plan=Workspace.Plan.ENTERPRISE
    )
    repository = factories.make_repository(
        "Apps", url=world.repo.url, token=world.git.token.get_secret_value(), state="working", export_when="apply"
    )
    endpoints = {"issuer": world.provider.server.url, "token_url": f"{world.provider.server.url}/token"}
    client = factories.make_oauth_client("team", settings=endpoints)
    for number in range(projects):
        project = _project(world, workspace, number)
        factories.make_placement(project, repository, f"apps/{project.slug}")
        _token(world, project, client)
    browser = Client()
    browser.force_login(admin)
    return str(browser.session.session_key)


def _project(world: World, workspace: Workspace, number: int) -> Project:
    """It starts where it should be after turn 0, and Base44 has that."""
    project = factories.make_project(f"p{number}", workspace=workspace, app_id=f"app-p{number}")
    world.emulator.control("apps", id=project.app_id, name=project.name)
    for type_, scopes in wanted(number, 0).items():
        world.emulator.control("connectors", app=project.app_id, type=type_, scopes=scopes)
        factories.make_connector(project, type_, scopes, registered=scopes)
    world.projects[project.slug] = project.pk
    return project


def _token(world: World, project: Project, client: OAuthClient) -> None:
    access, refresh = world.provider.server.issue(project.slug)
    connector = Connector.objects.get(project=project, integration_type="github")
    factories.make_token(
        connector,
        oauth_client=client,
        access=access,
        refresh=refresh,
        refresh_at=timezone.now(),
    )


def declared(project_id: int) -> dict[str, list[str]]:
    """What the portal declares of a project."""
    rows = Connector.objects.filter(project=project_id, is_declared=True)
    return patiently(lambda: {row.integration_type_id: sorted(row.scopes) for row in rows.all()})


def agrees(project_id: int) -> bool:
    """Whether Base44, as the portal last saw it, has what is declared."""
    rows = Connector.objects.filter(project=project_id)
    return patiently(lambda: all(row.sync_state == Connector.SyncState.IN_SYNC for row in rows.all()))


def is_open(run_id: int) -> bool:
    """Whether this run is still to come to an end."""
    return patiently(SyncRun.objects.open().filter(pk=run_id).exists)


def open_runs() -> list[str]:
    """All work that is not over, in words."""

    def ask() -> list[str]:
        runs = [*SyncRun.objects.open(), *RepositoryRun.objects.open()]
        return [f"{type(run).__name__} {run.pk} {run.kind} {run.state}: {run.message}" for run in runs]

    return patiently(ask)


def turn_clock() -> None:
    """What was sent to somebody who is dead now counts as lost, waits are over, and every token is due."""
    now = timezone.now()

    def ask() -> None:
        SyncRun.objects.filter(state="queued").update(dispatched_at=now - LATER)
        RepositoryRun.objects.filter(state="queued").update(dispatched_at=now - LATER)
        Token.objects.alive().filter(state=Token.State.FAILING).update(refresh_at=now)

    patiently(ask)


def make_due() -> None:
    """Every token that lives is due now."""
    patiently(lambda: Token.objects.alive().update(refresh_at=timezone.now()))


def repository() -> int:
    """Key of the one repository."""
    return patiently(lambda: Repository.objects.values_list("pk", flat=True).get())


def token_of(project_id: int) -> int:
    """Key of the project's token."""
    return patiently(lambda: Token.objects.values_list("pk", flat=True).get(connector__project=project_id))

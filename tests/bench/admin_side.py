"""The portal's side of the admin benchmark."""

from __future__ import annotations

import functools
import time
from itertools import cycle

from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.flows import ledger
from connectors.flows.catalogue import load_catalogue
from connectors.models import Connector, IntegrationType, Project
from tests.factories import make_user, make_workspace

ACTOR = Actor("bench", Door.SHELL)
SCOPES = [f"https://www.example.com/auth/service.{name}" for name in ("read", "write", "list", "share")]
IN_SYNC = {"registered_scopes": SCOPES, "registered_status": "active", "sync_state": Connector.SyncState.IN_SYNC}
DIFFERS = {"registered_scopes": SCOPES[:2], "registered_status": "active", "sync_state": Connector.SyncState.DIFFERS}
ABSENT = {"sync_state": Connector.SyncState.NOT_REGISTERED}
STATES = [IN_SYNC] * 8 + [DIFFERS] + [ABSENT]
"""One connector in ten differs, one is not at Base44."""


def prepare(projects: int, connectors: int) -> None:
    """Projects in five workspaces; one in ten is called project-77-..., the others project-a..."""
    load_catalogue(ACTOR)
    make_user("operator", staff=True, superuser=True)
    workspaces = [make_workspace(f"Workspace {n}") for n in range(5)]
    names = [f"project-77-{n}" if n % 10 == 5 else f"project-a{n}" for n in range(projects)]
    made = Project.objects.bulk_create(
        [
            Project(workspace=workspace, name=name, slug=name, app_id=f"app-{name}")
            for name, workspace in zip(names, cycle(workspaces), strict=False)
        ],
        batch_size=2000,
    )
    accounts = [f"team-{n}@example.com" for n in range(200)]
    types = [row.pk for row in IntegrationType.objects.order_by("slug")[:connectors]]
    for start in range(0, projects, 500):
        _add_connectors(made[start : start + 500], types, accounts)
    analyze()


def fill_ledger() -> float:
    """Makes the ledger of all connectors, as the portal does after an upgrade; gives the seconds it took."""
    started = time.perf_counter()
    while ledger.catch_up():
        pass
    seconds = time.perf_counter() - started
    analyze()
    return seconds


def analyze() -> None:
    """As autovacuum would do after a while."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _add_connectors(projects: list[Project], types: list[str], accounts: list[str]) -> None:
    seen, owners = timezone.now(), cycle(accounts)
    Connector.objects.bulk_create(
        [
            Connector(
                project=project,
                integration_type_id=type_,
                scopes=SCOPES,
                registered_at=seen,
                registered_account=next(owners),
                **state,
            )
            for project in projects
            for type_, state in zip(types, cycle(STATES), strict=False)
        ],
        batch_size=2000,
    )


def page(query: str, name: str = "connector_changelist") -> float:
    """Seconds for a page of the admin with this query string. Raises RuntimeError unless it is shown."""
    client = _client()
    address = f"{reverse(f'admin:connectors_{name}')}?{query}"
    started = time.perf_counter()
    status = client.get(address).status_code
    seconds = time.perf_counter() - started
    if status != 200:
        raise RuntimeError(f"the page {name} answered {status} to {query!r}")
    return seconds


def queries(query: str, name: str = "connector_changelist") -> int:
    """How many SQL statements the page takes."""
    with CaptureQueriesContext(connection) as captured:
        page(query, name)
    return len(captured)


def statements(query: str, name: str = "connector_changelist") -> list[str]:
    """The SQL of the page, with the seconds that each statement took: for finding out what is slow."""
    with CaptureQueriesContext(connection) as captured:
        page(query, name)
    return [f"{statement['time']} {statement['sql']}" for statement in captured.captured_queries]


@functools.cache
def _client() -> Client:
    client = Client(SERVER_NAME="localhost", headers={"accept-encoding": "gzip"})
    client.force_login(User.objects.get(username="operator"))
    return client

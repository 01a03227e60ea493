"""Flows that lock rows of many connectors do it in one order, so that none waits for another that waits for it.

PostgreSQL alone: SQLite has one writer at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.config_files import locate_file
from connectors.core.specs import RegisteredConnector, RegisteredState
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.flows.observe import observe
from connectors.flows.repository_side import note_sides
from connectors.models import Project
from tests.factories import SHELL, make_connector, make_placement

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows"),
]

_LOCK = re.compile(r'FROM "(\w+)".*?(?:ORDER BY "\w+"\."(\w+)" ASC )?FOR (NO KEY UPDATE|UPDATE)')


def locks(work: Callable[[], object]) -> list[tuple[str, ...]]:
    """Of each statement that locks rows: their table, by what they are ordered, and how they are locked."""
    with CaptureQueriesContext(connection) as captured:
        work()
    return [found.groups() for query in captured if (found := _LOCK.search(query["sql"]))]


PROJECTS = ("connectors_project", "id", "NO KEY UPDATE")
CONNECTORS = ("connectors_connector", "id", "UPDATE")


def test_a_sync_locks_projects_then_connectors_by_key(project: Project) -> None:
    state = RegisteredState((RegisteredConnector("slack", "active"),))
    assert locks(lambda: observe({project: state}, SHELL, timezone.now()))[:2] == [PROJECTS, CONNECTORS]


def test_a_reading_locks_connectors_by_key(project: Project) -> None:
    make_connector(project, "slack")
    placement = make_placement(project)
    assert set(locks(lambda: note_sides([placement], timezone.now()))) == {CONNECTORS}


def test_an_import_leaves_the_projects_key_free_for_rows_that_refer_to_it(project: Project) -> None:
    plan = plan_import(project, locate_file("slack.jsonc", b'{"type": "slack"}'))
    first = locks(lambda: apply_import(plan, SHELL))[0]
    assert (first[0], first[2]) == ("connectors_project", "NO KEY UPDATE")

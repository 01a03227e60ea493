"""The portal's side of the history benchmark: a fleet with a past, its page of a date, and how that is found."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.models import ScopePeriod
from tests.bench.admin_side import SCOPES, _client
from tests.bench.admin_side import prepare as prepare_fleet

SIDES = ("declared", "repository", "registered")
TABLE = ScopePeriod._meta.db_table
BEGINNING = timezone.now().replace(microsecond=0) - dt.timedelta(days=720)


def prepare(projects: int, connectors: int, rows: int) -> None:
    """The fleet of the admin benchmark, with periods that are still so, and as many that have ended as make `rows`.

    The ended ones came and went in turn, at every connector at once, so those of one connector lie far apart on disk.
    """
    prepare_fleet(projects, connectors)
    for side in SIDES:
        for scope in ("", *SCOPES):
            _insert(side, scope, BEGINNING, None)
    past = max(rows // (projects * connectors) - len(SIDES) * (1 + len(SCOPES)), 0)
    length = dt.timedelta(days=700) / max(past, 1)
    for number in range(past):
        since = BEGINNING + number * length
        _insert("registered", f"extra:{number % 7}", since, since + length / 2)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum would do after a while


def _insert(side: str, scope: str, since: dt.datetime, until: dt.datetime | None) -> None:
    """The same period for every connector, in one statement: a million rows one by one would take minutes."""
    ended = "project.observed" if until else ""
    values = (side, scope, "", True, _stored(since), "project.observed", "bench", _stored(until), ended, ended)
    columns = "side, scope, account, is_listed, since, begun_through, begun_by, until, ended_through, ended_by"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} (project_id, project_label, type_slug, {columns}) "  # noqa: S608 - names of ours
            f"SELECT project_id, 'bench', integration_type_id, {', '.join(['%s'] * len(values))} "
            "FROM connectors_connector",
            values,
        )


def _stored(moment: dt.datetime | None) -> Any:
    return moment and connection.ops.adapt_datetimefield_value(moment)


def rows() -> int:
    """How many periods there are."""
    return ScopePeriod.objects.count()


def page(days_ago: int, query: str = "") -> float:
    """Seconds for the history's page at a date. Raises RuntimeError unless it is shown with a full page of rows."""
    client: Client = _client()
    address = f"{reverse('admin:connectors_ledgerentry_history')}?at={_date(days_ago)}&{query}"
    started = time.perf_counter()
    answer: Any = client.get(address)
    seconds = time.perf_counter() - started
    if answer.status_code != 200 or not answer.context_data["state"].rows:
        raise RuntimeError(f"the page answered {answer.status_code} to {address}")
    return seconds


def plan(days_ago: int) -> list[str]:
    """How the database finds the periods of that page: what its plans say of how their table is read."""
    with CaptureQueriesContext(connection) as captured:
        page(days_ago)
    return [line for one in captured.captured_queries if TABLE in one["sql"] for line in _explained(one["sql"])]


def _explained(sql: str) -> list[str]:
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)"
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql}")
        lines = [str(row[-1]).strip(" ->") for row in cursor.fetchall()]
    return [line for line in lines if "scopeperiod" in line]


def _date(days_ago: int) -> str:
    return (timezone.now() - dt.timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M")

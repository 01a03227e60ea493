"""However long the history is, a page of it is found along indexes: no query reads the table of periods whole."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.flows.history import Wanted, state_at
from connectors.flows.history_changes import difference, timeline
from connectors.models import Connector, Project, ScopePeriod
from tests.factories import make_fleet

TABLE = ScopePeriod._meta.db_table
NOW = timezone.now()
BEGINNING = NOW - dt.timedelta(days=400)
THEN = NOW - dt.timedelta(days=200)
PROJECTS, CONNECTORS, PAST = 400, 5, 8
FLEET = PROJECTS * CONNECTORS
ROWS = FLEET * (4 + PAST)


@pytest.fixture
def history(db: None) -> None:
    """Twenty-four thousand periods: of each connector four that last and eight that followed each other."""
    made = make_fleet(PROJECTS, CONNECTORS)
    same = {"begun_by": "tests", "begun_through": "project.observed"}
    length = dt.timedelta(days=380) / PAST
    rows = []
    for project in made:
        for number in range(CONNECTORS):
            place = {"project": project, "project_label": project.name, "type_slug": f"type-{number}", **same}
            rows += [
                ScopePeriod(**place, side=side, scope=scope, since=BEGINNING)
                for side in ("declared", "registered")
                for scope in ("", "a:read")
            ]
            rows += [
                ScopePeriod(
                    **place,
                    side="registered",
                    scope="b:write",
                    since=BEGINNING + turn * length,
                    until=BEGINNING + (turn + 0.5) * length,
                )
                for turn in range(PAST)
            ]
    ScopePeriod.objects.bulk_create(rows, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plans(act: Callable[[], object]) -> list[str]:
    """The plans of the queries on the table of periods that `act` makes."""
    with CaptureQueriesContext(connection) as seen:
        act()
    queries = [query["sql"] for query in seen.captured_queries if TABLE in query["sql"]]
    assert queries
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)"
    found = []
    for sql in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"{how} {sql}")
            found.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    return found


def read_whole(plan: str) -> bool:
    return re.search(rf"(SCAN|Seq Scan on) {TABLE}\b", plan) is not None


def rows_read(plan: str) -> int:
    """Rows of the table that PostgreSQL took in its hands, and threw away or not; SQLite does not tell: 0."""
    count, loops = 0, 1
    for line in plan.splitlines():
        if found := re.search(r"Scan.* (\w+).* \(actual rows=(\d+) loops=(\d+)\)", line):
            loops = int(found[3])
            count += int(found[2]) * loops if TABLE in line else 0
        elif "Rows Removed by Filter" in line:
            count += int(line.split(":")[1]) * loops
    return count


ASKED: dict[str, Callable[[], object]] = {
    "a date": lambda: state_at(Project.objects.all(), THEN, with_gone=True),
    "today": lambda: state_at(Project.objects.all(), NOW, with_gone=True),
    "a later page": lambda: state_at(Project.objects.all(), THEN, after="fleet-3:type-2", with_gone=True),
    "a type": lambda: state_at(Project.objects.all(), THEN, Wanted(type_slug="type-3")),
    "a scope": lambda: state_at(Project.objects.all(), THEN, Wanted(scopes=("b:write",))),
    "a side": lambda: state_at(Project.objects.all(), THEN, Wanted(side="granted")),
    "a project": lambda: state_at(Project.objects.filter(pk=Project.objects.values("pk")[:1]), THEN),
    "a day's changes": lambda: difference(Project.objects.all(), THEN, THEN + dt.timedelta(days=1)),
    "a project's changes": lambda: difference(Project.objects.filter(pk__in=_one()), BEGINNING, NOW),
    "a timeline": lambda: timeline(Connector.objects.order_by("pk")[FLEET // 2]),
}


def _one() -> list[int]:
    return list(Project.objects.order_by("pk").values_list("pk", flat=True)[:1])


def test_no_page_reads_the_history_whole_and_none_much_of_it(history: None) -> None:
    for name, act in ASKED.items():
        # Of granted sides there are none, so whoever looks for them looks at every connector: at the fleet, once.
        most = 2 * FLEET if name == "a side" else ROWS // 10
        for plan in plans(act):
            assert not read_whole(plan), f"{name}:\n{plan}"
            assert rows_read(plan) <= most, f"{name}:\n{plan}"

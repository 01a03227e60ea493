"""The portal's side of the trail's benchmark: millions of events with digests, the list's pages, seal and verify."""

from __future__ import annotations

import datetime as dt
import json
import resource
import time
import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.core.trail.form import FIELDS, event_form
from connectors.flows.trail_seal import seal
from connectors.flows.trail_verify import verify
from connectors.models import Event
from connectors.models.trail_keys import trail_keys
from tests.factories import make_project, make_user

CHUNK = 20_000
TABLE = Event._meta.db_table
COLUMNS = (*FIELDS, "digest", "key_id")
NOW = timezone.now().replace(microsecond=0)
YEAR = dt.timedelta(days=365)
_VERBS = ("connector.changed", "connector.declared", "project.observed", "token.introspected", "login.succeeded")


def fill(rows: int) -> float:
    """Writes so many events over a year, and gives the seconds. Nothing of the portal writes them so."""
    make_user("operator", staff=True, superuser=True)
    for number in range(20):
        make_user(f"user{number}", staff=True)
    make_project("first")
    started = time.perf_counter()
    for start in range(0, rows, CHUNK):
        _insert([_row(number, rows) for number in range(start, min(start + CHUNK, rows))])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum would do after a while
    return time.perf_counter() - started


def _row(number: int, rows: int) -> list[Any]:
    verb = _VERBS[number % 5]
    if number % 1_000 == 7:
        verb = "token.revoked"
    if number == rows // 2:
        verb = "keys.rotated"
    user = number % 20
    content = {
        "uid": uuid.uuid4(),
        "at": NOW - YEAR + YEAR * (number / rows),
        "verb": verb,
        "user_id": user + 2,
        "actor_label": f"user{user}",
        "door": ("admin", "task", "task", "api", "shell")[(number // 3) % 5],
        "workspace_id": number % 50 + 1,
        "project_id": number % 2_000 + 1,
        "target_type": "connector",
        "target_id": str(number % 10_000),
        "target_label": f"slack in Project {number % 2_000}",
        "before": {"scopes": ["a:read"]},
        "after": {"scopes": ["a:read", "b:write"], "number": number},
        "note": "",
        "reason": "",
        "request_id": f"request-{number // 5}",
        "address": f"192.0.2.{number % 250}",
    }
    key = trail_keys().first
    return [*(content[name] for name in FIELDS), key.of_event(event_form(content)), key.key_id]


def _insert(rows: list[list[Any]]) -> None:
    before, after = FIELDS.index("before"), FIELDS.index("after")
    for row in rows:
        row[before], row[after] = json.dumps(row[before]), json.dumps(row[after])
    columns = ", ".join(COLUMNS)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {TABLE} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        places = ", ".join(["%s"] * len(COLUMNS))
        cursor.executemany(
            f"INSERT INTO {TABLE} ({columns}) VALUES ({places})",  # noqa: S608 - names of ours
            list(_adapted(rows)),
        )


def _adapted(rows: list[list[Any]]) -> Iterator[list[Any]]:
    for row in rows:
        yield [row[0].hex, connection.ops.adapt_datetimefield_value(row[1]), *row[2:]]


def size() -> str:
    """What the events take on disk, with their indexes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [TABLE])
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return f"{cursor.fetchone()[0] / 1e9:.1f} GB"


def page(query: str) -> float:
    """Seconds for one page of the activity. Raises RuntimeError when it is none."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(username="operator"))
    old, less_old = NOW - dt.timedelta(days=300), NOW - dt.timedelta(days=293)
    query = query.format(old=f"{old:%Y-%m-%d}", less_old=f"{less_old:%Y-%m-%d}")
    started = time.perf_counter()
    status = client.get(f"{reverse('admin:connectors_event_changelist')}?{query}").status_code
    seconds = time.perf_counter() - started
    if status != 200:
        raise RuntimeError(f"the activity answered {status} to {query!r}")
    return seconds


def seal_all() -> float:
    """Seconds for sealing every event."""
    started = time.perf_counter()
    while seal(timezone.now()):
        pass
    return time.perf_counter() - started


def verify_all() -> list[float]:
    """Seconds for verifying everything, and the largest memory of this process in megabytes."""
    started = time.perf_counter()
    findings = verify(timezone.now())
    if not findings.is_sound:
        raise RuntimeError(findings.faults[0].text)
    seconds = time.perf_counter() - started
    return [seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024]

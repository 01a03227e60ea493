"""What balancers and monitoring are told: whether this process can serve, and whether the portal does its work."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from connectors.flows import heartbeat
from connectors.models import Heartbeat
from portal import health

pytestmark = pytest.mark.django_db


@pytest.fixture
def all_at_work() -> None:
    """A worker and the scheduler were heard of just now."""
    now = timezone.now()
    heartbeat.beat(Heartbeat.Kind.WORKER, "worker@a:1", now)
    heartbeat.scheduler_beat(now, now)


def test_livez_is_another_name_of_healthz(client: Client) -> None:
    assert client.get("/livez").json() == client.get("/healthz").json() == {"status": "ok"}


def test_pages_are_served_without_a_worker(client: Client) -> None:
    assert client.get("/readyz").status_code == 200


def test_the_whole_portal_is_not_well_without_a_worker(client: Client) -> None:
    answer = client.get("/readyz?full=1")
    assert answer.status_code == 503
    assert {name for name, state in answer.json().items() if state == "failed"} == {"worker", "scheduler"}


@pytest.mark.usefixtures("all_at_work")
def test_the_whole_portal_is_well_when_everything_works(client: Client) -> None:
    answer = client.get("/readyz?full=1")
    assert (answer.status_code, answer.json()["status"], answer.json()["worker"]) == (200, "ok", "ok")


def test_a_process_that_is_newer_than_its_database_is_not_ready(client: Client) -> None:
    health._migrated.clear()
    newest = MigrationRecorder(connection).migration_qs.filter(app="connectors").order_by("-name").first()
    assert newest is not None
    newest.delete()
    assert client.get("/readyz").json()["migrations"] == "failed"
    newest.save(force_insert=True)
    assert client.get("/readyz").json()["migrations"] == "ok"


def test_no_answer_may_be_kept(client: Client) -> None:
    assert {client.get(path)["Cache-Control"] for path in ("/healthz", "/livez", "/readyz")} == {"no-store"}

"""/metrics: figures for whoever knows the token, in Prometheus' format."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from connectors.flows import heartbeat
from connectors.flows.figures import QUERIES, figures
from connectors.models import Heartbeat, Severity, SyncRun
from tests.factories import make_connector, make_incident, make_project, make_token

pytestmark = pytest.mark.django_db
TOKEN = secrets.token_urlsafe(30)


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def scrape(client: Client) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (sample.name.removeprefix("connector_portal_"), tuple(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_without_a_token_there_is_no_such_page(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code in (302, 404)


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer {}x"])
def test_whoever_does_not_know_the_token_learns_nothing(header: str, client: Client) -> None:
    answer = client.get("/metrics", headers={"Authorization": header.format(TOKEN)})
    assert (answer.status_code, answer.content) == (401, b"")


def test_prometheus_may_ask_by_address_and_without_https(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get("/metrics", headers={"Host": "10.1.2.3:8000", "Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


def test_what_there_is_is_counted(client: Client) -> None:
    project = make_project(sync_error="It said no.")
    make_token(make_connector(project, "gmail"), refresh_at=timezone.now() - dt.timedelta(hours=1))
    make_incident(severity=Severity.CRITICAL)
    SyncRun.objects.create(project=project, kind="sync")
    SyncRun.objects.create(project=project, kind="apply", state="failed", finished_at=timezone.now())
    found = scrape(client)
    assert found["connectors", ("unknown",)] == 1
    assert found["connectors", ("in_sync",)] == 0
    assert found["tokens", ("fresh",)] == 1
    assert 3600 <= found["token_refresh_overdue_seconds", ()] < 3700
    assert found["incidents_open", ("critical",)] == 1
    assert found["runs_open", ("sync", "queued")] == 1
    assert found["runs_last_hour", ("apply", "failed")] == 1
    assert found["projects_failing", ()] == 1
    assert found["trail_faults", ()] == found["trail_checked_timestamp_seconds", ()] == 0
    assert found["healthy", ("worker",)] == found["healthy", ("tokens",)] == 0


def test_processes_are_told_apart(client: Client) -> None:
    heartbeat.beat(Heartbeat.Kind.WORKER, "worker@a:1", timezone.now() - dt.timedelta(seconds=20))
    heartbeat.scheduler_beat(timezone.now() - dt.timedelta(seconds=3), timezone.now())
    found = scrape(client)
    assert 20 <= found["heartbeat_age_seconds", ("worker", "worker@a:1")] < 60
    assert 3 <= found["queue_lag_seconds", ("scheduler",)] < 30
    assert found["healthy", ("worker",)] == 1


def test_counting_costs_the_same_whatever_there_is(django_assert_num_queries: Any) -> None:
    for _ in range(3):
        make_token(make_connector(make_project(), "gmail"))
    with django_assert_num_queries(QUERIES):
        figures(timezone.now())

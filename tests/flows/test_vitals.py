"""Which processes live, and what is said of workers, scheduler and refreshes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from connectors import tasks
from connectors.core.trace import SENT_AT
from connectors.flows import heartbeat
from connectors.flows.vitals import Vital, vitals, words
from connectors.models import Heartbeat, OAuthClient
from tests.factories import make_connector, make_oauth_client, make_project, make_token

pytestmark = pytest.mark.django_db
NOW = timezone.now()
WORKER = Heartbeat.Kind.WORKER


def ago(seconds: float) -> dt.datetime:
    return NOW - dt.timedelta(seconds=seconds)


def vital(name: str) -> Vital:
    return next(found for found in vitals(NOW) if found.name == name)


def test_a_process_that_beats_again_has_one_row_and_keeps_its_start() -> None:
    heartbeat.beat(WORKER, "worker@a:1", ago(30), version="1")
    heartbeat.beat(WORKER, "worker@a:1", ago(15), version="1")
    row = Heartbeat.objects.get()
    assert (row.started_at, row.beat_at) == (ago(30), ago(15))


def test_a_process_of_another_version_has_started_anew() -> None:
    heartbeat.beat(WORKER, "worker@a:1", ago(30), version="1")
    heartbeat.beat(WORKER, "worker@a:1", ago(15), version="2")
    assert Heartbeat.objects.get().started_at == ago(15)


def test_a_worker_that_says_goodbye_is_not_missed() -> None:
    heartbeat.beat(WORKER, "worker@a:1", NOW)
    heartbeat.leave("worker@a:1")
    assert not Heartbeat.objects.exists()


def test_workers_that_were_killed_long_ago_are_forgotten_and_the_scheduler_is_not() -> None:
    two_days = ago(2 * 86_400)
    heartbeat.beat(WORKER, "worker@a:1", two_days)
    heartbeat.beat(WORKER, "worker@a:2", NOW)
    heartbeat.scheduler_beat(two_days, two_days)
    assert heartbeat.prune(NOW) == 1
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker@a:2", "scheduler"}


def test_without_any_worker_that_is_said() -> None:
    assert vital("worker") == Vital(
        "worker", False, "No worker has ever been heard of, so nothing is synced, applied or refreshed."
    )


@pytest.mark.parametrize(("silent", "is_well"), [(59, True), (61, False)])
def test_a_worker_that_is_silent_for_too_long_is_gone(silent: int, is_well: bool, settings: Any) -> None:
    settings.WORKER_SILENT_AFTER = 60
    heartbeat.beat(WORKER, "worker@a:1", ago(silent))
    assert (vital("worker").is_well, vital("worker").seconds) == (is_well, silent)


def test_one_worker_that_lives_is_enough() -> None:
    heartbeat.beat(WORKER, "worker@a:1", ago(500))
    heartbeat.beat(WORKER, "worker@a:2", ago(5))
    assert vital("worker").text == "1 worker at work."


@pytest.mark.parametrize(
    ("sent", "came", "is_well"),
    [(10, 9, True), (200, 0, False), (300, 299, False)],
    ids=["in time", "long under way", "nothing since"],
)
def test_the_scheduler_is_judged_by_what_comes_to_workers(sent: int, came: int, is_well: bool) -> None:
    heartbeat.scheduler_beat(ago(sent), ago(came))
    assert vital("scheduler").is_well == is_well


def test_the_task_measures_how_long_its_message_was_under_way() -> None:
    tasks.beat.apply(headers={})
    assert Heartbeat.objects.get().lag is None
    sent_at: Any = (timezone.now() - dt.timedelta(seconds=40)).timestamp()
    tasks.beat.apply(headers={SENT_AT: sent_at})
    assert 40 <= (Heartbeat.objects.get().lag or 0) < 60


def test_clocks_that_differ_make_no_lag_below_nothing() -> None:
    heartbeat.scheduler_beat(NOW + dt.timedelta(seconds=5), NOW)
    assert Heartbeat.objects.get().lag == 0


def test_a_token_that_waits_for_too_long_is_told_of() -> None:
    connector = make_connector(make_project(), "gmail")
    make_token(connector, refresh_at=ago(3 * 3600))
    assert vital("tokens") == Vital("tokens", False, "A token has waited 3 hours for its refresh.", 3 * 3600)


def test_a_token_of_a_misconfigured_client_waits_for_a_person_and_not_for_a_worker() -> None:
    client = make_oauth_client(state=OAuthClient.State.MISCONFIGURED)
    make_token(make_connector(make_project(), "gmail"), oauth_client=client, refresh_at=ago(3 * 3600))
    assert vital("tokens").is_well


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "less than a second"), (1, "1 second"), (90, "90 seconds"), (120, "2 minutes"), (7200, "2 hours")],
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert words(seconds) == text

"""The operations page: for whoever may see everything, what works and what does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors.admin.pages.operations import advice
from connectors.flows import heartbeat
from connectors.flows.backup import note_backup
from connectors.flows.figures import QUERIES as FIGURES
from connectors.flows.figures import figures
from connectors.flows.operations import QUERIES, operations
from connectors.models import Heartbeat, Repository, SyncRun, TrailCheck
from tests.factories import SHELL, make_membership, make_project, make_repository, make_user

pytestmark = pytest.mark.django_db
PAGE, NOW = "admin:connectors_event_operations", "admin:connectors_event_operations_now"


def shown(client: Client, user: User, name: str = PAGE) -> str:
    client.force_login(user)
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("name", [PAGE, NOW])
def test_a_role_at_one_place_does_not_open_it(name: str, client: Client) -> None:
    user = make_user("owner", staff=True)
    make_membership(user, "owner", project=make_project())
    client.force_login(user)
    assert client.get(reverse(name)).status_code == 403
    assert reverse(PAGE) not in client.get(reverse("admin:index")).content.decode()


def test_an_auditor_of_the_whole_portal_finds_it_in_the_sidebar(client: Client) -> None:
    user = make_user("auditor", staff=True)
    make_membership(user, "auditor")
    shown(client, user)
    assert reverse(PAGE) in client.get(reverse("admin:index")).content.decode()


def test_it_says_that_there_is_no_worker(client: Client, operator: User) -> None:
    page = shown(client, operator)
    assert "2 parts do not do their work" in page
    assert "No worker has ever been heard of" in page


def test_processes_are_listed_and_all_is_well(client: Client, operator: User) -> None:
    now = timezone.now()
    heartbeat.beat(Heartbeat.Kind.WORKER, "worker@here:7", now, version="0.1.0")
    heartbeat.scheduler_beat(now, now)
    page = shown(client, operator)
    assert "worker@here:7" in page
    assert "1 worker at work." in page
    assert "not do" not in page


def test_what_fails_and_what_waits_is_shown(client: Client, operator: User) -> None:
    project = make_project("crm", sync_error="Base44 said no.")
    make_repository(state=Repository.State.FAILING, problem="The key is gone.")
    SyncRun.objects.create(project=project, kind="sync")
    page = shown(client, operator, NOW)
    assert all(text in page for text in ("Base44 said no.", "The key is gone.", "1 waiting for a worker."))


def test_a_trail_with_faults_is_cried_out(client: Client, operator: User) -> None:
    now = timezone.now()
    TrailCheck.objects.create(
        started_at=now, finished_at=now, from_segment=1, to_segment=1, events=9, fault_count=2, faults=[]
    )
    assert "The trail is not as it was written" in shown(client, operator)


def test_the_last_backup_is_known_where_somebody_notes_it(client: Client, operator: User) -> None:
    note_backup(SHELL, "nightly-2026-11-21")
    assert "nightly-2026-11-21" in shown(client, operator)


def test_the_part_that_changes_asks_for_itself_again(client: Client, operator: User) -> None:
    for name in (PAGE, NOW):
        assert f'hx-get="{reverse(NOW)}"' in shown(client, operator, name)


def test_unsafe_settings_are_put_into_words(client: Client, operator: User, settings: Any) -> None:
    settings.GIT_ALLOW_FILE_URLS = True
    advice.cache_clear()
    assert "Repositories may have file:// URLs." in shown(client, operator)
    settings.GIT_ALLOW_FILE_URLS = False
    advice.cache_clear()
    assert "Repositories may have file:// URLs." not in shown(client, operator)


def test_it_costs_the_same_whatever_there_is(django_assert_max_num_queries: Any) -> None:
    for number in range(8):
        make_project(sync_error="It said no.", synced_at=timezone.now() - dt.timedelta(hours=number))
    with django_assert_max_num_queries(FIGURES + QUERIES):
        figures(timezone.now())
        operations()

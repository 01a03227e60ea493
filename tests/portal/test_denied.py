"""Whoever tries what they may not is on record, and learns nothing by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from connectors.models import Event, Project, Workspace
from portal.denied import PER_MINUTE
from tests.factories import make_membership, make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_counted(settings: Any, tmp_path: Path) -> None:
    settings.PORTAL_DATA_DIR = tmp_path
    cache.clear()


@pytest.fixture
def outsider(client: Client) -> User:
    """Staff without any role, logged in."""
    user = make_user("outsider", staff=True)
    client.force_login(user)
    return user


def denied() -> list[Event]:
    return list(Event.objects.filter(verb="access.denied"))


def test_a_refused_page_is_on_record(client: Client, outsider: User) -> None:
    answer = client.get(reverse("admin:auth_user_changelist") + "?q=someone", REMOTE_ADDR="192.0.2.7")
    (event,) = denied()
    assert answer.status_code == 403
    assert (event.user_id, event.actor_label, event.address) == (outsider.pk, "outsider", "192.0.2.7")
    assert event.after == {"tried": "GET /admin/auth/user/", "why": "no permission"}
    assert event.request_id == answer["X-Request-ID"]


@pytest.mark.parametrize("name", ["change", "plan", "delete", "history"])
def test_a_foreign_row_is_on_record_and_looks_as_if_it_did_not_exist(
    name: str, client: Client, outsider: User, project: Project
) -> None:
    make_membership(outsider, "owner", project=make_project())
    foreign = client.get(reverse(f"admin:connectors_project_{name}", args=[project.pk]))
    (event,) = denied()
    assert event.after == {"tried": f"GET /admin/connectors/project/{project.pk}/{name}/", "why": "not theirs to see"}
    absent = client.get(reverse(f"admin:connectors_project_{name}", args=[project.pk + 1000]))
    assert (foreign.status_code, foreign.content) == (absent.status_code, absent.content)
    assert len(denied()) == 1


@pytest.mark.parametrize("written", ["%20{}", "%2B{}", "0_{}"])
def test_another_way_to_write_a_key_goes_on_record_too(
    written: str, client: Client, outsider: User, project: Project
) -> None:
    make_membership(outsider, "owner", project=make_project())
    client.get(f"/admin/connectors/project/{written.format(project.pk)}/change/")
    assert [event.after["why"] for event in denied()] == ["not theirs to see"]


def test_without_redis_a_refusal_stays_a_refusal_and_goes_on_record(
    client: Client, outsider: User, project: Project, settings: Any
) -> None:
    make_membership(outsider, "owner", project=make_project())
    nobody = "redis://127.0.0.1:1/0"
    settings.REDIS_URL = nobody
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": nobody}}
    assert client.get(reverse("admin:connectors_project_change", args=[project.pk])).status_code == 302
    assert len(denied()) == 1


def test_a_form_that_is_not_the_portals_own_is_on_record(operator: User, workspace: Workspace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    answer = client.post(reverse("admin:connectors_workspace_delete", args=[workspace.pk]), {"post": "yes"})
    assert answer.status_code == 403
    assert [event.after["why"] for event in denied()] == ["the form was not the portal's own"]
    assert Workspace.objects.filter(pk=workspace.pk).exists()


@pytest.mark.parametrize("key", ["%00", "_00"])
def test_a_refused_page_whose_key_holds_a_nul_is_on_record(client: Client, outsider: User, key: str) -> None:
    assert client.get(f"/admin/auth/user/{key}/delete/").status_code == 403
    assert len(denied()) == 1


def test_an_address_that_leads_nowhere_is_no_denied_attempt(client: Client, outsider: User) -> None:
    client.get("/admin/nowhere/")
    assert denied() == []


def test_a_page_that_is_allowed_is_no_denied_attempt(client: Client, operator: User, project: Project) -> None:
    client.force_login(operator)
    assert client.get(reverse("admin:connectors_project_change", args=[project.pk])).status_code == 200
    assert denied() == []


def test_a_flood_is_cut_off(client: Client, outsider: User) -> None:
    for _ in range(PER_MINUTE * 2 + 5):
        client.get(reverse("admin:auth_group_changelist"))
    assert PER_MINUTE <= len(denied()) <= PER_MINUTE * 2  # the minute may have changed meanwhile


def test_the_secret_of_an_address_stays_off_the_record(client: Client, outsider: User) -> None:
    secret = "Zebra-0123456789-0123456789"
    client.get(f"/admin/auth/user/?token={secret}")
    assert [event for event in denied() if secret in str(event.after)] == []

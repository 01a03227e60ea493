"""Each door may be knocked at so often, counted for all processes together."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from connectors.models import Event
from portal import counters
from portal.limit_numbers import NUMBERS, numbers_from

ROOT = Path(__file__).resolve().parents[2]
EACH, PROCESSES = 200, 4
COUNT = f"""
import sys, django
django.setup()
from portal import counters
print(max(counters.count("door:somebody", 86_400).number for _ in range({EACH})))
"""


@pytest.fixture
def limits(settings: Any, tmp_path: Path) -> dict[str, int]:
    """The limits are on, with nothing counted yet."""
    settings.PORTAL_DATA_DIR = tmp_path
    settings.RATE_LIMITS = dict(NUMBERS)
    cache.clear()
    found: dict[str, int] = settings.RATE_LIMITS
    return found


def count_in_processes(environment: dict[str, str]) -> list[int]:
    """The last count that each of several processes got, which counted the same thing at the same time."""
    command = [sys.executable, "-c", COUNT]
    wanted = {**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "portal.settings", "PORTAL_TESTING": "1"}

    def run(_: int) -> int:
        return int(subprocess.run(command, env=wanted, cwd=ROOT, check=True, capture_output=True, timeout=120).stdout)

    with ThreadPoolExecutor(PROCESSES) as pool:
        return sorted(pool.map(run, range(PROCESSES)))


def test_processes_count_together_in_files(tmp_path: Path) -> None:
    last = count_in_processes({"PORTAL_DATA_DIR": str(tmp_path), "REDIS_URL": "", "DATABASE_URL": ""})
    assert last[-1] == EACH * PROCESSES


@pytest.mark.redis
def test_processes_count_together_in_redis(tmp_path: Path) -> None:
    address = os.environ.get("REDIS_URL") or os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
    prefix = f"{os.environ['REDIS_PREFIX']}:limits"
    environment = {"PORTAL_DATA_DIR": str(tmp_path), "REDIS_URL": address, "REDIS_PREFIX": prefix, "DATABASE_URL": ""}
    assert count_in_processes(environment)[-1] == EACH * PROCESSES


def test_a_new_span_counts_anew_and_the_files_of_old_ones_go(
    limits: dict[str, int], tmp_path: Path, settings: Any
) -> None:
    settings.REDIS_URL = ""
    old = tmp_path / "counters" / "60" / "5"
    old.mkdir(parents=True)
    (old / "x").write_bytes(b"...")
    assert [counters.count("door", 60).number for _ in range(2)] == [1, 2]
    assert not old.exists()


@pytest.mark.django_db
def test_a_login_too_many_is_answered_with_429_and_when_to_come_back(limits: dict[str, int], client: Client) -> None:
    limits["login"] = 3
    answers = [client.post("/accounts/login/", {"login": "x", "password": "y"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < int(answers[3]["Retry-After"]) <= 60
    assert "That was too often" in answers[3].content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("door", "path"),
    [
        ("login", "/accounts/2fa/authenticate/"),
        ("callback", "/accounts/sign-in/corp/callback/"),
        ("callback", "/oauth/google/callback/"),
        ("join", "/join/"),
        ("consent", "/consent/made-up-secret/"),
        ("check", "/api/check/"),
        ("webhook", "/api/git/"),
    ],
)
def test_every_door_has_its_limit(limits: dict[str, int], client: Client, door: str, path: str) -> None:
    limits[door] = 1
    assert client.post(path).status_code != 429
    assert client.post(path).status_code == 429


@pytest.mark.django_db
def test_one_caller_does_not_use_up_what_others_have(limits: dict[str, int], client: Client) -> None:
    limits["check"] = 1
    for address in ("192.0.2.1", "192.0.2.2"):
        assert client.post("/api/check/", REMOTE_ADDR=address).status_code == 401
    assert client.post("/api/check/", REMOTE_ADDR="192.0.2.1").status_code == 429


@pytest.mark.django_db
def test_addresses_of_one_ipv6_network_count_as_one_caller(limits: dict[str, int], client: Client) -> None:
    limits["check"] = 1
    client.post("/api/check/", REMOTE_ADDR="2001:db8::1")
    assert client.post("/api/check/", REMOTE_ADDR="2001:db8::2").status_code == 429


def test_a_person_has_a_wide_limit_and_a_narrower_one_for_downloads(
    limits: dict[str, int], client: Client, operator: User
) -> None:
    client.force_login(operator)
    limits["download"] = 1
    path = "/accounts/sessions/?download=csv"
    assert [client.get(path).status_code for _ in range(2)] == [200, 429]
    limits["user"] = 2
    assert [client.get("/accounts/sessions/").status_code for _ in range(2)] == [200, 429]


@pytest.mark.django_db
def test_waiting_for_a_consent_is_not_knocking(limits: dict[str, int], client: Client) -> None:
    limits["consent"] = 1
    assert [client.get("/consent/1/status/").status_code == 429 for _ in range(3)] == [False] * 3


def test_wrong_passwords_of_one_name_are_stopped_and_few_of_them_recorded(
    limits: dict[str, int], client: Client, settings: Any, operator: User
) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "100/m/ip,5/300s/key"}
    for _ in range(15):
        client.post("/accounts/login/", {"login": operator.username, "password": "wrong"})
    right = client.post("/accounts/login/", {"login": operator.username, "password": "password"})
    assert right.status_code == 200
    assert "_auth_user_id" not in client.session
    notes = list(Event.objects.filter(verb="login.failed").order_by("pk").values_list("note", flat=True))
    assert notes[:6] == ["Wrong password."] * 5 + ["Too many tries; the password was not looked at."]
    assert len(notes) == 10


@pytest.mark.parametrize(("entries", "login"), [(["on"], 30), (["login=5", "user=900"], 5)])
def test_the_setting_changes_single_limits(entries: list[str], login: int) -> None:
    found = numbers_from(entries)
    assert found is not None
    assert found["login"] == login


@pytest.mark.parametrize("entries", [["door=5"], ["login"], ["login=0"], ["login=many"]])
def test_a_setting_that_makes_no_sense_stops_the_start(entries: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^RATE_LIMITS must be on, off"):
        numbers_from(entries)


def test_off_limits_nobody() -> None:
    assert numbers_from(["off"]) is None

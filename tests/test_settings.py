"""The environment drives the settings, and an unsafe environment stops the start with one clear line."""

from __future__ import annotations

import ast
import os
import re
import runpy
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from portal.celery import app as celery_app

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ROOT / "portal" / "settings.py"
Load = Callable[..., dict[str, Any]]


def good_secrets() -> dict[str, str]:
    return {"SECRET_KEY": secrets.token_urlsafe(50), "ENCRYPTION_KEYS": Fernet.generate_key().decode()}


def variables_read() -> set[str]:
    """Names that settings.py asks the environment for: the first argument of every `env...("NAME")`."""
    names = set()
    for node in ast.walk(ast.parse(SETTINGS.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env.") and node.args:
            names.add(ast.literal_eval(node.args[0]))
    return names


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Runs settings.py afresh in an environment that holds only what is passed."""

    def run(**environment: str) -> dict[str, Any]:
        for name in variables_read():
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(f"{name}_FILE", raising=False)
        monkeypatch.setenv("PORTAL_DATA_DIR", str(tmp_path / "data"))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(SETTINGS))

    return run


def test_the_table_of_variables_is_complete_and_has_no_others() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([A-Z0-9_]+)` \|", text, re.MULTILINE)) == variables_read()


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "is not set"),
        ("Zq7-pL2", "is too short"),
        ("django-insecure-" + "k3Jx" * 20, "is a placeholder"),
        ("ab" * 40, "is too easy to guess"),
    ],
)
def test_a_missing_or_weak_secret_key_stops_the_start(load: Load, value: str, fault: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^SECRET_KEY {fault}.*Make one with: python3 -c") as stopped:
        load(**good_secrets() | {"SECRET_KEY": value})
    assert "\n" not in str(stopped.value)
    assert not value or value not in str(stopped.value)


@pytest.mark.parametrize("value", ["", " , ", "not-a-key", "a" * 43])
def test_a_missing_or_malformed_encryption_key_stops_the_start(load: Load, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^ENCRYPTION_KEYS.*Make (a key|one) with: python3 -c") as stopped:
        load(**good_secrets() | {"ENCRYPTION_KEYS": value})
    assert "\n" not in str(stopped.value)


def test_a_malformed_key_is_named_by_its_place_and_not_shown(load: Load) -> None:
    with pytest.raises(ImproperlyConfigured, match="key 2 of 2") as stopped:
        load(**good_secrets() | {"ENCRYPTION_KEYS": f"{Fernet.generate_key().decode()},broken-key"})
    assert "broken-key" not in str(stopped.value)


def test_encryption_keys_keep_their_order(load: Load) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings = load(**good_secrets() | {"ENCRYPTION_KEYS": f" {first} ,\n{second}\n"})
    assert settings["ENCRYPTION_KEYS"] == [first, second]


def test_secrets_can_come_from_files(load: Load, tmp_path: Path) -> None:
    values = good_secrets()
    for name, value in values.items():
        (tmp_path / name).write_text(value + "\n", encoding="utf-8")
    settings = load(**{f"{name}_FILE": str(tmp_path / name) for name in values})
    assert settings["SECRET_KEY"] == values["SECRET_KEY"]
    assert settings["ENCRYPTION_KEYS"] == [values["ENCRYPTION_KEYS"]]


def test_a_secret_file_that_is_missing_stops_the_start(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^SECRET_KEY_FILE: cannot read .*absent"):
        load(SECRET_KEY_FILE=str(tmp_path / "absent"))


def test_debug_makes_its_own_secrets_and_keeps_them(load: Load, tmp_path: Path) -> None:
    first, second = load(DEBUG="on"), load(DEBUG="on")
    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert first["ENCRYPTION_KEYS"] == second["ENCRYPTION_KEYS"]
    for path in (tmp_path / "data" / "secrets").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_secrets_made_for_debug_do_not_serve_without_debug(load: Load) -> None:
    load(DEBUG="on")
    with pytest.raises(ImproperlyConfigured, match=r"^SECRET_KEY is not set"):
        load()


def test_defaults_are_safe(load: Load) -> None:
    settings = load(**good_secrets())
    assert settings["DEBUG"] is False
    assert settings["SECURE_SSL_REDIRECT"]
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert settings["SECURE_HSTS_SECONDS"] > 0
    assert "SECURE_PROXY_SSL_HEADER" not in settings


def test_forwarded_headers_are_trusted_only_behind_a_proxy(load: Load) -> None:
    settings = load(**good_secrets(), BEHIND_PROXY="on")
    assert settings["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")


def test_the_embedded_default_writes_only_into_the_data_directory(load: Load, tmp_path: Path) -> None:
    settings = load(**good_secrets())
    data = str(tmp_path / "data")
    broker = settings["CELERY_BROKER_TRANSPORT_OPTIONS"]
    places = [
        settings["DATABASES"]["default"]["NAME"],
        settings["CACHES"]["default"]["LOCATION"],
        settings["CELERY_BEAT_SCHEDULE_FILENAME"],
        settings["STATIC_ROOT"],
        broker["data_folder_in"],
        broker["control_folder"],
    ]
    assert [place for place in places if not str(place).startswith(data)] == []
    assert broker["data_folder_in"] == broker["data_folder_out"]


def test_sqlite_takes_the_write_lock_at_once_and_waits_for_it(load: Load) -> None:
    options = load(**good_secrets())["DATABASES"]["default"]["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] == 20
    assert "journal_mode=WAL" in options["init_command"]


def test_a_redis_url_serves_broker_and_cache(load: Load) -> None:
    settings = load(**good_secrets(), REDIS_URL="redis://cache.example:6379/3")
    assert settings["CELERY_BROKER_URL"] == "redis://cache.example:6379/3"
    assert settings["CACHES"]["default"]["LOCATION"] == "redis://cache.example:6379/3"


def test_an_unacknowledged_message_is_not_handed_out_while_its_task_may_run(load: Load) -> None:
    settings = load(**good_secrets(), REDIS_URL="redis://cache.example:6379/3")
    assert settings["CELERY_BROKER_TRANSPORT_OPTIONS"]["visibility_timeout"] > settings["CELERY_TASK_TIME_LIMIT"]


def test_a_postgres_url_selects_postgresql_with_checked_connections(load: Load) -> None:
    database = load(**good_secrets(), DATABASE_URL="postgres://u@db.example/portal")["DATABASES"]["default"]
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert database["CONN_HEALTH_CHECKS"] is True


def test_everything_scheduled_is_a_task_that_workers_know() -> None:
    celery_app.loader.import_default_modules()
    schedule = django_settings.CELERY_BEAT_SCHEDULE.values()
    assert {entry["task"] for entry in schedule} <= set(celery_app.tasks)


@pytest.mark.parametrize(
    "wrong",
    [
        {"SYNC_INTERVAL": "0"},
        {"METRICS_TOKEN": "short"},
        {"OUTGOING_ALLOWED_PRIVATE_HOSTS": "http://idp.corp"},
        {"SYNC_INTERVAL": "soon"},
        {"PORTAL_URL": "portal.acme.com"},
        {"LOG_FORMAT": "xml"},
        {"LOG_LEVEL": "loud"},
        {"DEBUG": "perhaps"},
        {"DATABASE_URL": "mailto:someone"},
        {"TIME_ZONE": "Mars/Olympus"},
        {"ALERT_ALLOWED_PRIVATE_HOSTS": "http://relay.corp"},
        {"GIT_ALLOWED_PRIVATE_HOSTS": "https://git.corp"},
    ],
    ids=str,
)
def test_a_value_that_makes_no_sense_is_answered_by_one_line(wrong: dict[str, str], tmp_path: Path) -> None:
    done = manage("check", **good_secrets(), **wrong, PORTAL_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert next(iter(wrong)) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_without_secrets_every_command_ends_with_one_line(tmp_path: Path) -> None:
    done = manage("check", PORTAL_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("SECRET_KEY is not set.")
    assert len(done.stderr.splitlines()) == 1


def test_the_deployment_check_is_clean(tmp_path: Path) -> None:
    environment = good_secrets() | {"ALLOWED_HOSTS": "portal.example.org", "PORTAL_DATA_DIR": str(tmp_path)}
    done = manage("check", "--deploy", "--fail-level", "WARNING", **environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.django_db
def test_pages_forbid_inline_scripts_and_styles(client: Client) -> None:
    policy = client.get("/accounts/login/")["Content-Security-Policy"]
    directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))  # in no fixed order
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert "unsafe" not in policy


@pytest.mark.django_db
def test_the_admins_own_login_page_leads_to_allauth(client: Client) -> None:
    answer = client.get("/admin/login/?next=/admin/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.django_db
def test_nobody_signs_up(client: Client, django_user_model: Any) -> None:
    client.post(
        "/accounts/signup/",
        {"email": "new@example.org", "username": "new", "password1": "a-long-enough-phrase"},
    )
    assert not django_user_model.objects.exists()


@pytest.mark.django_db
def test_a_person_logs_in_through_the_login_page(client: Client, django_user_model: Any) -> None:
    django_user_model.objects.create_superuser("ada", "ada@example.org", "correct horse battery")
    answer = client.post("/accounts/login/", {"login": "ada", "password": "correct horse battery"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.django_db
def test_the_first_page_is_the_admin(admin_client: Client) -> None:
    answer = admin_client.get("/")
    assert answer["Location"] == "/admin/"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/admin/", "/admin/connectors/project/"])
def test_a_stranger_is_sent_to_the_login_page(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_healthz_needs_neither_login_nor_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_a_load_balancer_may_ask_by_address_and_without_https(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz", headers={"Host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.django_db
def test_readyz_asks_database_cache_and_broker(client: Client) -> None:
    parts = ("status", "database", "migrations", "cache", "broker")
    assert client.get("/readyz").json() == dict.fromkeys(parts, "ok")


@pytest.mark.django_db
def test_readyz_names_the_part_that_does_not_answer(client: Client, settings: Any, tmp_path: Path) -> None:
    settings.REDIS_URL = ""
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_out": str(tmp_path / "absent")}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    working = dict.fromkeys(("database", "migrations", "cache"), "ok")
    assert answer.json() == {"status": "unavailable", **working, "broker": "failed"}


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py in an environment that holds only PATH and what is passed."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )

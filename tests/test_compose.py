"""docker-compose.yml and the Dockerfile fit the portal, and what they run works on PostgreSQL and Redis.

There is no Docker here: the file is read, and its commands are run by hand in the environment that it describes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import yaml
from cryptography.fernet import Fernet

from tests import needs
from tests.test_settings import variables_read

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
OURS = ("migrate", "web", "worker", "beat")
on_servers = [pytest.mark.postgres, pytest.mark.redis]


def image_command() -> list[str]:
    """The CMD of the Dockerfile."""
    return list(json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1]))


@pytest.mark.parametrize("service", OURS)
def test_every_variable_that_compose_sets_is_one_that_the_settings_read(service: str) -> None:
    names = {name.removesuffix("_FILE") for name in COMPOSE["services"][service]["environment"]}
    assert names <= variables_read()


def test_compose_hands_on_every_variable_but_those_that_the_image_fixes() -> None:
    fixed = {"DEBUG", "PORTAL_TESTING", "PORTAL_DATA_DIR", "STATIC_ROOT", "REDIS_PREFIX"}
    fixed |= {"GIT_CACHE_DIR", "GIT_ALLOW_FILE_URLS"}  # on the container's own disk, which has no repositories
    handed_on = {name.removesuffix("_FILE") for name in COMPOSE["x-portal"]["environment"]}
    assert variables_read() - fixed == handed_on


def test_events_that_leave_the_database_lie_on_a_volume_that_the_portal_can_write() -> None:
    folder = COMPOSE["x-portal"]["environment"]["TRAIL_ARCHIVE_DIR"]
    (volume,) = COMPOSE["x-portal"]["volumes"]
    name, path = volume.split(":")
    assert path == folder
    assert name in COMPOSE["volumes"]
    assert re.search(rf"install .*--owner=portal .*{folder}$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("service", OURS)
def test_no_secret_stands_in_the_environment(service: str) -> None:
    environment = COMPOSE["services"][service]["environment"]
    assert not {"SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL"} & set(environment)
    for name, path in environment.items():
        if name.endswith("_FILE"):
            assert Path(path).name in COMPOSE["services"][service]["secrets"]


@pytest.mark.parametrize("service", OURS)
def test_services_run_without_privileges_on_a_read_only_file_system(service: str) -> None:
    described = COMPOSE["services"][service]
    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in described["security_opt"]


def test_the_image_runs_as_a_user_of_its_own() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == "portal"


@pytest.mark.parametrize("service", ["web", "worker", "beat"])
def test_services_start_after_a_migration_that_succeeded(service: str) -> None:
    condition = COMPOSE["services"][service]["depends_on"]["migrate"]["condition"]
    assert condition == "service_completed_successfully"


def test_workers_can_be_scaled_out() -> None:
    worker = COMPOSE["services"]["worker"]
    assert "container_name" not in worker
    assert "ports" not in worker


def test_every_file_that_the_image_copies_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in shlex.split(line):
            assert (ROOT / source).exists()


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    """A new, empty database on the test server."""
    name = f"portal_compose_{secrets.token_hex(4)}"
    with psycopg.connect(needs.POSTGRES_URL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(needs.POSTGRES_URL)._replace(path=f"/{name}"))
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def environment(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a container sees: Compose's variables with their defaults, secrets as files, a data directory of its own."""
    folder = tmp_path_factory.mktemp("container")
    values = {
        "secret_key": secrets.token_urlsafe(50),
        "encryption_keys": Fernet.generate_key().decode(),
        "database_url": database_url,
    }
    for name, value in values.items():
        (folder / name).write_text(value + "\n", encoding="utf-8")
    described = {name: default_of(value) for name, value in COMPOSE["x-portal"]["environment"].items()}
    described |= {name: str(folder / Path(path).name) for name, path in described.items() if name.endswith("_FILE")}
    return described | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PYTHONUNBUFFERED": "1",
        "PORTAL_DATA_DIR": str(folder / "data"),
        "TRAIL_ARCHIVE_DIR": str(folder / "archive"),
        "REDIS_URL": needs.REDIS_URL,
        "REDIS_PREFIX": f"portal-tests-{secrets.token_hex(4)}",
        "BEHIND_PROXY": "on",
        "LOG_FORMAT": "text",
    }


def default_of(value: Any) -> str:
    """What Compose makes of `${NAME:-default}` where NAME is not set; YAML reads `on` and `off` as booleans."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


@pytest.fixture(scope="module")
def migrated(environment: dict[str, str]) -> dict[str, str]:
    """The environment after the migrate step and the image's collection of static files."""
    for command in (COMPOSE["services"]["migrate"]["command"], ["python", "manage.py", "collectstatic", "--noinput"]):
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return environment


def health_command(service: str) -> str:
    """What Docker runs in a shell to see whether a service is well."""
    kind, command = COMPOSE["services"][service]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    return str(command).replace("$$", "$")


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], until: str) -> Iterator[subprocess.Popen[str]]:
    """A service that has said `until`; on leaving it is asked to end as Docker does it, and must not fail at that."""
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if until in line:
                break
        else:
            pytest.fail("".join(said))
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
    assert process.returncode == 0


class Test_on_real_servers:  # noqa: N801 - groups what needs the servers
    pytestmark = on_servers

    def test_the_migration_can_run_again(self, migrated: dict[str, str]) -> None:
        command = COMPOSE["services"]["migrate"]["command"]
        done = subprocess.run(command, cwd=ROOT, env=migrated, check=True, capture_output=True, text=True)
        assert "No migrations to apply" in done.stdout

    def test_the_web_server_is_ready_and_serves_static_files(self, migrated: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in image_command()]
        with running(command, migrated, until="Booting worker"):
            ready = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30))
            assert ready == dict.fromkeys(("status", "database", "migrations", "cache", "broker"), "ok")
            manifest = json.loads((Path(migrated["PORTAL_DATA_DIR"]) / "static/staticfiles.json").read_text())
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/static/{manifest['paths']['portal/favicon.svg']}",
                headers={"X-Forwarded-Proto": "https"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert "immutable" in answer.headers["Cache-Control"]

    def test_the_worker_starts_is_healthy_and_ends_in_order(self, migrated: dict[str, str]) -> None:
        with running(COMPOSE["services"]["worker"]["command"], migrated, until="ready."):
            subprocess.run(["sh", "-c", health_command("worker")], cwd=ROOT, env=migrated, check=True)
        assert subprocess.run(["sh", "-c", health_command("worker")], cwd=ROOT, env=migrated, check=False).returncode

    def test_the_scheduler_starts_and_ends_in_order(self, migrated: dict[str, str]) -> None:
        # More talkative, to wait for its first pause: asked to end while it opens its file, Celery fails.
        command = [part.replace("=INFO", "=DEBUG") for part in COMPOSE["services"]["beat"]["command"]]
        with running(command, migrated, until="beat: Waking up"):
            pass

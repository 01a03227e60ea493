"""What docs/operations.md says of backups and keys, carried out: a copy is restored at another place and is whole."""

from __future__ import annotations

import json
import secrets
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection
from django.test import Client

from connectors.flows.backup import make_backup
from connectors.flows.events import record_event
from connectors.models import Event, Token, trail_guard
from tests import needs
from tests.factories import SHELL, make_connector, make_project, make_token, make_user
from tests.flows.trail_scene import align_sequences
from tests.servers.worker import ROOT, database_url, portal_environment

ACCESS = "access-token-in-the-clear"


@pytest.fixture
def token(transactional_db: None) -> Iterator[Token]:
    """A token with its project, and an event about it; committed, so that other processes see it, and guarded."""
    trail_guard.install(connection)
    made = make_token(make_connector(make_project("crm"), "gmail"), access=ACCESS)
    record_event(SHELL, "project.added", made.connector.project)
    align_sequences()
    yield made
    trail_guard.remove(connection)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """The address of an empty place for a database of the same kind."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'restored.sqlite3'}"
        return
    name = f"portal_restored_{secrets.token_hex(4)}"
    server = urlunsplit(urlsplit(database_url())._replace(path="/postgres"))
    with psycopg.connect(server, autocommit=True) as control:
        control.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(database_url())._replace(path=f"/{name}"))
        control.execute(f"DROP DATABASE {name} WITH (FORCE)")


def restore(backup: Path, address: str) -> None:
    """As docs/operations.md says."""
    if connection.vendor == "sqlite":
        shutil.copyfile(backup, address.removeprefix("sqlite:///"))
        return
    if shutil.which("pg_restore") is None:
        needs.require("postgres", "pg_restore was not found")
    subprocess.run(
        ["pg_restore", "--no-owner", "--exit-on-error", f"--dbname={address}", str(backup)], check=True, timeout=120
    )


def manage(address: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """manage.py on the restored database, in a process that knows only what an operator would give it."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**portal_environment(), "DATABASE_URL": address, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


SHOW = (
    "import json; from connectors.models import *; from django.contrib.auth.models import User;"
    "print(json.dumps([Token.objects.get().access_token.reveal(), Project.objects.get().slug, Event.objects.count()]))"
)


def test_a_backup_is_restored_into_an_empty_place(token: Token, elsewhere: str, tmp_path: Path) -> None:
    backup, events = tmp_path / "portal.backup", Event.objects.count()
    size = make_backup(SHELL, backup)
    assert (backup.stat().st_size, stat.S_IMODE(backup.stat().st_mode)) == (size, 0o600)
    restore(backup, elsewhere)
    assert manage(elsewhere, "migrate", "--check").returncode == 0
    shown = manage(elsewhere, "shell", "--no-imports", "-c", SHOW)
    assert json.loads(shown.stdout) == [ACCESS, "crm", events], shown.stderr


def test_the_trail_is_whole_after_a_restore_and_still_guarded(token: Token, elsewhere: str, tmp_path: Path) -> None:
    make_backup(SHELL, tmp_path / "portal.backup")
    restore(tmp_path / "portal.backup", elsewhere)
    verified = manage(elsewhere, "verify_audit_trail")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    forged = manage(
        elsewhere, "shell", "--no-imports", "-c", "from connectors.models import Event; Event.objects.update(verb='x')"
    )
    assert forged.returncode != 0


def test_without_the_right_key_a_restored_credential_stays_closed(token: Token, elsewhere: str, tmp_path: Path) -> None:
    make_backup(SHELL, tmp_path / "portal.backup")
    restore(tmp_path / "portal.backup", elsewhere)
    shown = manage(elsewhere, "shell", "--no-imports", "-c", SHOW, ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert shown.returncode != 0
    assert ACCESS not in shown.stdout + shown.stderr
    assert ACCESS.encode() not in (tmp_path / "portal.backup").read_bytes()


def test_encryption_keys_are_changed_on_the_restored_copy(token: Token, elsewhere: str, tmp_path: Path) -> None:
    make_backup(SHELL, tmp_path / "portal.backup")
    restore(tmp_path / "portal.backup", elsewhere)
    new = Fernet.generate_key().decode()
    both = {"ENCRYPTION_KEYS": ",".join([new, *settings.ENCRYPTION_KEYS])}
    assert manage(elsewhere, "rotate_encryption_keys", "--check", **both).returncode == 1
    assert manage(elsewhere, "rotate_encryption_keys", **both).returncode == 0
    assert manage(elsewhere, "rotate_encryption_keys", "--check", **both).returncode == 0
    shown = manage(elsewhere, "shell", "--no-imports", "-c", SHOW, ENCRYPTION_KEYS=new)
    assert json.loads(shown.stdout)[0] == ACCESS, shown.stderr


@pytest.mark.django_db
def test_a_new_secret_key_keeps_sessions_while_the_old_one_is_a_fallback(client: Client, settings: object) -> None:
    client.force_login(make_user("operator", staff=True, superuser=True))
    old = settings.SECRET_KEY  # type: ignore[attr-defined]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = secrets.token_urlsafe(50), [old]  # type: ignore[attr-defined]
    assert client.get("/admin/").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []  # type: ignore[attr-defined]
    assert client.get("/admin/").status_code == 200  # it was signed anew by the first request
    settings.SECRET_KEY = secrets.token_urlsafe(50)  # type: ignore[attr-defined]
    assert client.get("/admin/").status_code == 302

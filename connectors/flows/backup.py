"""Write the whole database into one file, and put on record that it was done."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db import connection

from connectors.core.actor import Actor
from connectors.core.errors import PortalError, Refused
from connectors.flows.events import Change, record_events
from connectors.models import Event, Workspace

VERB = "backup.made"


class BackupError(PortalError):
    """There is no backup; what there was of it is gone."""


def make_backup(actor: Actor, target: Path) -> int:
    """Writes a consistent copy beside the running portal, reads it again, and returns its size in bytes.

    Nobody but this account can read the file. Raises Refused where there is a file already, BackupError when it fails.
    """
    _reserve(target)
    try:
        (_copy_sqlite if connection.vendor == "sqlite" else _dump_postgres)(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    size = target.stat().st_size
    note_backup(actor, target.name, size)
    return size


def note_backup(actor: Actor, what: str, size: int | None = None) -> None:
    """Puts a backup on record that was made elsewhere, such as by the host of the database."""
    if not what.strip():
        raise Refused("Say which backup was made, such as the name of its file.")
    after: dict[str, Any] = {"backup": what.strip()[:200], **({"bytes": size} if size is not None else {})}
    record_events(actor, VERB, [Change(Workspace(), after=after)])


def last_backup() -> Event | None:
    """The newest one on record; None: nobody has ever noted one here."""
    return Event.objects.filter(verb=VERB).order_by("-id").first()


def _reserve(target: Path) -> None:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise Refused(f"{target} is there already; no backup is ever overwritten.") from None


def _copy_sqlite(target: Path) -> None:
    """Beside writers: SQLite copies one state of the file, and readers and the writer go on meanwhile."""
    source = str(connection.settings_dict["NAME"])
    try:
        with contextlib.closing(sqlite3.connect(source, timeout=60)) as database:
            database.execute("VACUUM INTO ?", [str(target)])
        with contextlib.closing(sqlite3.connect(target)) as copy:
            found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupError(f"SQLite could not write the backup: {error}") from None
    if found != "ok":
        raise BackupError("The copy is damaged, so the database may be as well. Look at it before anything else.")


def _dump_postgres(target: Path) -> None:
    _run(["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"])
    _run(["pg_restore", "--list", str(target)])  # reads the table of contents, which is written last


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Refused(
            f"{command[0]} was not found on this machine. Run it where PostgreSQL is, "
            "and note the backup here with --made-elsewhere."
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it does not say why"]
        raise BackupError(f"{command[0]} failed: {said[-1]}")


def _environment() -> dict[str, str]:
    """Where the database is, for PostgreSQL's own programs: on a command line others could read the password."""
    database = connection.settings_dict
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
    said = {name: str(database[key]) for name, key in names.items() if database.get(key)}
    return {**os.environ, "LC_ALL": "C", **said}

"""Places to measure in: a new data directory and database each, and nothing left of them afterwards."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from cryptography.fernet import Fernet
from psycopg import sql

from tests import needs

PREFIX = "portal-bench"
EMBEDDED = "SQLite, disk"
SERVERS = "PostgreSQL, Redis"
_OWN_SETTINGS = ("DEBUG", "ALLOWED_HOSTS", "EMAIL_URL", "BASE44_API_URL", "SYNC_INTERVAL", "STATIC_ROOT", "LOG_FORMAT")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a portal can run: `env` is the environment of its processes, `folder` a directory that will be deleted."""

    kind: str
    folder: Path
    env: Mapping[str, str]


def kinds() -> tuple[list[str], list[str]]:
    """The kinds of places there are on this machine, and why others are left out."""
    faults = [reason for marker in ("postgres", "redis") if (reason := needs.missing(marker))]
    if faults:
        return [EMBEDDED], [f"{SERVERS}: {' and '.join(faults)}"]
    return [EMBEDDED, SERVERS], []


@contextmanager
def new_place(kind: str) -> Iterator[Place]:
    """A place of its own for one portal; its database, keys and files are gone at the end."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}-") as name:
        folder = Path(name)
        env = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
        for key in _OWN_SETTINGS:
            env.pop(key, None)
        env |= {
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "PORTAL_TESTING": "1",
            "PORTAL_DATA_DIR": str(folder / "data"),
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEYS": Fernet.generate_key().decode("ascii"),
            "HTTPS": "off",
            "LOG_LEVEL": "ERROR",
            "OUTGOING_ALLOWED_PRIVATE_HOSTS": "127.0.0.1,localhost",
        }
        if kind == EMBEDDED:
            yield Place(kind, folder, env)
        else:
            with _own_database() as database_url, _own_keys() as prefix:
                servers = {"DATABASE_URL": database_url, "REDIS_URL": needs.REDIS_URL, "REDIS_PREFIX": prefix}
                yield Place(kind, folder, env | servers)


@contextmanager
def _own_database() -> Iterator[str]:
    name = f"{PREFIX}-{secrets.token_hex(4)}"
    with psycopg.connect(needs.POSTGRES_URL, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(needs.POSTGRES_URL)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _own_keys() -> Iterator[str]:
    prefix = f"{PREFIX}-{secrets.token_hex(4)}"
    try:
        yield prefix
    finally:
        with redis.Redis.from_url(needs.REDIS_URL) as server:
            for key in server.scan_iter(match=f"{prefix}:*", count=1000):
                server.delete(key)

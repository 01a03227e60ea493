"""What some tests need beyond Python (a browser, Node.js, PostgreSQL, Redis, ssh): found, or said to be missing."""

from __future__ import annotations

import functools
import os
import shutil
import socket
from typing import NoReturn
from urllib.parse import urlsplit

import pytest

POSTGRES_URL = os.environ.get("TEST_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def require(what: str, reason: str) -> NoReturn:
    """Skip the running test because `what` is missing; with PORTAL_TEST_REQUIRE=all (or a list with `what`) fail it."""
    wanted = {name.strip() for name in os.environ.get("PORTAL_TEST_REQUIRE", "").split(",")}
    if wanted & {"all", what}:
        pytest.fail(f"{reason} (PORTAL_TEST_REQUIRE asks for {what})", pytrace=False)
    pytest.skip(reason)


@functools.cache
def chromium() -> str | None:
    """Path of a Chromium: the CHROMIUM variable, else the first on PATH; None when there is none."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return shutil.which(chosen)
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@functools.cache
def node() -> str | None:
    """Path of Node.js, None when it or npm is missing."""
    return shutil.which("node") if shutil.which("npm") else None


@functools.cache
def sshd() -> str | None:
    """Path of the ssh server, which is often outside an ordinary user's PATH; None when it or ssh itself is missing."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("sshd", path=places) if shutil.which("ssh") and shutil.which("ssh-agent") else None


@functools.cache
def answers(url: str) -> bool:
    """Whether something accepts connections at the host and port of a postgres:// or redis:// address."""
    parts = urlsplit(url)
    port = parts.port or (5432 if parts.scheme.startswith("postgres") else 6379)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def missing(marker: str) -> str | None:
    """Why a test with this marker cannot run here, in words; None when it can."""
    if marker == "browser" and chromium() is None:
        return "no Chromium was found (CHROMIUM=/path/to/chromium says where one is)"
    if marker == "cli" and node() is None:
        return "Node.js and npm were not found"
    if marker == "postgres" and not answers(POSTGRES_URL):
        return "no PostgreSQL answers at TEST_DATABASE_URL"
    if marker == "redis" and not answers(REDIS_URL):
        return "no Redis answers at TEST_REDIS_URL"
    if marker == "ssh" and sshd() is None:
        return "OpenSSH's client and server (ssh, ssh-agent, sshd) were not found"
    return None

"""A portal with all around it, database, broker, Base44, a provider, a git host; and the state it should reach."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from tests.faults.kept import Kept, portal
from tests.faults.own_servers import OwnPostgres, OwnRedis, free_port
from tests.faults.provider import Provider
from tests.servers.emulator_process import EmulatorProcess
from tests.servers.git_http import GitServer, git_http_server
from tests.servers.git_repos import RepoMaker
from tests.servers.http import ask
from tests.servers.token_endpoint import token_server

TYPES = ("slackbot", "notion", "github")
WORDS = ("read", "write", "list", "send", "find", "join", "pin", "star")


@dataclass
class World:
    """All that runs; `projects` maps slugs to keys once `rows.prepare` has made them."""

    folder: Path
    postgres: OwnPostgres
    redis: OwnRedis
    emulator: EmulatorProcess
    provider: Provider
    git: GitServer
    repo: RepoMaker
    port: int
    env: dict[str, str]
    processes: dict[str, Kept] = field(default_factory=dict)
    projects: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Of the web."""
        return f"http://127.0.0.1:{self.port}"

    def keep_running(self) -> None:
        """Starts what has died."""
        for process in self.processes.values():
            process.ensure()

    def at_base44(self) -> dict[str, dict[str, list[str]]]:
        """What is registered, by app and type."""
        apps = ask(self.emulator.url, "GET", "/_emulator/apps").json["apps"]
        return {app["id"]: {type_: row["scopes"] for type_, row in app["connections"].items()} for app in apps}

    def in_git(self, slug: str) -> dict[str, list[str]]:
        """What the files of a project say; a type without a readable file is left out."""
        found = {}
        for type_ in TYPES:
            with suppress(subprocess.CalledProcessError, ValueError):
                text = self.repo.read(f"apps/{slug}/base44/connectors/{type_}.jsonc")
                found[type_] = sorted(json.loads(text)["scopes"])
        return found

    def agree_to_all(self) -> None:
        """A person opens each consent that Base44 waits for, and agrees."""
        for link in ask(self.emulator.url, "GET", "/_emulator/consents").json["consents"]:
            ask(self.emulator.url, "POST", "/_emulator/consents/decide", {"app": link["app"], "type": link["type"]})


def wanted(number: int, turn: int) -> dict[str, list[str]]:
    """What a project should have after so many turns: another set of scopes of each type in each turn."""
    start = number * 3 + turn
    return {
        type_: sorted({f"{WORDS[(start + place + step) % 8]}:{type_}" for step in range(3)})
        for place, type_ in enumerate(TYPES)
    }


def files(scopes: dict[str, list[str]]) -> dict[str, bytes]:
    """The same as connector files."""
    return {f"{type_}.jsonc": json.dumps({"type": type_, "scopes": names}).encode() for type_, names in scopes.items()}


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Starts all but the portal's own processes, and ends everything at last."""
    with ExitStack() as stack:
        postgres = OwnPostgres(folder / "postgres")
        stack.callback(postgres.stop)
        redis = OwnRedis(folder / "redis")
        stack.callback(redis.stop)
        emulator = stack.enter_context(EmulatorProcess("--no-rate-limits"))
        provider = Provider(stack.enter_context(token_server()))
        provider.server.extra = {"expires_in": 61}
        git = stack.enter_context(git_http_server(folder / "git-host"))
        repo = git.make()
        repo.commit({"README.md": "The team's apps.\n"}, "Begin")
        env = _environment(folder, postgres.url, redis.url)
        made = World(folder, postgres, redis, emulator, provider, git, repo, free_port(), env)
        made.processes = portal(env, made.port, folder)
        for process in made.processes.values():
            stack.callback(process.kill)
        yield made


def _environment(folder: Path, database: str, broker: str) -> dict[str, str]:
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PORTAL_TESTING": "1",
        "PORTAL_DATA_DIR": str(folder / "data"),
        "DATABASE_URL": database,
        "REDIS_URL": broker,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEYS": Fernet.generate_key().decode("ascii"),
        "HTTPS": "off",
        "LOG_LEVEL": "WARNING",
        "MFA_REQUIRED": "off",
        "RATE_LIMITS": "off",
        "SYNC_INTERVAL": "3600",
        "GIT_ALLOWED_PRIVATE_HOSTS": "127.0.0.1",
        "OUTGOING_ALLOWED_PRIVATE_HOSTS": "127.0.0.1,localhost",
        "GIT_TIMEOUT": "20",
    }

"""The real Base44 CLI and SDK from npm, pinned: fetched once into `.cache/npm/`, used offline from then on."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.servers.npm import CACHE, new_folder, npm

CLI = "base44@0.1.18"
CLI_SHA512 = "hEdlhAeieHN3EG/c4KpTN6cz1iRyfeO+gloprkGlYy1x7CIhyFDiM2CwfhegZpJuMPbojXrFprLBq0AFR+oc4g=="
"""Of the package's archive, in base64 as npm states it: what we test against must not change unseen."""
SDK = "@base44/sdk@0.8.50"
TIMEOUT = 60
FAR_AHEAD = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class CliRun:
    """How a run of the CLI ended. Results are on stdout, progress on stderr."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.stdout)

    @property
    def text(self) -> str:
        """Everything that a person would have seen."""
        return self.stdout + self.stderr


class Service(Protocol):
    """An emulator, in this process or another one."""

    @property
    def url(self) -> str:
        """Its address."""

    @property
    def pat(self) -> str:
        """A personal access token that it accepts."""


class Base44Cli:
    """The CLI with a home directory of its own, signed in at an emulator.

    The CLI has no setting for a personal access token, but takes one that stands where a login's access token does.
    """

    def __init__(self, emulator: Service, home: Path, *, token: str = "", refresh: str = "none") -> None:
        self.home = home
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "BASE44_API_URL": emulator.url,
            "BASE44_DISABLE_TELEMETRY": "1",
            "BASE44_CLI_TEST_OVERRIDES": json.dumps({"latestVersion": None}),
            "NO_COLOR": "1",
        }
        self.sign_in(token or emulator.pat, refresh)

    @property
    def login_file(self) -> Path:
        """Where the CLI keeps its login."""
        return self.home / ".base44" / "auth" / "auth.json"

    def sign_in(self, token: str, refresh: str = "none", *, expires_in: float = FAR_AHEAD) -> None:
        """Write the login file that the CLI reads; it refreshes by itself when `expires_in` (seconds) is small."""
        self.login_file.parent.mkdir(parents=True, exist_ok=True)
        expires_at = int((time.time() + expires_in) * 1000)
        login = {"accessToken": token, "refreshToken": refresh, "expiresAt": expires_at}
        self.login_file.write_text(json.dumps({**login, "email": "admin@acme.example", "name": "Ada Admin"}))

    def command(self, *arguments: str) -> list[str]:
        """The command line of a run."""
        return ["node", str(cli_folder() / "bin" / "run.js"), *arguments]

    def run(self, folder: Path, *arguments: str, **env: str) -> CliRun:
        """Run the CLI in a folder, without a terminal, and wait for its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=folder,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return CliRun(done.returncode, done.stdout, done.stderr)


def linked_project(folder: Path, app_id: str, connectors: dict[str, list[str]] | None = None) -> Path:
    """A project folder as `base44 link` leaves it, with one file for each connector; returns the connectors folder."""
    settings = folder / "base44"
    (settings / "connectors").mkdir(parents=True)
    (settings / "config.jsonc").write_text('{\n  "name": "sample"\n}\n')
    (settings / ".app.jsonc").write_text(json.dumps({"id": app_id}))
    write_connectors(settings / "connectors", connectors or {})
    return settings / "connectors"


def write_connectors(folder: Path, connectors: dict[str, list[str]]) -> None:
    """One file for each connector."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, scopes in connectors.items():
        (folder / f"{name}.jsonc").write_text(json.dumps({"type": name, "scopes": scopes}))


@functools.cache
def cli_folder() -> Path:
    """The unpacked CLI; the running test is skipped (or fails, as PORTAL_TEST_REQUIRE says) when npm can't get it."""
    target = CACHE / CLI
    if not (target / "package").is_dir():
        with new_folder(target) as folder:
            printed = npm("pack", CLI, "--silent", folder=folder, need="cli", what=CLI)
            archive = folder / printed.strip().splitlines()[-1]
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if digest != CLI_SHA512:
                raise AssertionError(f"{CLI} is not the archive that these tests were written for")
            with tarfile.open(archive) as packed:
                packed.extractall(folder, filter="data")
    return target / "package"


@functools.cache
def sdk_folder() -> Path:
    """A folder whose node_modules holds the SDK; a missing one skips or fails as for the CLI."""
    target = CACHE / SDK.replace("/", "+")
    if not (target / "node_modules").is_dir():
        with new_folder(target) as folder:
            (folder / "package.json").write_text('{"private": true, "type": "module"}')
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
            npm("install", SDK, *options, folder=folder, need="cli", what=SDK)
    return target

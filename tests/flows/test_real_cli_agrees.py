"""The real Base44 CLI on files that the portal exported: nothing to pull, nothing to set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from connectors.core.base44.client import Base44Client
from connectors.core.base44.emulator import Emulator
from connectors.core.config_files import locate_project
from connectors.flows import plan
from connectors.flows.declare import declare
from connectors.flows.export_files import export_to_directory
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.models import Project
from tests.factories import SHELL
from tests.servers.base44_cli import Base44Cli, linked_project

from .conftest import APP

pytestmark = pytest.mark.cli

GMAIL = b"""// Who may write to customers: ask before you add.
{
  type: 'gmail',
  scopes: [
    'https://www.googleapis.com/auth/gmail.readonly', // triage
    'https://www.googleapis.com/auth/gmail.send',
  ],
}
"""
SLACKBOT = b'{\r\n  "type": "slackbot",\r\n  "scopes": ["chat:write"]\r\n}\r\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project as its team keeps it: linked to the app, with two files in two styles."""
    folder = tmp_path / "repository"
    directory = linked_project(folder, APP)
    (directory / "gmail.jsonc").write_bytes(GMAIL)
    (directory / "slackbot.jsonc").write_bytes(SLACKBOT)
    return folder


@pytest.fixture
def cli(base44: Emulator, tmp_path: Path) -> Base44Cli:
    """The real CLI, signed in at the emulator."""
    return Base44Cli(base44, tmp_path / "home")


def exported(project: Project, folder: Path, tmp_path: Path) -> Path:
    """The folder imported, one scope added in the portal, and exported with a lock file over a copy of itself."""
    apply_import(plan_import(project, locate_project(folder)), SHELL)
    declare(project, "slackbot", ["chat:write", "users:read"], {}, SHELL)
    copy = tmp_path / "exported"
    shutil.copytree(folder, copy)
    export_to_directory(project, copy, SHELL, lock=True)
    return copy


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "base44" / "connectors").iterdir()}


def test_pull_finds_exported_files_up_to_date_and_leaves_every_byte(
    base44: Emulator, live_project: Project, folder: Path, tmp_path: Path, cli: Base44Cli
) -> None:
    copy = exported(live_project, folder, tmp_path)
    for row in live_project.connectors.all():
        base44.register(APP, row.integration_type_id, row.scopes)
    before = files_of(copy)
    assert before["gmail.jsonc"] == GMAIL
    assert before["slackbot.jsonc"] == SLACKBOT.replace(b'"chat:write"', b'"chat:write", "users:read"')
    assert cli.run(copy, "connectors", "pull").exit_code == 0
    assert files_of(copy) == before


def test_push_of_exported_files_says_synced_after_the_portal_applied_its_plan(
    base44: Emulator, live_project: Project, client: Base44Client, folder: Path, tmp_path: Path, cli: Base44Cli
) -> None:
    copy = exported(live_project, folder, tmp_path)
    for row in live_project.connectors.all():
        base44.register(APP, row.integration_type_id, row.scopes)
    assert plan.show_plan(live_project, client, SHELL).is_empty
    pushed = cli.run(copy, "connectors", "push", "--yes", "--json")
    actions = {row["type"]: row["action"] for row in pushed.json["results"]}
    assert actions == {"gmail": "synced", "slackbot": "synced"}


def test_the_cli_takes_no_notice_of_the_lock_file(
    base44: Emulator, live_project: Project, folder: Path, tmp_path: Path, cli: Base44Cli
) -> None:
    copy = exported(live_project, folder, tmp_path)
    lock = copy / "base44" / "connectors.lock.json"
    before = lock.read_bytes()
    base44.register(APP, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    pulled = cli.run(copy, "connectors", "pull")
    assert (pulled.exit_code, lock.read_bytes()) == (0, before)

"""export_connectors --check compares files, portal, Base44 and lock file; the lock file is written beside the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.models import Connector, Event, Project
from tests.commands.conftest import Run
from tests.factories import make_connector
from tests.flows.conftest import APP

pytestmark = pytest.mark.django_db

SLACK = '{"type": "slack", "scopes": ["a"]}'
IN_SYNC = Connector.SyncState.IN_SYNC


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A connectors directory with a file for Slack, inside base44/."""
    path = tmp_path / "base44" / "connectors"
    path.mkdir(parents=True)
    (path / "slack.jsonc").write_text(SLACK)
    return path


def test_when_everything_agrees_it_exits_0(run: Run, project: Project, directory: Path) -> None:
    make_connector(project, "slack", ["a"], registered=["a"], sync_state=IN_SYNC)
    said = run("export_connectors", "--project", "crm", str(directory), "--check", "--json")
    (row,) = said.document["checks"]
    assert (said.code, row["action"], row["file"]) == (0, "same", f"{directory}/slack.jsonc")


def test_a_difference_to_base44_exits_1(run: Run, project: Project, directory: Path) -> None:
    differs, note = Connector.SyncState.DIFFERS, "Missing at Base44: a"
    make_connector(project, "slack", ["a"], registered=[], sync_state=differs, sync_note=note)
    said = run("export_connectors", "--project", "crm", str(directory), "--check")
    assert said.code == 1
    assert "Missing at Base44: a. Base44 was read" in said.out


def test_a_file_that_the_portal_does_not_declare_exits_1(run: Run, project: Project, directory: Path) -> None:
    assert run("export_connectors", "--project", "crm", str(directory), "--check").code == 1


def test_what_was_never_compared_is_said_and_exits_0(run: Run, project: Project, directory: Path) -> None:
    make_connector(project, "slack", ["a"])
    said = run("export_connectors", "--project", "crm", str(directory), "--check")
    assert (said.code, said.out.splitlines()[1].split()[:3]) == (0, ["not", "compared", "slack"])


def test_base44_that_cannot_be_asked_exits_1_when_it_was_to_be(run: Run, project: Project, directory: Path) -> None:
    make_connector(project, "slack", ["a"])
    assert run("export_connectors", "--project", "crm", str(directory), "--check", "--registered").code == 1


def test_base44_is_asked_first(run: Run, live_project: Project, base44: Emulator, directory: Path) -> None:
    make_connector(live_project, "slack", ["a"])
    base44.register(APP, "slack", ["a", "b"])
    said = run("export_connectors", "--project", "crm", str(directory), "--check", "--registered", "--json")
    (row,) = said.document["checks"]
    assert (said.code, row["files"], row["base44"]) == (1, "same", "differs")
    assert row["compared_at"]


def test_a_check_of_all_counts(run: Run, project: Project, tmp_path: Path, directory: Path) -> None:
    make_connector(project, "slack", ["a"], registered=["a"], sync_state=IN_SYNC)
    directory.parent.rename(tmp_path / "crm-folder")
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm-folder").rename(tmp_path / "crm" / "base44")
    said = run("export_connectors", "--all", str(tmp_path), "--check")
    assert (said.code, said.out) == (0, "1 projects: 1 same.\n")


def test_a_lock_file_is_written_when_it_is_asked_for(run: Run, project: Project, directory: Path) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    said = run("export_connectors", "--project", "crm", str(directory), "--lock", "--json")
    assert said.document["lock"]["action"] == "new"
    lock = json.loads((directory.parent / "connectors.lock.json").read_text())
    assert lock["connectors"]["slack"]["registered"] == ["a"]
    assert Event.objects.get(verb="project.exported").after == {"new": ["connectors.lock.json"]}


def test_without_being_asked_none_is_begun(run: Run, project: Project, directory: Path) -> None:
    assert run("export_connectors", "--project", "crm", str(directory), "--json").document["lock"] is None
    assert [path.name for path in directory.parent.iterdir()] == ["connectors"]


def test_one_that_is_there_is_brought_up_to_date(run: Run, project: Project, directory: Path) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    lock = directory.parent / "connectors.lock.json"
    lock.write_text("{}")
    run("export_connectors", "--project", "crm", str(directory))
    assert json.loads(lock.read_text())["connectors"]["slack"]["registered"] == ["a"]


def test_one_that_says_the_same_is_not_touched(run: Run, project: Project, directory: Path) -> None:
    lock = directory.parent / "connectors.lock.json"
    lock.write_text('{"lockfileVersion": 1, "connectors": {}}')
    assert run("export_connectors", "--project", "crm", str(directory), "--json").document["lock"]["action"] == (
        "unchanged"
    )
    assert lock.read_text() == '{"lockfileVersion": 1, "connectors": {}}'


def test_a_directory_given_as_a_dot_has_its_lock_file_beside_it(
    run: Run, project: Project, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    run("export_connectors", "--project", "crm", ".", "--lock")
    assert (directory.parent / "connectors.lock.json").exists()
    assert [path.name for path in directory.iterdir()] == ["slack.jsonc"]


def test_an_outdated_lock_file_fails_the_check(run: Run, project: Project, directory: Path) -> None:
    row = make_connector(project, "slack", ["a"], registered=["a"], sync_state=IN_SYNC)
    run("export_connectors", "--project", "crm", str(directory), "--lock")
    assert run("export_connectors", "--project", "crm", str(directory), "--check").code == 0
    Connector.objects.filter(pk=row.pk).update(registered_account="ann@example.com")
    said = run("export_connectors", "--project", "crm", str(directory), "--check")
    assert (said.code, "ann@example.com" in said.out) == (1, False)
    assert "The lock file is out of date: the account is another one." in said.out


def test_a_lock_file_that_is_asked_for_and_missing_fails_the_check(run: Run, project: Project, directory: Path) -> None:
    make_connector(project, "slack", ["a"], registered=["a"], sync_state=IN_SYNC)
    said = run("export_connectors", "--project", "crm", str(directory), "--check", "--lock")
    assert (said.code, "There is no lock file, and there should be one" in said.out) == (1, True)


@pytest.mark.parametrize("words", [["--zip", "x.zip", "--lock"], ["somewhere", "--registered"]])
def test_options_that_do_not_go_together_are_wrong_use(run: Run, project: Project, words: list[str]) -> None:
    assert run("export_connectors", "--project", "crm", *words).code == 2

"""import_connectors and export_connectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.flows.declare import declare
from connectors.models import Approval, Connector, Event, Project, SyncRun, Workspace
from tests.commands.conftest import Run
from tests.factories import SHELL, make_connector, make_demand, make_project
from tests.flows.approving import approve, member

pytestmark = pytest.mark.django_db

COMMENTED = b"// ours\r\n{ type: 'slack', scopes: ['a', 'b',], }"


def tree(root: Path, **projects: dict[str, bytes]) -> Path:
    """`root/<slug>/base44/connectors/<name>` for each project."""
    for slug, files in projects.items():
        directory = root / slug / "base44" / "connectors"
        directory.mkdir(parents=True)
        for name, raw in files.items():
            (directory / name).write_bytes(raw)
    return root


def test_import_says_what_it_did(run: Run, project: Project, tmp_path: Path) -> None:
    make_connector(project, "notion")
    tree(tmp_path, crm={"s.jsonc": COMMENTED})
    said = run("import_connectors", str(tmp_path / "crm"), "--project", "crm")
    assert (said.code, said.out.splitlines()[0]) == (0, "crm: 1 new, 1 missing")
    assert Connector.objects.get(integration_type="slack").scopes == ["a", "b"]


def test_a_dry_run_writes_nothing(run: Run, project: Project, tmp_path: Path) -> None:
    tree(tmp_path, crm={"s.jsonc": COMMENTED})
    said = run("import_connectors", str(tmp_path / "crm"), "--project", "crm", "--dry-run", "--json")
    assert (said.code, said.actions()) == (0, {"slack": "new"})
    assert not Connector.objects.exists()
    assert not SyncRun.objects.exists()


def test_a_refused_file_fails_the_import_and_is_put_on_record(run: Run, project: Project, tmp_path: Path) -> None:
    tree(tmp_path, crm={"s.jsonc": COMMENTED, "broken.jsonc": b"{type: 'gmail'\n"})
    said = run("import_connectors", str(tmp_path / "crm"), "--project", "crm", "--json")
    assert said.code == 1
    assert "base44/connectors/broken.jsonc:2:1" in said.document["problem"]
    assert not Connector.objects.exists()
    assert SyncRun.objects.get().state == SyncRun.State.REFUSED


def test_a_lone_file_is_imported(run: Run, project: Project, tmp_path: Path) -> None:
    (tmp_path / "slack.json").write_bytes(COMMENTED)
    assert run("import_connectors", str(tmp_path / "slack.json"), "--project", "crm").code == 0
    assert project.connectors.get().source_path == "slack.json"


def test_an_empty_folder_is_refused(run: Run, project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack")
    said = run("import_connectors", str(tmp_path), "--project", "crm")
    assert (said.code, "no connector files" in said.error) == (1, True)
    assert project.connectors.exists()


def test_a_path_that_does_not_exist_is_wrong_use(run: Run, project: Project) -> None:
    said = run("import_connectors", "/nowhere/at/all", "--project", "crm")
    assert (said.code, said.error) == (2, "There is no file or directory /nowhere/at/all.")


def test_a_tree_of_projects_is_imported_and_strangers_are_named(
    run: Run, project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    make_project("shop", workspace=workspace)
    tree(tmp_path, crm={"s.jsonc": COMMENTED}, shop={"s.jsonc": COMMENTED}, other={"s.jsonc": COMMENTED})
    said = run("import_connectors", str(tmp_path), "--all", "--json")
    assert said.code == 1
    assert [(found["project"], bool(found["problem"])) for found in said.document] == [
        ("crm", False),
        (None, True),
        ("shop", False),
    ]
    assert "No project has the slug other" in said.err


def test_of_a_tree_the_one_project_asked_for_is_taken(
    run: Run, project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    make_project("shop", workspace=workspace)
    tree(tmp_path, crm={"s.jsonc": COMMENTED}, shop={"s.jsonc": COMMENTED.replace(b"slack", b"gmail")})
    assert run("import_connectors", str(tmp_path), "--project", "shop").code == 0
    assert list(Connector.objects.values_list("project__slug", "integration_type")) == [("shop", "gmail")]


def test_control_characters_of_a_file_do_not_reach_the_terminal(run: Run, project: Project, tmp_path: Path) -> None:
    (tmp_path / "x.jsonc").write_text(json.dumps({"type": "slack", "scopes": ["\x1b[31mred"]}))
    said = run("import_connectors", str(tmp_path), "--project", "crm")
    assert said.code == 0
    assert "\x1b" not in run("export_connectors", "--project", "crm", str(tmp_path / "o"), "--check").out + said.out


def test_export_and_import_again_changes_nothing(run: Run, project: Project, tmp_path: Path) -> None:
    tree(tmp_path, crm={"s.jsonc": COMMENTED})
    run("import_connectors", str(tmp_path / "crm"), "--project", "crm")
    run("export_connectors", "--all", str(tmp_path / "out"))
    assert (tmp_path / "out/crm/base44/connectors/s.jsonc").read_bytes() == COMMENTED
    assert run("import_connectors", str(tmp_path / "out"), "--all", "--json").document[0]["results"][0]["action"] == (
        "unchanged"
    )


def test_check_shows_a_diff_and_exits_1(run: Run, project: Project, tmp_path: Path) -> None:
    (tmp_path / "slack.jsonc").write_bytes(COMMENTED)
    make_connector(project, "slack", ["a", "c"])
    said = run("export_connectors", "--project", "crm", str(tmp_path), "--check")
    assert said.code == 1
    assert "-{ type: 'slack', scopes: ['a', 'b',], }" in said.out
    assert (tmp_path / "slack.jsonc").read_bytes() == COMMENTED


def test_check_exits_0_when_nothing_differs(run: Run, project: Project, tmp_path: Path) -> None:
    (tmp_path / "slack.jsonc").write_bytes(COMMENTED)
    make_connector(project, "slack", ["b", "a"])
    assert run("export_connectors", "--project", "crm", str(tmp_path), "--check").code == 0


def test_prune_removes_only_when_asked(run: Run, project: Project, tmp_path: Path) -> None:
    (tmp_path / "slack.jsonc").write_bytes(COMMENTED)
    said = run("export_connectors", "--project", "crm", str(tmp_path), "--json")
    assert said.actions() == {"slack": "kept"}
    said = run("export_connectors", "--project", "crm", str(tmp_path), "--prune", "--json")
    assert said.actions() == {"slack": "removed"}
    assert list(tmp_path.iterdir()) == []


def test_a_directory_of_something_else_is_not_written_to(run: Run, project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack")
    (tmp_path / "package.json").write_text('{"name": "app"}')
    said = run("export_connectors", "--project", "crm", str(tmp_path))
    assert (said.code, "package.json" in said.error) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["package.json"]


def test_one_broken_directory_fails_and_the_others_are_written(
    run: Run, project: Project, workspace: Workspace, tmp_path: Path
) -> None:
    make_connector(make_project("shop", workspace=workspace), "slack")
    tree(tmp_path, crm={"x.jsonc": b"{"})
    said = run("export_connectors", "--all", str(tmp_path), "--json")
    assert (said.code, [bool(found["problem"]) for found in said.document]) == (1, [True, False])
    assert (tmp_path / "shop/base44/connectors/slack.jsonc").exists()


def test_a_zip_is_the_same_each_time_and_checked(run: Run, project: Project, tmp_path: Path) -> None:
    declare(project, "slack", ["a"], {}, SHELL)
    path = tmp_path / "all.zip"
    run("export_connectors", "--all", "--zip", str(path))
    first = path.read_bytes()
    run("export_connectors", "--all", "--zip", str(path))
    assert path.read_bytes() == first
    assert run("export_connectors", "--all", "--zip", str(path), "--check").code == 0
    declare(project, "slack", ["b"], {}, SHELL)
    events = Event.objects.count()
    assert run("export_connectors", "--all", "--zip", str(path), "--check").code == 1
    assert (path.read_bytes(), Event.objects.count()) == (first, events)


def test_where_to_export_must_be_said_once(run: Run, project: Project, tmp_path: Path) -> None:
    assert run("export_connectors", "--all").code == 2
    assert run("export_connectors", "--all", str(tmp_path), "--zip", str(tmp_path / "x.zip")).code == 2


def test_a_zip_in_a_folder_that_does_not_exist_is_one_line(run: Run, project: Project) -> None:
    said = run("export_connectors", "--all", "--zip", "/nowhere/at/all.zip")
    assert (said.code, said.error.endswith("No such file or directory")) == (1, True)


def test_files_that_need_approval_are_asked_for_and_written_once(run: Run, project: Project, tmp_path: Path) -> None:
    make_demand("export", environment=project.environment)
    make_connector(project, "slack", ["chat:write"])
    words = ("export_connectors", "--project", project.slug, "--zip", str(tmp_path / "crm.zip"))
    assert run(*words).code == 1
    assert run(*words, "--ask", "For the audit.").code == 0
    assert not (tmp_path / "crm.zip").exists()
    approve(Approval.objects.get(), member("bob", "approver", project))
    assert run(*words).code == 0
    assert (tmp_path / "crm.zip").exists()

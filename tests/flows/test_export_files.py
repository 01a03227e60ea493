"""Exporting: what is written, what is left alone byte for byte, and the zip."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.core.config_files import locate_file, locate_upload, unified_diff
from connectors.core.errors import ConfigFileError
from connectors.flows.declare import declare
from connectors.flows.export_files import export_all, export_to_directory, export_zip, plan_project_export
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import plan_import
from connectors.models import Event, Project, Workspace
from tests.factories import SHELL, make_connector, make_fleet, make_project

pytestmark = pytest.mark.django_db

COMMENTED = (
    b"\xef\xbb\xbf// who answers mails\r\n{\r\n\t'type': 'gmail', // the sales inbox\r\n"
    b"\tscopes: [\r\n\t\t'a', // read\r\n\t\t'b',\r\n\t],\r\n}"
)


def imported(project: Project, raw: bytes, name: str = "mail.jsonc") -> None:
    apply_import(plan_import(project, locate_file(name, raw)), SHELL)


def kinds(project: Project, directory: Path, *, prune: bool = False, check: bool = False) -> dict[str, str]:
    result = export_to_directory(project, directory, SHELL, prune=prune, check=check)
    return {change.path: change.kind for change in result.changes}


def test_a_file_comes_back_byte_for_byte(project: Project, tmp_path: Path) -> None:
    imported(project, COMMENTED)
    assert kinds(project, tmp_path) == {"mail.jsonc": "new"}
    assert (tmp_path / "mail.jsonc").read_bytes() == COMMENTED


def test_a_changed_scope_leaves_comments_quotes_and_line_endings(project: Project, tmp_path: Path) -> None:
    imported(project, COMMENTED)
    declare(project, "gmail", ["a", "c"], {}, SHELL)
    export_to_directory(project, tmp_path, SHELL)
    assert (tmp_path / "mail.jsonc").read_bytes() == COMMENTED.replace(b"'b',", b"'c',")


def test_an_unchanged_file_is_not_touched(project: Project, tmp_path: Path) -> None:
    imported(project, COMMENTED)
    path = tmp_path / "gmail.json"
    path.write_bytes(COMMENTED)
    before = path.stat()
    assert kinds(project, tmp_path) == {"gmail.json": "unchanged"}
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_the_file_in_the_directory_counts_and_not_the_imported_one(project: Project, tmp_path: Path) -> None:
    imported(project, COMMENTED)
    (tmp_path / "gmail.jsonc").write_text('{ /* newer */ "type": "gmail", "scopes": ["a"] }')
    export_to_directory(project, tmp_path, SHELL)
    assert (tmp_path / "gmail.jsonc").read_text() == '{ /* newer */ "type": "gmail", "scopes": ["a", "b"] }'
    assert not (tmp_path / "mail.jsonc").exists()


def test_a_connector_without_a_file_gets_a_new_one(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack", ["chat:write"])
    export_to_directory(project, tmp_path, SHELL)
    expected = '{\n  "type": "slack",\n  "scopes": [\n    "chat:write"\n  ]\n}\n'
    assert (tmp_path / "slack.jsonc").read_text() == expected


def test_blank_and_repeated_scopes_of_a_file_are_no_difference(project: Project, tmp_path: Path) -> None:
    raw = b'{"type": "gmail", "scopes": ["a", "", "a", " b "]}'
    imported(project, raw)
    (tmp_path / "x.jsonc").write_bytes(raw)
    assert kinds(project, tmp_path) == {"x.jsonc": "unchanged"}


def test_what_only_base44_has_is_not_exported(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack", registered=["x"], is_declared=False)
    assert kinds(project, tmp_path) == {}


def test_a_file_that_is_no_longer_declared_stays(project: Project, tmp_path: Path) -> None:
    (tmp_path / "old.jsonc").write_text('{"type": "notion"}')
    assert kinds(project, tmp_path) == {"old.jsonc": "kept"}
    assert (tmp_path / "old.jsonc").exists()


def test_prune_removes_a_file_that_is_no_longer_declared(project: Project, tmp_path: Path) -> None:
    (tmp_path / "old.jsonc").write_text('{"type": "notion"}')
    assert kinds(project, tmp_path, prune=True) == {"old.jsonc": "removed"}
    assert not (tmp_path / "old.jsonc").exists()


def test_check_writes_nothing_and_knows_the_difference(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack", ["b"])
    (tmp_path / "slack.jsonc").write_text('{"type": "slack", "scopes": ["a"]}\n')
    result = export_to_directory(project, tmp_path, SHELL, check=True)
    assert result.differs
    assert '+{"type": "slack", "scopes": ["b"]}' in unified_diff(result.changes[0])
    assert '"a"' in (tmp_path / "slack.jsonc").read_text()
    assert not Event.objects.exists()


def test_the_config_file_says_where_the_connectors_lie(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack")
    (tmp_path / "base44").mkdir()
    (tmp_path / "base44" / "config.jsonc").write_text('{name: "CRM", connectorsDir: "hooks"}')
    export_to_directory(project, tmp_path, SHELL)
    assert (tmp_path / "base44" / "hooks" / "slack.jsonc").exists()


def test_a_broken_file_in_the_directory_stops_the_export(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack")
    (tmp_path / "gmail.jsonc").write_text("{")
    with pytest.raises(ConfigFileError, match="gmail"):
        export_to_directory(project, tmp_path, SHELL)
    assert [path.name for path in tmp_path.iterdir()] == ["gmail.jsonc"]


def test_all_projects_go_to_a_folder_each(workspace: Workspace, tmp_path: Path) -> None:
    for slug in ("crm", "shop"):
        make_connector(make_project(slug, workspace=workspace), "slack")
    results = list(export_all(Project.objects.all(), tmp_path, SHELL))
    assert [result.problem for result in results] == ["", ""]
    assert (tmp_path / "shop" / "base44" / "connectors" / "slack.jsonc").exists()


def test_one_broken_directory_does_not_stop_the_other_projects(workspace: Workspace, tmp_path: Path) -> None:
    for slug in ("crm", "shop"):
        make_connector(make_project(slug, workspace=workspace), "slack")
    broken = tmp_path / "crm" / "base44" / "connectors"
    broken.mkdir(parents=True)
    (broken / "x.jsonc").write_text("{")
    problems = {result.project.slug: result.problem for result in export_all(Project.objects.all(), tmp_path, SHELL)}
    assert "x.jsonc" in problems["crm"]
    assert problems["shop"] == ""


def test_a_fleet_is_exported_with_one_query_per_chunk(tmp_path: Path) -> None:
    projects = make_fleet(30, 4)
    list(export_all(projects, tmp_path, SHELL))
    with CaptureQueriesContext(connection) as queries:
        results = list(export_all(projects, tmp_path, SHELL))
    assert not any(result.differs for result in results)
    assert len(queries) == 1


def test_an_event_is_recorded_for_an_export_that_wrote_something(project: Project, tmp_path: Path) -> None:
    make_connector(project, "gmail")
    make_connector(project, "slack")
    for _ in range(2):
        export_to_directory(project, tmp_path, SHELL)
    assert Event.objects.get(verb="project.exported").after == {"new": ["gmail.jsonc", "slack.jsonc"]}


def test_the_same_state_gives_the_same_zip(workspace: Workspace) -> None:
    for slug in ("crm", "shop"):
        project = make_project(slug, workspace=workspace)
        imported(project, COMMENTED)
        make_connector(project, "slack", ["x"])
    projects = list(Project.objects.all())
    assert export_zip(projects, SHELL) == export_zip(projects[::-1], SHELL)


def test_the_zip_of_a_project_imports_as_unchanged(project: Project) -> None:
    imported(project, COMMENTED)
    make_connector(project, "slack", ["x"])
    plan = plan_import(project, locate_upload("crm.zip", export_zip([project], SHELL)))
    assert [change.kind.value for change in plan.changes] == ["unchanged", "unchanged"]


def test_the_zip_of_several_projects_has_a_folder_for_each(workspace: Workspace) -> None:
    for slug in ("crm", "shop"):
        make_connector(make_project(slug, workspace=workspace), "slack")
    archive = zipfile.ZipFile(io.BytesIO(export_zip(list(Project.objects.all()), SHELL)))
    assert archive.namelist() == ["crm/base44/connectors/slack.jsonc", "shop/base44/connectors/slack.jsonc"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scopes=st.lists(st.text(alphabet="ab:/ é\"'\\", max_size=6), max_size=5))
def test_what_is_exported_imports_as_it_was(project: Project, scopes: list[str]) -> None:
    project.connectors.all().delete()
    make_connector(project, "slack", scopes)
    (change,) = plan_project_export(project, {})
    files = locate_file(change.path, change.after or b"")
    assert files.files[0].spec.scopes == tuple(scopes)

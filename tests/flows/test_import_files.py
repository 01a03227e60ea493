"""Importing connector files: what is shown, and that it is taken whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.config_files import ProjectFiles, locate_file, locate_project, locate_projects
from connectors.core.errors import ConfigFileError, Refused
from connectors.core.pull import ChangeKind
from connectors.flows.catalogue import load_catalogue
from connectors.flows.import_files import apply_import, match_projects
from connectors.flows.import_plan import ImportChange, plan_import
from connectors.models import Connector, Event, Project, SyncRun, Workspace
from tests.factories import SHELL, make_connector, make_placement, make_project

pytestmark = pytest.mark.django_db

COMMENTED = b"// who answers mails\r\n{\r\n  'type': 'gmail', // the sales inbox\r\n  scopes: ['a', 'b',],\r\n}"


def folder(tmp_path: Path, **files: bytes | list[str]) -> ProjectFiles:
    """A project directory with `name=scopes` or `name=bytes` files, located."""
    directory = tmp_path / "base44" / "connectors"
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        raw = content if isinstance(content, bytes) else json.dumps({"type": name, "scopes": content}).encode()
        (directory / f"{name}.jsonc").write_bytes(raw)
    return locate_project(tmp_path)


def shown(project: Project, files: ProjectFiles) -> dict[str, ImportChange]:
    return {change.type: change for change in plan_import(project, files).changes}


def test_a_plan_says_what_is_new_changed_unchanged_and_missing(project: Project, tmp_path: Path) -> None:
    make_connector(project, "gmail", ["a", "b"])
    make_connector(project, "notion")
    make_connector(project, "slack", ["x"])
    changes = shown(project, folder(tmp_path, gmail=["b", "c"], slack=["x"], github=["repo"]))
    assert {type_: change.kind for type_, change in changes.items()} == {
        "github": ChangeKind.NEW,
        "gmail": ChangeKind.CHANGED,
        "notion": ChangeKind.MISSING,
        "slack": ChangeKind.UNCHANGED,
    }
    assert (changes["gmail"].added, changes["gmail"].removed) == (("c",), ("a",))


def test_planning_writes_nothing(project: Project, tmp_path: Path) -> None:
    plan_import(project, folder(tmp_path, gmail=["a"]))
    assert not Connector.objects.exists()
    assert not Event.objects.exists()


def test_an_import_keeps_the_file_byte_for_byte(project: Project, tmp_path: Path) -> None:
    apply_import(plan_import(project, folder(tmp_path, gmail=COMMENTED)), SHELL)
    row = project.connectors.get()
    assert (row.scopes, bytes(row.source or b""), row.source_path) == (["a", "b"], COMMENTED, "gmail.jsonc")


def test_importing_the_same_again_writes_nothing(project: Project, tmp_path: Path) -> None:
    files = folder(tmp_path, gmail=["a"])
    apply_import(plan_import(project, files), SHELL)
    before = project.connectors.get().updated_at
    again = plan_import(project, files)
    apply_import(again, SHELL)
    assert again.is_empty
    assert project.connectors.get().updated_at == before


def test_another_comment_alone_is_taken_over(project: Project, tmp_path: Path) -> None:
    apply_import(plan_import(project, folder(tmp_path, gmail=COMMENTED)), SHELL)
    plan = plan_import(project, folder(tmp_path, gmail=COMMENTED.replace(b"sales", b"support")))
    assert plan.changes[0].kind == ChangeKind.UNCHANGED
    apply_import(plan, SHELL)
    assert b"support inbox" in bytes(project.connectors.get().source or b"")


def test_a_connector_that_base44_alone_had_becomes_declared(project: Project, tmp_path: Path) -> None:
    make_connector(project, "gmail", registered=["a"], is_declared=False)
    apply_import(plan_import(project, folder(tmp_path, gmail=["a"])), SHELL)
    row = project.connectors.get()
    assert (row.is_declared, row.sync_state) == (True, Connector.SyncState.IN_SYNC)


def test_connection_config_survives_an_import(project: Project, tmp_path: Path) -> None:
    make_connector(project, "gmail", ["a"], config={"tenant": "acme"})
    apply_import(plan_import(project, folder(tmp_path, gmail=["b"])), SHELL)
    assert project.connectors.get().connection_config == {"tenant": "acme"}


def test_one_bad_file_keeps_all_others_out(project: Project, tmp_path: Path) -> None:
    plan = plan_import(project, folder(tmp_path, gmail=["a"], slack=b"{type: 'slack', scopes: ["))
    run = apply_import(plan, SHELL)
    assert (run.state, run.steps.get().state) == (SyncRun.State.REFUSED, "failed")
    assert not Connector.objects.exists()


def test_two_files_of_one_type_are_refused_and_both_named(project: Project, tmp_path: Path) -> None:
    plan = plan_import(project, folder(tmp_path, one=b"{type: 'slack'}", two=b"{type: 'slack'}"))
    assert plan.changes == ()
    assert "one.jsonc" in str(plan.refused[0])
    assert "two.jsonc" in str(plan.refused[0])


def test_a_type_too_long_to_store_is_refused(project: Project, tmp_path: Path) -> None:
    assert "longer than 100" in str(plan_import(project, folder(tmp_path, x=b"{type: '%s'}" % (b"a" * 101))).refused[0])


def test_connectors_that_the_files_lack_stay(project: Project, tmp_path: Path) -> None:
    make_connector(project, "notion")
    apply_import(plan_import(project, folder(tmp_path, gmail=["a"])), SHELL)
    assert {row.integration_type_id for row in project.connectors.all()} == {"gmail", "notion"}


def test_a_ticked_connector_goes(project: Project, tmp_path: Path) -> None:
    make_connector(project, "notion")
    apply_import(plan_import(project, folder(tmp_path, gmail=["a"])), SHELL, remove_missing=["notion"])
    assert [row.integration_type_id for row in project.connectors.all()] == ["gmail"]


def test_a_ticked_connector_that_base44_has_stays_in_sight(project: Project, tmp_path: Path) -> None:
    make_connector(project, "notion", registered=[])
    apply_import(plan_import(project, folder(tmp_path, gmail=["a"])), SHELL, remove_missing=["notion"])
    assert not project.connectors.get(integration_type="notion").is_declared


def test_removing_what_the_plan_did_not_show_is_refused(project: Project, tmp_path: Path) -> None:
    plan = plan_import(project, folder(tmp_path, gmail=["a"]))
    with pytest.raises(Refused, match="slack"):
        apply_import(plan, SHELL, remove_missing=["slack"])
    assert not Connector.objects.exists()


def test_an_empty_folder_removes_nothing_whatever_is_ticked(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack")
    plan = plan_import(project, folder(tmp_path))
    assert plan.warnings
    with pytest.raises(Refused, match="no connector files"):
        apply_import(plan, SHELL, remove_missing=["slack"])


def test_a_folder_with_nothing_to_do_with_base44_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="holds no Base44 project"):
        locate_project(tmp_path)


def test_a_lone_file_says_nothing_of_other_connectors(project: Project) -> None:
    make_connector(project, "slack")
    plan = plan_import(project, locate_file("gmail.json", b'{"type": "gmail"}'))
    assert [change.type for change in plan.changes] == ["gmail"]


def test_capitals_make_another_type_and_a_warning(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack", ["x"])
    changes = shown(project, folder(tmp_path, Slack=["x"]))
    assert (changes["Slack"].kind, changes["slack"].kind) == (ChangeKind.NEW, ChangeKind.MISSING)
    assert "only by capital letters from slack" in changes["Slack"].notes[0]


def test_files_of_another_app_are_warned_of(project: Project, tmp_path: Path) -> None:
    folder(tmp_path, gmail=["a"])
    (tmp_path / "base44" / ".app.jsonc").write_text('{"id": "other"}')
    assert "belong to the app other" in plan_import(project, locate_project(tmp_path)).warnings[0]


def test_a_plan_that_is_out_of_date_is_refused(project: Project, tmp_path: Path) -> None:
    plan = plan_import(project, folder(tmp_path, gmail=["a"]))
    make_connector(project, "gmail", ["z"])
    with pytest.raises(Refused, match="has changed"):
        apply_import(plan, SHELL)
    assert project.connectors.get().scopes == ["z"]


def test_the_run_and_one_event_record_the_import(project: Project, tmp_path: Path) -> None:
    make_connector(project, "gmail", ["a"])
    run = apply_import(plan_import(project, folder(tmp_path, gmail=["b"], slack=["x"])), SHELL)
    event = Event.objects.get(verb="project.imported")
    assert (run.state, run.message) == (SyncRun.State.DONE, "1 new, 1 changed")
    assert (event.before, event.after) == ({"gmail": ["a"]}, {"gmail": ["b"], "slack": ["x"]})


def test_the_number_of_queries_does_not_grow_with_the_files(workspace: Workspace, tmp_path: Path) -> None:
    load_catalogue(SHELL)
    counts = []
    for slug, size in (("small", 3), ("large", 60)):
        files = folder(tmp_path / slug, **{f"{slug}{number}": ["a"] for number in range(size)})
        plan = plan_import(make_project(slug, workspace=workspace), files)
        with CaptureQueriesContext(connection) as queries:
            apply_import(plan, SHELL)
        counts.append(sum("INSERT" not in query["sql"] for query in queries))
    assert counts[0] == counts[1]


def test_projects_are_matched_by_app_id_then_by_folder(workspace: Workspace, tmp_path: Path) -> None:
    crm = make_project("crm", workspace=workspace, app_id="app1")
    shop = make_project("shop", workspace=workspace)
    folder(tmp_path / "one", gmail=["a"])
    (tmp_path / "one" / "base44" / ".app.jsonc").write_text('{"id": "app1"}')
    folder(tmp_path / "shop", gmail=["a"])
    folder(tmp_path / "stranger", gmail=["a"])
    matches = {match.files.folder: match for match in match_projects(locate_projects(tmp_path))}
    assert (matches["one"].project, matches["shop"].project, matches["stranger"].project) == (crm, shop, None)
    assert "No project has the slug stranger" in matches["stranger"].problem


def test_an_unknown_app_id_is_not_matched_by_its_folder(workspace: Workspace, tmp_path: Path) -> None:
    make_project("shop", workspace=workspace, app_id="app1")
    folder(tmp_path / "shop", gmail=["a"])
    (tmp_path / "shop" / "base44" / ".app.jsonc").write_text('{"id": "app2"}')
    match = match_projects(locate_projects(tmp_path))[0]
    assert (match.project, "app id app2" in match.problem) == (None, True)


def test_two_folders_of_one_project_are_both_left_out(workspace: Workspace, tmp_path: Path) -> None:
    make_project("crm", workspace=workspace, app_id="app1")
    for name in ("one", "two"):
        folder(tmp_path / name, gmail=["a"])
        (tmp_path / name / "base44" / ".app.jsonc").write_text('{"id": "app1"}')
    assert [match.project for match in match_projects(locate_projects(tmp_path))] == [None, None]


# Some of the types alone


def test_only_the_named_types_are_planned_and_taken_over(project: Project, tmp_path: Path) -> None:
    make_connector(project, "notion", ["n"])
    make_connector(project, "github", ["g"])
    plan = plan_import(project, folder(tmp_path, gmail=["a"], slack=["x"]), only=["gmail", "notion"])
    assert [change.type for change in plan.changes] == ["gmail", "notion"]
    assert plan.missing == ("notion",)
    apply_import(plan, SHELL)
    assert {row.integration_type_id for row in project.connectors.all()} == {"gmail", "github", "notion"}


def test_the_repositorys_side_is_noted_of_all_types_whichever_are_taken_over(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack", ["old"])
    apply_import(plan_import(project, folder(tmp_path, gmail=["a"], slack=["x"]), only=["gmail"]), SHELL)
    row = project.connectors.get(integration_type="slack")
    assert (row.scopes, row.repository_scopes) == (["old"], ["x"])


def test_a_plan_for_other_types_has_another_fingerprint(project: Project, tmp_path: Path) -> None:
    files = folder(tmp_path, gmail=["a"], slack=["x"])
    assert plan_import(project, files, only=["gmail"]).fingerprint != plan_import(project, files).fingerprint


def test_the_last_connector_can_be_removed_where_its_type_is_named(project: Project, tmp_path: Path) -> None:
    make_connector(project, "slack")
    plan = plan_import(project, folder(tmp_path), only=["slack"])
    apply_import(plan, SHELL, remove_missing=["slack"])
    assert not Connector.objects.exists()


def test_where_a_repository_is_read_other_files_do_not_speak_for_it(project: Project, tmp_path: Path) -> None:
    make_placement(project, read_at=timezone.now())
    make_connector(project, "gmail", ["a"], repository_scopes=["git"], repository_commit="c0ffee")
    apply_import(plan_import(project, folder(tmp_path, gmail=["upload"])), SHELL)
    row = project.connectors.get()
    assert (row.scopes, row.repository_scopes, row.repository_commit) == (["upload"], ["git"], "c0ffee")


def test_files_from_elsewhere_have_no_commit(project: Project, tmp_path: Path) -> None:
    make_connector(project, "gmail", ["a"], repository_commit="c0ffee", repository_author="Mira")
    apply_import(plan_import(project, folder(tmp_path, gmail=["b"])), SHELL)
    row = project.connectors.get()
    assert (row.repository_commit, row.repository_author) == ("", "")

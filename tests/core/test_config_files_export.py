"""An export changes only what differs, never overwrites a stranger's file, and is written all or nothing."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.core.config_files import (
    FileChange,
    locate_projects,
    parse_connector,
    plan_export,
    read_directory,
    unified_diff,
    write_changes,
    zip_changes,
)
from connectors.core.errors import ConfigFileError
from connectors.core.specs import ConnectorSpec

REAL_PROJECTS = Path(__file__).parent / "data" / "projects"

SLACK = b"{\n  type: 'slack', // bot\n  scopes: [\n    'chat:write', // to post\n  ],\n}\n"
GMAIL = b'{"type": "gmail", "scopes": ["mail"]}'
SPEC_SLACK, SPEC_GMAIL = ConnectorSpec("slack", ("chat:write",)), ConnectorSpec("gmail", ("mail",))

SPECS = st.lists(
    st.builds(
        ConnectorSpec,
        type=st.sampled_from(["slack", "Slack", "gmail", "config", "notion"]),
        scopes=st.lists(st.sampled_from("abcd"), unique=True, max_size=3).map(tuple),
    ),
    unique_by=lambda spec: spec.type,
)


def kinds(changes: tuple[FileChange, ...]) -> dict[str, str]:
    return {item.path: item.kind for item in changes}


def result(changes: tuple[FileChange, ...]) -> dict[str, bytes]:
    return {item.path: item.after for item in changes if item.after is not None}


@settings(max_examples=200, deadline=None)
@given(SPECS, SPECS)
def test_after_a_pruning_export_the_directory_declares_exactly_the_specs(
    before: list[ConnectorSpec], after: list[ConnectorSpec]
) -> None:
    first = result(plan_export(before, {}, {}))
    second = result(plan_export(after, first, {}, prune=True))
    read = [parse_connector(raw, name) for name, raw in second.items()]
    assert {spec.type: set(spec.scopes) for spec in read} == {spec.type: set(spec.scopes) for spec in after}
    assert len(read) == len(after)


@settings(max_examples=100, deadline=None)
@given(SPECS, SPECS)
def test_a_second_export_changes_nothing(before: list[ConnectorSpec], after: list[ConnectorSpec]) -> None:
    there = result(plan_export(before, {}, {}))
    there = result(plan_export(after, there, {}))
    assert set(kinds(plan_export(after, there, {})).values()) <= {"unchanged", "kept"}


@settings(max_examples=100, deadline=None)
@given(SPECS)
def test_no_two_files_differ_only_in_case(specs: list[ConnectorSpec]) -> None:
    names = [item.path.lower() for item in plan_export(specs, {"SLACK.jsonc": b'{type: "other"}'}, {})]
    assert len(names) == len(set(names))


def test_real_projects_are_exported_without_changing_a_byte() -> None:
    for project in locate_projects(REAL_PROJECTS):
        there = {file.path.rpartition("/")[2]: file.raw for file in project.files}
        assert set(kinds(plan_export([file.spec for file in project.files], there, {})).values()) <= {"unchanged"}


def test_only_the_scope_that_changed_differs() -> None:
    spec = ConnectorSpec("slack", ("users:read", "chat:write"))
    (item,) = plan_export([spec], {"bot.jsonc": SLACK}, {})
    assert (item.path, item.kind, item.before) == ("bot.jsonc", "edited", SLACK)
    assert item.after == SLACK.replace(b"// to post\n", b"// to post\n    'users:read',\n")


def test_undeclared_files_are_kept_unless_pruning_was_asked_for() -> None:
    there = {"slack.jsonc": SLACK, "gmail.jsonc": GMAIL}
    assert kinds(plan_export([SPEC_GMAIL], there, {})) == {"gmail.jsonc": "unchanged", "slack.jsonc": "kept"}
    assert kinds(plan_export([SPEC_GMAIL], there, {}, prune=True))["slack.jsonc"] == "removed"


def test_a_name_taken_by_another_type_is_left_alone() -> None:
    changes = plan_export([SPEC_SLACK], {"Slack.jsonc": GMAIL}, {})
    assert kinds(changes) == {"Slack.jsonc": "kept", "slack.connector.jsonc": "new"}
    there = {"slack.jsonc": GMAIL, "slack.connector.jsonc": b'{type: "x"}'}
    assert kinds(plan_export([SPEC_SLACK], there, {}))["slack.connector-2.jsonc"] == "new"


def test_a_connector_without_a_file_gets_the_imported_one_back() -> None:
    spec = ConnectorSpec("slack", ("users:read",))
    (item,) = plan_export([spec], {}, {"slack": ("bot.jsonc", SLACK)})
    assert (item.path, item.kind) == ("bot.jsonc", "new")
    assert item.after == b"{\n  type: 'slack', // bot\n  scopes: [\n    'users:read',\n  ],\n}\n"


@pytest.mark.parametrize("name", ["../slack.jsonc", "/slack.jsonc", ".slack.jsonc", "slack.txt", "a\\b.jsonc", ""])
def test_an_imported_name_that_is_no_plain_file_name_is_not_used(name: str) -> None:
    (item,) = plan_export([SPEC_SLACK], {}, {"slack": (name, SLACK)})
    assert (item.path, item.after) == ("slack.jsonc", SLACK)


def test_an_imported_file_that_cannot_be_read_any_more_is_written_anew() -> None:
    (item,) = plan_export([SPEC_GMAIL], {}, {"gmail": ("mail.jsonc", b"{")})
    assert (item.path, item.after) == ("mail.jsonc", b'{\n  "type": "gmail",\n  "scopes": [\n    "mail"\n  ]\n}\n')


def test_a_directory_with_a_broken_file_or_two_of_one_type_is_refused() -> None:
    with pytest.raises(ConfigFileError, match=r"a\.jsonc:1:2"):
        plan_export([SPEC_SLACK], {"a.jsonc": b"{"}, {})
    with pytest.raises(ConfigFileError, match=r'b\.jsonc: declares the type "slack", and so does a\.jsonc'):
        plan_export([SPEC_SLACK], {"a.jsonc": SLACK, "b.jsonc": SLACK}, {})


def test_the_diff_shows_lines_and_a_missing_final_newline() -> None:
    (item,) = plan_export([ConnectorSpec("gmail", ("x",))], {"g.jsonc": GMAIL}, {})
    assert unified_diff(item).splitlines() == [
        "--- a/g.jsonc",
        "+++ b/g.jsonc",
        "@@ -1 +1 @@",
        '-{"type": "gmail", "scopes": ["mail"]}',
        "\\ No newline at end of file",
        '+{"type": "gmail", "scopes": ["x"]}',
        "\\ No newline at end of file",
    ]


def test_the_diff_of_new_removed_and_unchanged_files() -> None:
    assert unified_diff(FileChange("a", "new", None, b"x\n", "t")) == "--- /dev/null\n+++ b/a\n@@ -0,0 +1 @@\n+x\n"
    assert unified_diff(FileChange("a", "removed", b"x\n", None, "t")) == "--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
    assert unified_diff(FileChange("a", "unchanged", b"x", b"x", "t")) == ""


def test_the_diff_steers_no_terminal() -> None:
    assert "\\u001b[31m" in unified_diff(FileChange("a", "new", None, b"// \x1b[31mred\n", "t"))


def test_writing_makes_the_directory_say_what_was_planned(tmp_path: Path) -> None:
    (tmp_path / "old.jsonc").write_bytes(b"{type: 'old'}")
    (tmp_path / "slack.jsonc").write_bytes(SLACK)
    specs = [SPEC_GMAIL, ConnectorSpec("slack")]
    changes = plan_export(specs, read_directory(tmp_path), {}, prune=True)
    write_changes(tmp_path, changes)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == result(changes)
    assert sorted(result(changes)) == ["gmail.jsonc", "slack.jsonc"]


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    write_changes(tmp_path / "a" / "b", plan_export([SPEC_GMAIL], {}, {}))
    assert (tmp_path / "a" / "b" / "gmail.jsonc").exists()


def test_unchanged_files_are_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "slack.jsonc"
    path.write_bytes(SLACK)
    before = path.stat()
    write_changes(tmp_path, plan_export([SPEC_SLACK, SPEC_GMAIL], read_directory(tmp_path), {}))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_edited_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "slack.jsonc"
    path.write_bytes(SLACK)
    path.chmod(0o640)
    write_changes(tmp_path, plan_export([ConnectorSpec("slack")], read_directory(tmp_path), {}))
    assert path.stat().st_mode & 0o777 == 0o640


def test_when_one_file_cannot_be_written_none_is(tmp_path: Path) -> None:
    there = {"a.jsonc": SLACK, "b.jsonc": GMAIL}
    for name, raw in there.items():
        (tmp_path / name).write_bytes(raw)
    changes = plan_export([ConnectorSpec("slack"), ConnectorSpec("gmail")], there, {})
    (tmp_path / "b.jsonc").unlink()
    (tmp_path / "b.jsonc").mkdir()  # a file cannot replace a directory
    with pytest.raises(ConfigFileError, match="nothing was written"):
        write_changes(tmp_path, changes)
    assert (tmp_path / "a.jsonc").read_bytes() == SLACK
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonc", "b.jsonc"]


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    changes = plan_export([SPEC_SLACK, SPEC_GMAIL], {}, {})
    (tmp_path / "slack.jsonc").write_bytes(b"mine")
    with pytest.raises(ConfigFileError, match=r"slack\.jsonc: appeared since"):
        write_changes(tmp_path, changes)
    assert [path.name for path in tmp_path.iterdir()] == ["slack.jsonc"]


def test_a_link_inside_the_directory_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.json5").write_bytes(SLACK)
    (tmp_path / "slack.jsonc").symlink_to("real.json5")
    write_changes(tmp_path, plan_export([ConnectorSpec("slack")], read_directory(tmp_path), {}))
    assert (tmp_path / "slack.jsonc").is_symlink()
    assert b"chat:write" not in (tmp_path / "real.json5").read_bytes()


def test_a_link_out_of_the_directory_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside.jsonc"
    outside.write_bytes(SLACK)
    root = tmp_path / "connectors"
    root.mkdir()
    (root / "slack.jsonc").symlink_to(outside)
    with pytest.raises(ConfigFileError, match="is a symbolic link that leaves"):
        write_changes(root, plan_export([ConnectorSpec("slack")], {"slack.jsonc": SLACK}, {}))
    assert outside.read_bytes() == SLACK


@pytest.mark.parametrize("name", ["../a.jsonc", "x/a.jsonc", "/tmp/a.jsonc", "a.sh"])
def test_a_change_of_anything_but_a_connector_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigFileError, match="is not the name of a connector file"):
        write_changes(tmp_path, [FileChange(name, "new", None, b"x", "t")])
    assert list(tmp_path.iterdir()) == []


def test_the_same_entries_give_the_same_archive_in_any_order() -> None:
    entries = [("shop/b.jsonc", GMAIL), ("shop/a.jsonc", SLACK)]
    archive = zip_changes(entries)
    assert archive == zip_changes(reversed(entries))
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        assert [(info.filename, info.date_time[0]) for info in opened.infolist()] == [
            ("shop/a.jsonc", 1980),
            ("shop/b.jsonc", 1980),
        ]
        assert opened.read("shop/b.jsonc") == GMAIL


def test_an_archive_holds_no_path_twice() -> None:
    with pytest.raises(ValueError, match="two entries for a"):
        zip_changes([("a", b"1"), ("a", b"2")])

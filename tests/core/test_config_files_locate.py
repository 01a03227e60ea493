"""Connector files are found where the Base44 CLI looks, and a mistaken place is an error."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from connectors.core.config_files import (
    ProjectFiles,
    connectors_directory,
    connectors_folder,
    locate_at,
    locate_project,
    locate_projects,
    locate_upload,
    read_directory,
    read_zip,
    tree,
)
from connectors.core.errors import ConfigFileError

REAL_PROJECTS = Path(__file__).parent / "data" / "projects"
DEMO_PROJECTS = Path(__file__).parents[2] / "portal" / "demo" / "projects"

SLACK, GMAIL = '{"type": "slack", "scopes": ["chat:write"]}', '{"type": "gmail"}'
PROJECT = {
    "base44/config.jsonc": '{"name": "Shop", /* default folder */}',
    "base44/.app.jsonc": '// linked\n{"id": "app-1"}',
    "base44/connectors/slack.jsonc": SLACK,
    "base44/connectors/gmail.json": GMAIL,
}

Find = Callable[[Mapping[str, str]], ProjectFiles]


def on_disk(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            (root / name).write_text(text)
        else:
            (root / name).mkdir(exist_ok=True)
    return root


def zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.fixture(params=["directory", "zip"])
def find(request: pytest.FixtureRequest, tmp_path: Path) -> Find:
    """Locates a project given as {path: text}: once lying in a directory, once in a zip archive."""
    if request.param == "zip":
        return lambda files: locate_upload("shop.zip", zipped(files))
    return lambda files: locate_project(on_disk(tmp_path / "shop", files))


def test_a_project_is_read_with_its_name_app_and_files(find: Find) -> None:
    project = find(PROJECT)
    assert (project.name, project.app_id, project.connectors_dir) == ("Shop", "app-1", "base44/connectors")
    assert [(file.path, file.spec.type) for file in project.files] == [
        ("base44/connectors/gmail.json", "gmail"),
        ("base44/connectors/slack.jsonc", "slack"),
    ]
    assert (project.root, project.folder, project.whole, project.problems) == ("", "shop", True, ())


def test_connectors_dir_is_relative_to_the_config_file(find: Find) -> None:
    project = find({"base44/config.jsonc": '{name: "a", connectorsDir: "../links/./"}', "links/a.jsonc": SLACK})
    assert (project.connectors_dir, project.files[0].path) == ("links", "links/a.jsonc")


def test_a_config_at_the_top_is_found(find: Find) -> None:
    assert find({"config.json": '{"name": "a"}', "connectors/a.jsonc": SLACK}).connectors_dir == "connectors"


def test_a_connectors_directory_alone_will_do(find: Find) -> None:
    project = find({"a.jsonc": SLACK, "b.json": GMAIL})
    assert [file.path for file in project.files] == ["a.jsonc", "b.json"]


def test_the_only_project_below_the_given_place_is_taken(find: Find) -> None:
    project = find({f"repo-main/apps/shop/{name}": text for name, text in PROJECT.items()} | {"repo-main/README": ""})
    assert (project.root, project.folder, project.app_id) == ("repo-main/apps/shop", "shop", "app-1")
    assert project.files[0].path == "base44/connectors/gmail.json"


def test_of_several_projects_none_is_guessed(find: Find) -> None:
    with pytest.raises(ConfigFileError, match=r"holds 2 projects \(a, b\)"):
        find({"a/base44/config.jsonc": "{}", "b/base44/config.jsonc": "{}"})


def test_only_visible_json_and_jsonc_files_of_the_folder_itself_count(find: Find) -> None:
    ignored = ("a.JSONC", "b.json5", ".c.jsonc", "deep/d.jsonc", "e.jsonc.bak", "f.jsonc/x")
    project = find({"ok.jsonc": SLACK} | dict.fromkeys(ignored, "broken"))
    assert [file.path for file in project.files] == ["ok.jsonc"]
    assert project.problems == ()


def test_the_type_comes_from_the_content_and_not_from_the_name(find: Find) -> None:
    assert find({"gmail.jsonc": SLACK}).files[0].spec.type == "slack"


def test_two_files_of_one_type_are_a_problem_that_names_both(find: Find) -> None:
    project = find({"a.jsonc": SLACK, "b.jsonc": SLACK, "c.jsonc": GMAIL})
    assert [str(problem) for problem in project.problems] == [
        'b.jsonc: declares the type "slack", and so does a.jsonc; keep one of them'
    ]
    assert [file.path for file in project.files] == ["c.jsonc"]


def test_a_broken_file_is_a_problem_beside_the_good_ones(find: Find) -> None:
    project = find(PROJECT | {"base44/connectors/x.jsonc": "{\n  type 1}"})
    assert [str(problem) for problem in project.problems] == [
        "base44/connectors/x.jsonc:2:8: expected ':' after the key, found '1'"
    ]
    assert len(project.files) == 2


def test_a_broken_app_file_is_a_problem(find: Find) -> None:
    project = find(PROJECT | {"base44/.app.jsonc": '{"id": ""}'})
    assert "id: expected the app's id" in str(project.problems[0])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"connectorsDir": "../../etc"}', "leaves the project's directory"),
        ('{"connectorsDir": "/etc"}', "must be relative"),
        ('{"connectorsDir": 1}', "connectorsDir: expected a string"),
        ("{", "base44/config.jsonc:1:2: expected a key or '}'"),
        ("[]", "expected an object, found a list"),
    ],
)
def test_a_config_that_leads_nowhere_is_an_error(find: Find, config: str, message: str) -> None:
    with pytest.raises(ConfigFileError, match=message):
        find({"base44/config.jsonc": config, "base44/connectors/a.jsonc": SLACK})


def test_a_project_without_connectors_is_no_mistake_but_says_that_its_folder_is_missing(find: Find) -> None:
    project = find({"base44/config.jsonc": '{"name": "a"}'})
    assert (project.files, project.problems, project.has_directory) == ((), (), False)


@pytest.mark.parametrize(
    "files", [{}, {"README.md": "hello"}, {"src/main.js": "1", "docs/a.md": ""}, {"a/b/c.txt": ""}]
)
def test_a_mistaken_folder_is_an_error_and_no_empty_set(find: Find, files: dict[str, str]) -> None:
    with pytest.raises(ConfigFileError, match="holds no Base44 project and no connector files"):
        find({"empty/": ""} | files)


def test_a_programs_folder_is_not_taken_for_a_connectors_directory(find: Find) -> None:
    with pytest.raises(ConfigFileError, match=r"holds package\.json"):
        find({"package.json": '{"name": "x", "type": "module"}', "a.jsonc": SLACK})


def test_another_programs_config_json_makes_no_project(find: Find) -> None:
    found = find({"tool/config.json": '{"name": "tool"}'} | PROJECT)
    assert found.root == ""
    assert found.app_id == "app-1"


def test_dependencies_and_hidden_folders_are_not_searched(find: Find) -> None:
    hidden = {f"{place}/{name}": text for place in ("node_modules/x", ".git/y") for name, text in PROJECT.items()}
    assert find(PROJECT | hidden).root == ""
    with pytest.raises(ConfigFileError, match="no Base44 project"):
        locate_upload("x.zip", zipped(hidden))


def test_a_lone_file_says_nothing_of_other_connectors(tmp_path: Path) -> None:
    project = locate_project(on_disk(tmp_path, {"a.jsonc": SLACK, "b.jsonc": GMAIL}) / "a.jsonc")
    assert [file.path for file in project.files] == ["a.jsonc"]
    assert not project.whole


def test_a_lone_file_of_another_suffix_is_refused() -> None:
    with pytest.raises(ConfigFileError, match=r"a\.json5: expected a \*\.jsonc"):
        locate_upload("a.json5", SLACK.encode())


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    for locate in (locate_project, locate_projects):
        with pytest.raises(ConfigFileError, match="does not exist"):
            locate(tmp_path / "nothing")


def test_all_projects_of_a_tree_are_found_in_order_and_a_broken_one_stops_no_other(tmp_path: Path) -> None:
    files = {f"{place}/{name}": text for place in ("b", "a/x") for name, text in PROJECT.items()}
    found = locate_projects(on_disk(tmp_path, files | {"c/base44/config.jsonc": "{"}))
    assert [project.root for project in found] == ["a/x", "b", "c"]
    assert [len(project.files) for project in found] == [2, 2, 0]
    assert str(found[2].problems[0]).startswith("c/base44/config.jsonc:1:2")


def test_a_tree_without_projects_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match="holds no Base44 project"):
        locate_projects(on_disk(tmp_path, {"a.jsonc": SLACK}))


def test_a_connectors_dir_in_the_neighbouring_project_is_refused(tmp_path: Path) -> None:
    on_disk(tmp_path, {"a/base44/config.jsonc": '{"connectorsDir": "../../b"}', "b/base44/config.jsonc": "{}"})
    first, _ = locate_projects(tmp_path)
    assert "leaves the project's directory" in str(first.problems[0])


def test_every_real_project_is_read_without_a_problem() -> None:
    found = locate_projects(REAL_PROJECTS)
    assert (len(found), sum(len(project.files) for project in found)) == (27, 59)
    assert [problem for project in found for problem in project.problems] == []


def test_the_demo_projects_are_in_order() -> None:
    found = locate_projects(DEMO_PROJECTS)
    assert [project.app_id for project in found] == ["demo-helpdesk", "demo-insights", "demo-storefront"]
    assert [problem for project in found for problem in project.problems] == []


def test_links_inside_the_root_are_followed(tmp_path: Path) -> None:
    on_disk(tmp_path, {"shared/slack.jsonc": SLACK, "base44/config.jsonc": "{}", "base44/connectors/": ""})
    (tmp_path / "base44/connectors/slack.jsonc").symlink_to("../../shared/slack.jsonc")
    assert locate_project(tmp_path).files[0].spec.type == "slack"


def test_a_file_that_links_out_of_the_root_is_refused(tmp_path: Path) -> None:
    on_disk(tmp_path, {"secret.jsonc": SLACK, "shop/base44/config.jsonc": "{}", "shop/base44/connectors/": ""})
    (tmp_path / "shop/base44/connectors/a.jsonc").symlink_to(tmp_path / "secret.jsonc")
    project = locate_project(tmp_path / "shop")
    assert project.files == ()
    assert "is a symbolic link that leaves" in str(project.problems[0])


def test_a_connectors_directory_that_links_out_of_the_root_is_refused(tmp_path: Path) -> None:
    on_disk(tmp_path, {"other/a.jsonc": SLACK, "shop/base44/config.jsonc": "{}"})
    (tmp_path / "shop/base44/connectors").symlink_to(tmp_path / "other")
    with pytest.raises(ConfigFileError, match="is a symbolic link that leaves"):
        locate_project(tmp_path / "shop")
    with pytest.raises(ConfigFileError, match="is a symbolic link that leaves"):
        connectors_directory(tmp_path / "shop")


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(on_disk(tmp_path, {"a.jsonc": SLACK}) / "pipe.jsonc")
    assert [file.path for file in locate_project(tmp_path).files] == ["a.jsonc"]


def test_a_file_name_with_control_characters_is_refused_without_showing_them(tmp_path: Path) -> None:
    problem = locate_project(on_disk(tmp_path, {"a.jsonc": SLACK, "\x1b[2J.jsonc": GMAIL})).problems[0]
    assert str(problem) == "'\\x1b[2J.jsonc': the file's name holds unprintable characters"


@pytest.mark.parametrize(
    "name", ["../a.jsonc", "/a.jsonc", "x/../../a.jsonc", "..\\a.jsonc", "C:\\a.jsonc", "C:/a.jsonc"]
)
def test_archive_entries_that_leave_the_archive_are_refused(name: str) -> None:
    with pytest.raises(ConfigFileError, match=r"leaves the archive; nothing was read"):
        read_zip(zipped(PROJECT | {name: SLACK}))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archive_entries_that_occur_twice_are_refused() -> None:
    buffer = io.BytesIO(zipped({"a.jsonc": SLACK}))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("a.jsonc", GMAIL)
    with pytest.raises(ConfigFileError, match="occurs twice"):
        read_zip(buffer)


def test_a_link_in_an_archive_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        link = zipfile.ZipInfo("a.jsonc")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "is a symbolic link" in str(locate_project(read_zip(buffer)).problems[0])


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused() -> None:
    problem = locate_upload("a.zip", zipped({"a.jsonc": " " * 50_000_000})).problems[0]
    assert str(problem) == "a.jsonc: would unpack to more than 100 times its size; refused"


def test_what_an_archive_may_unpack_to_in_all_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_TOTAL_BYTES", 60)
    problem = locate_upload("a.zip", zipped({"a.jsonc": SLACK, "b.jsonc": GMAIL, "c.jsonc": SLACK})).problems[0]
    assert "came out of the archive" in str(problem)


def test_the_number_of_an_archives_entries_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_ENTRIES", 3)
    with pytest.raises(ConfigFileError, match="lists more than 3 entries"):
        read_zip(zipped(PROJECT))


def test_the_number_of_an_archives_folders_is_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "MAX_ENTRIES", 3)
    with pytest.raises(ConfigFileError, match="lists more than 3 folders"):
        read_zip(zipped({"a/b/c/d/e.jsonc": "{}"}))


def test_an_archive_beyond_all_measure_is_not_loaded(tmp_path: Path) -> None:
    with (tmp_path / "huge.zip").open("wb") as file:
        file.truncate(tree.MAX_ARCHIVE_BYTES + 1)  # a sparse file takes no space
    with pytest.raises(ConfigFileError, match="is larger than 256 MB"):
        locate_project(tmp_path / "huge.zip")


def test_folders_inside_each_other_without_end_are_refused() -> None:
    with pytest.raises(ConfigFileError, match="folders deep"):
        read_zip(zipped({"a/" * 200 + "a.jsonc": SLACK}))


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 and then nothing", b"hello", zipped(PROJECT)[:-30]])
def test_what_is_no_archive_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(ConfigFileError, match="not a zip archive, or it is damaged"):
        locate_upload("a.zip", raw)


def test_an_archive_with_damaged_content_is_an_error_that_names_the_file() -> None:
    raw = bytearray(zipped({"a.jsonc": SLACK * 5}))
    raw[45:50] = b"\xff" * 5
    assert "a.jsonc: cannot be read from x.zip" in str(locate_upload("x.zip", bytes(raw)).problems[0])


def test_the_directory_to_export_to_is_the_configs_else_the_given_one(tmp_path: Path) -> None:
    on_disk(tmp_path, {"a/base44/config.jsonc": '{connectorsDir: "links"}', "b/x.jsonc": SLACK})
    assert connectors_directory(tmp_path / "a") == tmp_path / "a/base44/links"
    assert connectors_directory(tmp_path / "b") == tmp_path / "b"
    assert connectors_directory(tmp_path / "c", "base44/connectors") == tmp_path / "c/base44/connectors"


def test_a_directory_to_export_to_is_read_by_file_name(tmp_path: Path) -> None:
    on_disk(tmp_path, {"a.jsonc": SLACK, ".hidden.jsonc": "", "notes.md": ""})
    assert read_directory(tmp_path) == {"a.jsonc": SLACK.encode()}
    assert read_directory(tmp_path / "missing") == {}


# A project whose folder is known


def at(tmp_path: Path, files: Mapping[str, str], root: str) -> ProjectFiles:
    return locate_at(tree.DirectoryTree(on_disk(tmp_path, files)), root)


def test_a_known_folder_is_read_with_paths_that_start_there(tmp_path: Path) -> None:
    found = at(tmp_path, {f"apps/shop/{path}": text for path, text in PROJECT.items()}, "apps/shop")
    assert (found.root, found.app_id, found.connectors_dir) == ("apps/shop", "app-1", "base44/connectors")
    assert [file.path for file in found.files] == ["base44/connectors/gmail.json", "base44/connectors/slack.jsonc"]


@pytest.mark.parametrize("root", ["", "apps", "apps/none", "apps/shop/src"])
def test_a_known_folder_without_a_project_has_no_directory_and_no_files(tmp_path: Path, root: str) -> None:
    files = {"renovate.json": "{}", "package.json": "{}", "apps/shop/src/data.json": "[]"}
    found = at(tmp_path, files, root)
    assert (found.has_directory, found.files, found.problems) == (False, (), ())


@pytest.mark.parametrize("root", ["", "ours", "connectors"])
def test_a_known_folder_can_be_the_connectors_directory_itself(tmp_path: Path, root: str) -> None:
    found = at(tmp_path, {f"{root}/slack.jsonc".lstrip("/"): SLACK}, root)
    assert [(file.path, found.connectors_dir) for file in found.files] == [("slack.jsonc", "")]


def test_a_project_below_the_known_folder_is_not_searched_for(tmp_path: Path) -> None:
    assert not at(tmp_path, {f"apps/shop/{path}": text for path, text in PROJECT.items()}, "apps").has_directory


def test_without_a_config_the_given_directory_is_read_where_the_usual_one_is_missing(tmp_path: Path) -> None:
    root = tree.DirectoryTree(on_disk(tmp_path, {"links/slack.jsonc": SLACK, "app/connectors/gmail.json": GMAIL}))
    assert [file.path for file in locate_at(root, "", default="links").files] == ["links/slack.jsonc"]
    assert [file.path for file in locate_at(root, "app", default="links").files] == ["connectors/gmail.json"]
    assert connectors_folder(root, "new", default="links") == "new/links"


def test_a_broken_config_of_a_known_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"shop/base44/config\.jsonc"):
        at(tmp_path, {"shop/base44/config.jsonc": "{"}, "shop")


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        (PROJECT, "base44/connectors"),
        ({"base44/config.jsonc": '{connectorsDir: "../links"}'}, "links"),
        ({"slack.jsonc": SLACK}, ""),
        ({"readme.md": ""}, "connectors"),
    ],
)
def test_the_folder_that_will_be_read_is_known_before_it_is(tmp_path: Path, files: dict[str, str], folder: str) -> None:
    assert connectors_folder(tree.DirectoryTree(on_disk(tmp_path, files)), "") == folder

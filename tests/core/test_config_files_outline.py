"""Projects of a tree are listed with their app ids, and their connector files are left unread."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.core.config_files import MAX_BYTES, outline_projects
from connectors.core.config_files.tree import Entry
from connectors.core.errors import ConfigFileError


class Texts:
    """A tree of texts that remembers what was read of it."""

    name, folder = "apps", "apps"

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files
        self.asked: list[str] = []

    def entries(self, folder: str) -> dict[str, Entry]:
        start = f"{folder}/" if folder else ""
        inner = [path[len(start) :] for path in self.files if path.startswith(start)]
        return {path.split("/")[0]: "folder" if "/" in path else "file" for path in inner}

    def read(self, path: str) -> bytes:
        self.asked.append(path)
        return self.files[path].encode()[: MAX_BYTES + 1]


def test_each_project_comes_with_its_folder_and_app_id() -> None:
    tree = Texts({"shop/base44/.app.jsonc": '{"id": "app-1"}', "crm/base44/connectors/slack.jsonc": "{}"})
    assert [(one.root, one.folder, one.app_id) for one in outline_projects(tree)] == [
        ("crm", "crm", ""),
        ("shop", "shop", "app-1"),
    ]


def test_connector_files_are_not_read() -> None:
    tree = Texts({"base44/config.jsonc": "{}", "base44/connectors/slack.jsonc": "not even JSON"})
    assert len(outline_projects(tree)) == 1
    assert "base44/connectors/slack.jsonc" not in tree.asked


def test_a_tree_without_projects_has_none() -> None:
    assert outline_projects(Texts({"README.md": "", "src/main.py": ""})) == ()


def test_a_broken_app_file_is_told_and_the_others_go_on() -> None:
    tree = Texts({"a/base44/.app.jsonc": "{", "b/base44/.app.jsonc": '{"id": "app-b"}'})
    broken, fine = outline_projects(tree)
    assert broken.app_id == ""
    assert broken.problems[0].path == "a/base44/.app.jsonc"
    assert fine.problems == ()


def test_more_folders_than_are_searched_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.core.config_files.locate.MAX_FOLDERS", 2)
    with pytest.raises(ConfigFileError, match="more than 2 folders"):
        outline_projects(Texts({"a/b/c/d.txt": ""}))

"""Look: what one commit of a repository says of the connectors of each project in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from connectors.core.config_files import ProjectFiles, connectors_folder, locate_at
from connectors.core.config_files.locate import (
    APP_NAMES,
    CONFIG_NAMES,
    DEFAULT_CONNECTORS_DIR,
    PROJECT_FOLDER,
    could_be_plain,
)
from connectors.core.config_files.read import is_connector_name
from connectors.core.config_files.tree import MAX_LEVELS, Tree
from connectors.core.errors import ConfigFileError
from connectors.core.specs import ConnectorSpec
from connectors.flows.import_plan import MAX_TYPE
from connectors.models import Placement

MAX_NAME = 500
"""Characters of a file's path that the portal stores."""
MAX_DIRECTORY = 400
MAX_FILES = 500
"""Connector files of one project, each of which makes its type known to the portal. Base44 has fewer than a hundred."""
MAX_SCOPES = 2_000
"""Scopes of one file, each of which becomes a line of the ledger. The largest provider has some hundreds."""
MAX_PROBLEMS = 100
"""Problems of one project that are stored; more than a person puts right one by one."""


class ProblemKind(StrEnum):
    """What an entry of `Placement.problems` is about."""

    FILE = "file"
    """Something cannot be read: until that is put right, nothing is imported and nothing counts as removed."""
    APP = "app"
    """The files say that they belong to another app: a person may import them, the portal by itself does not."""
    POLICY = "policy"
    """A rule keeps the portal from importing by itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a project's files; `path` "" when it is no single file."""

    message: str
    path: str = ""
    line: int | None = None
    kind: ProblemKind = ProblemKind.FILE

    def as_row(self) -> dict[str, Any]:
        """As `Placement.problems` holds it. Halves of characters and NULs, which no database takes, are replaced."""
        path, message = (_storable(text) for text in (self.path, self.message))
        return {"path": path, "message": message, "line": self.line, "kind": self.kind.value}

    def as_error(self) -> ConfigFileError:
        """As an import plan names what it refuses."""
        return ConfigFileError(self.path or "repository", self.message, line=self.line)


def problems_of(placement: Placement, *kinds: ProblemKind) -> tuple[Problem, ...]:
    """The stored problems of these kinds."""
    stored = (
        Problem(row["message"], row["path"], row.get("line"), ProblemKind(row.get("kind", ProblemKind.FILE)))
        for row in placement.problems
    )
    return tuple(problem for problem in stored if problem.kind in kinds)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One connector file: its path from the repository's top, every byte of it, and the scopes that it asks for."""

    name: str
    raw: bytes
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a commit says of one project: its connectors directory from the repository's top, and its files by type."""

    directory: str
    files: Mapping[str, FoundFile]
    problems: tuple[Problem, ...] = ()

    @property
    def is_readable(self) -> bool:
        """Whether everything could be read, so that a type without a file has none."""
        return not any(problem.kind is ProblemKind.FILE for problem in self.problems)


class FetchedTree(Tree, Protocol):
    """A commit's files that are brought from the server when they are asked for, many of them at once if asked to."""

    def prefetch(self, folders: Iterable[str]) -> None:
        """Brings what lies directly in these folders, in one step for each level of them."""

    def prefetch_files(self, paths: Iterable[str]) -> None:
        """Brings these files in one step."""


def look(
    tree: FetchedTree, placements: Collection[Placement], expected: Mapping[int, Collection[str]]
) -> dict[int, Found]:
    """What the tree says of each placement (by its id).

    `expected`: the names of files that were there before and whose connectors the portal still asks for. Where none of
    them is left and their directory is gone, that is a problem and no removal: whoever moves a project to another
    folder does not mean to take all its connectors away.
    """
    _bring(tree, placements)
    return {row.pk: _found(tree, row, expected.get(row.pk, ())) for row in placements}


def _bring(tree: FetchedTree, placements: Collection[Placement]) -> None:
    """Brings what is about to be looked at in a few steps, however many projects there are."""
    roots = [row.path for row in placements]
    inner = [_join(root, PROJECT_FOLDER) for root in roots]
    usual = [_join(folder, DEFAULT_CONNECTORS_DIR) for folder in (*roots, *inner)]
    own = [_join(row.path, row.project.connectors_dir) for row in placements]
    tree.prefetch(dict.fromkeys((*roots, *inner, *usual, *own)))
    configs = _paths(tree, (*roots, *inner), (*CONFIG_NAMES, *APP_NAMES))
    tree.prefetch_files([*configs, *_paths(tree, [root for root in roots if _lists(tree, root)])])
    folders = [folder for row in placements if (folder := _folder(tree, row)) is not None]
    tree.prefetch(folders)
    tree.prefetch_files(_paths(tree, folders))


def _lists(tree: Tree, root: str) -> bool:
    """Whether its files have to be read to know if it is a connectors directory itself."""
    try:
        return could_be_plain(tree, root)
    except ConfigFileError:
        return False


def _folder(tree: Tree, placement: Placement) -> str | None:
    """The folder with the project's files; None where its config is broken, which is said where the files are read."""
    try:
        folder = connectors_folder(tree, placement.path, default=placement.project.connectors_dir)
    except ConfigFileError:
        return None
    return folder if folder.count("/") < MAX_LEVELS else None


def _paths(tree: Tree, folders: Iterable[str], names: Collection[str] | None = None) -> list[str]:
    """Paths of the files directly in these folders that have one of the names, or could be connector files."""
    found: dict[str, None] = {}
    for folder in folders:
        try:
            entries = tree.entries(folder)
        except ConfigFileError:
            continue  # said where the project is read
        for name, kind in entries.items():
            if kind == "file" and (is_connector_name(name) if names is None else name in names):
                found[_join(folder, name)] = None
    return list(found)


def _found(tree: Tree, placement: Placement, expected: Collection[str]) -> Found:
    try:
        located = locate_at(tree, placement.path, default=placement.project.connectors_dir)
    except ConfigFileError as error:
        return Found(placement.connectors_dir, {}, (_problem(error),))
    directory = _join(placement.path, located.connectors_dir)
    if len(located.files) > MAX_FILES:
        too_many = Problem(f"This folder holds more than {MAX_FILES:,} connector files.", directory)
        return Found(placement.connectors_dir, {}, (too_many,))
    problems = [_problem(error) for error in located.problems]
    files: dict[str, FoundFile] = {}
    for file in located.files:
        name = _join(placement.path, file.path)
        if reason := _unstorable(file.spec, name):
            problems.append(Problem(reason, name))
        else:
            files[file.spec.type] = FoundFile(name, file.raw, file.spec.scopes)
    if expected and not located.has_directory:
        problems.append(_vanished(tree, placement, directory, len(expected)))
    problems += _about_app(located, placement)
    return Found(_storable(directory)[:MAX_DIRECTORY], files, tuple(_at_most(problems)))


def _unstorable(spec: ConnectorSpec, name: str) -> str:
    if len(spec.type) > MAX_TYPE:
        return f"type: longer than {MAX_TYPE} characters"
    if len(spec.scopes) > MAX_SCOPES:
        return f"scopes: more than {MAX_SCOPES:,}"
    return f"the file's path is longer than {MAX_NAME} characters" if len(name) > MAX_NAME else ""


def _vanished(tree: Tree, placement: Placement, directory: str, count: int) -> Problem:
    gone = placement.path if placement.path and not tree.entries(placement.path) else directory
    held = "the file of one connector" if count == 1 else f"the files of {count} connectors"
    return Problem(
        f"This folder is gone; {held} lay there. Nothing is taken for removed because of that. If the project was "
        "moved, enter its new folder. If its connectors are meant to go, take them out in the portal.",
        gone,
    )


def _about_app(located: ProjectFiles, placement: Placement) -> list[Problem]:
    app, project = located.app_id, placement.project
    if not app or app == project.app_id:
        return []
    text = f"These files belong to the app {app}; {project.slug} is the app {project.app_id}."
    return [Problem(text, placement.path, kind=ProblemKind.APP)]


def _problem(error: ConfigFileError) -> Problem:
    return Problem(error.message, error.path, error.line)


def _at_most(problems: list[Problem]) -> list[Problem]:
    left_out = len(problems) - MAX_PROBLEMS
    return problems if left_out <= 0 else [*problems[:MAX_PROBLEMS], Problem(f"{left_out} more files cannot be read.")]


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "?")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name

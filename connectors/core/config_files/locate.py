"""Find connector files: in a file, a connectors directory, a project, a zip of any of these, or a tree of projects.

The places are the Base44 CLI's: `base44/config.jsonc` or `config.jsonc` (or `.json`) name the `connectorsDir`, relative
to themselves; `base44/.app.jsonc` names the app. A folder that holds nothing of the kind is an error: a mistaken
path must never look like a project without connectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from connectors.core.config_files.read import ConnectorFile, is_connector_name, parse_connector, read_object
from connectors.core.config_files.tree import MAX_ARCHIVE_BYTES, DirectoryTree, Entry, Tree, inside, read_zip
from connectors.core.errors import ConfigFileError

CONFIG_NAMES = ("config.jsonc", "config.json")
APP_NAMES = (".app.jsonc", ".app.json")
PROJECT_FOLDER = "base44"
DEFAULT_CONNECTORS_DIR = "connectors"

MAX_FOLDERS = 20_000
"""Folders that a search for projects looks into before it gives up."""

MAX_DEPTH = 8
"""How deep below the given place a project may lie."""

_SKIPPED = frozenset({"node_modules", "__MACOSX", "__pycache__"})
_PROGRAM_FILES = frozenset({"package.json", "package-lock.json", "tsconfig.json", "deno.json", "composer.json"})
_PROJECT_NAMES = frozenset({PROJECT_FOLDER, DEFAULT_CONNECTORS_DIR, *CONFIG_NAMES})
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """The connector files of one project, as they were found.

    `root` is the project's place relative to what was given ("" when it is that very place), `folder` its last name;
    `files` and `connectors_dir` are relative to `root`. `app_id` and `name` are "" when no file gives them. With any
    `problems` the project must not be imported. `whole` is False for a lone file: it says nothing of other connectors.
    `has_directory` is False when the project's config names a connectors directory that does not exist.
    """

    root: str
    app_id: str
    name: str
    connectors_dir: str
    files: tuple[ConnectorFile, ...]
    problems: tuple[ConfigFileError, ...]
    folder: str = ""
    whole: bool = True
    has_directory: bool = True


def locate_project(source: Path | Tree) -> ProjectFiles:
    """The one project at a path (or in an opened tree), wherever below it that project lies.

    Faulty connector files become `problems`. Raises ConfigFileError when nothing, or more than one project, is found,
    or when the project's own files cannot be read.
    """
    if isinstance(source, Path) and source.is_file() and not _is_zip(source):
        return locate_file(source.name, DirectoryTree(source.parent).read(source.name))
    tree = _open(source) if isinstance(source, Path) else source
    roots = sorted(_project_roots(tree))
    if "" in roots or len(roots) == 1:
        return _read_project(tree, "" if "" in roots else roots[0])
    if roots:
        some = ", ".join(roots[:5]) + (", ..." if len(roots) > 5 else "")
        raise ConfigFileError(tree.name, f"holds {len(roots)} projects ({some}); name one of them, or import them all")
    return _read_plain_folder(tree)


def locate_projects(source: Path | Tree) -> tuple[ProjectFiles, ...]:
    """Every project in a tree, such as a repository, in the order of their paths.

    A project whose own files are broken comes back with that as its problem, so that the others can go on. Raises
    ConfigFileError when there is no project at all.
    """
    tree = _open(source) if isinstance(source, Path) else source
    found = tuple(_read_or_report(tree, root) for root in sorted(_project_roots(tree)))
    if not found:
        raise ConfigFileError(
            tree.name, f"holds no Base44 project (a folder with {PROJECT_FOLDER}/config.jsonc or connectors)"
        )
    return found


def outline_projects(tree: Tree) -> tuple[ProjectFiles, ...]:
    """Where projects lie in a tree and whose they are, in the order of their paths; () when there are none.

    Their connector files are not read: `files`, `connectors_dir` and `name` stay empty. Raises ConfigFileError when
    the tree has more folders than are searched.
    """
    return tuple(_outline(tree, root) for root in sorted(_project_roots(tree)))


def locate_at(tree: Tree, root: str, *, default: str = "") -> ProjectFiles:
    """The one project whose folder is known, without searching for it: what holds `base44/`, or connector files alone.

    Paths in the result are relative to `root`. Where there is nothing of the kind, `has_directory` is False and there
    are no files: a project whose first file is still to be written looks like this, but so does one that was moved
    away. `default` is the connectors directory below `root` where no config names one and the usual one is not there.
    Faulty connector files become `problems`. Raises ConfigFileError when the project's own files cannot be read.
    """
    return _read_folder(tree, root, root) if _is_plain(tree, root) else _read_project(tree, root, default)


def connectors_folder(tree: Tree, root: str, *, default: str = "") -> str:
    """The folder whose files `locate_at` reads, from the tree's top; it need not exist. Raises ConfigFileError."""
    return root if _is_plain(tree, root) else _directory(tree, root, default)[0]


def locate_file(name: str, raw: bytes) -> ProjectFiles:
    """A lone connector file, given by name and content: `whole` is False. Raises ConfigFileError for another suffix."""
    if not is_connector_name(name):
        raise ConfigFileError(name, "expected a *.jsonc or *.json file, a zip archive or a directory")
    files, problems = _parse_all({name: raw}, "")
    return ProjectFiles("", "", "", "", files, problems, folder="", whole=False)


def locate_upload(name: str, raw: bytes) -> ProjectFiles:
    """What a browser sent: a zip archive of one project or connectors directory, or a lone file."""
    if raw.startswith(_ZIP_STARTS) or name.lower().endswith(".zip"):
        return locate_project(read_zip(raw, name))
    return locate_file(name, raw)


def connectors_directory(target: Path, default: str = "") -> Path:
    """Where a project's connector files are, or are to be written, on disk.

    With a config file in `target` it is the config's `connectorsDir`, otherwise `target`/`default`. The directory need
    not exist. Raises ConfigFileError when the config is broken or the directory lies outside `target`.
    """
    tree = DirectoryTree(target)
    config = _config_path(tree, "")
    folder = default
    if config is not None:
        folder = inside(_parent(config), _connectors_dir(read_object(tree.read(config), config), config), what=config)
    tree.entries(folder)  # refuses a symbolic link that leaves the target
    return target / folder


def read_directory(directory: Path) -> dict[str, bytes]:
    """The connector files directly in a directory, by name: what an export compares with. Empty if there is none."""
    if not directory.is_dir():
        return {}
    tree = DirectoryTree(directory)
    return {name: tree.read(name) for name in _connector_names(tree.entries(""))}


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _ZIP_STARTS or path.suffix.lower() == ".zip"


def _open(path: Path) -> Tree:
    try:
        if path.is_file() and _is_zip(path):
            if path.stat().st_size > MAX_ARCHIVE_BYTES:
                raise ConfigFileError(str(path), f"is larger than {MAX_ARCHIVE_BYTES // 1024 // 1024} MB")
            return read_zip(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigFileError(str(path), f"cannot be read: {error.strerror}") from error
    if not path.is_dir():
        raise ConfigFileError(str(path), "there is no such directory or archive" if path.exists() else "does not exist")
    return DirectoryTree(path)


def _project_roots(tree: Tree) -> Iterator[str]:
    """The folders that are projects; hidden folders, dependencies and what links lead to are not searched."""
    todo, seen = [("", 0)], 0
    while todo:
        folder, depth = todo.pop()
        seen += 1
        if seen > MAX_FOLDERS:
            raise ConfigFileError(tree.name, f"has more than {MAX_FOLDERS:,} folders; name a smaller place")
        entries = tree.entries(folder)
        is_project = _is_project(tree, folder, entries)
        if is_project:
            yield folder
        for name, kind in entries.items():
            hidden = name.startswith(".") or name in _SKIPPED or (is_project and name == PROJECT_FOLDER)
            if kind == "folder" and not hidden and depth < MAX_DEPTH:
                todo.append((f"{folder}/{name}" if folder else name, depth + 1))


def _is_project(tree: Tree, folder: str, entries: dict[str, Entry]) -> bool:
    if PROJECT_FOLDER in entries:
        inner = tree.entries(_join(folder, PROJECT_FOLDER))
        if any(name in inner for name in (*CONFIG_NAMES, *APP_NAMES, DEFAULT_CONNECTORS_DIR)):
            return True
    if any(entries.get(name) == "file" for name in CONFIG_NAMES):
        # Many programs have a config.json; Base44's lies beside its connectors or its app id.
        return (
            DEFAULT_CONNECTORS_DIR in entries or any(name in entries for name in APP_NAMES) or _is_base44(tree, folder)
        )
    if DEFAULT_CONNECTORS_DIR in entries and folder == "":
        return any(map(is_connector_name, tree.entries(DEFAULT_CONNECTORS_DIR)))
    return False


def _is_base44(tree: Tree, folder: str) -> bool:
    config = _config_path(tree, folder)
    try:
        return config is not None and "connectorsDir" in read_object(tree.read(config), config)
    except ConfigFileError:
        return False


def _config_path(tree: Tree, root: str) -> str | None:
    for folder in (_join(root, PROJECT_FOLDER), root):
        entries = tree.entries(folder)
        for name in CONFIG_NAMES:
            if entries.get(name) == "file":
                return _join(folder, name)
    return None


def _connectors_dir(config: dict[str, object], path: str) -> str:
    value = config.get("connectorsDir", DEFAULT_CONNECTORS_DIR)
    if not isinstance(value, str):
        raise ConfigFileError(path, "connectorsDir: expected a string")
    return value


def _read_project(tree: Tree, root: str, default: str = "") -> ProjectFiles:
    directory, config = _directory(tree, root, default)
    app_id, app_problems = _app_id(tree, root)
    found = _read_folder(tree, root, directory)
    name = config.get("name")
    return replace(
        found,
        app_id=app_id,
        name=name if isinstance(name, str) else "",
        problems=app_problems + found.problems,
        has_directory=bool(found.files) or _is_folder(tree, directory),
    )


def _directory(tree: Tree, root: str, default: str) -> tuple[str, dict[str, object]]:
    """Where the project's connector files are, and what its config says."""
    config_path = _config_path(tree, root)
    if config_path is None:
        inner = _join(root, PROJECT_FOLDER) if PROJECT_FOLDER in tree.entries(root) else root
        usual = _join(inner, DEFAULT_CONNECTORS_DIR)
        return (usual if not default or _is_folder(tree, usual) else _join(root, default)), {}
    config = read_object(tree.read(config_path), config_path)
    directory = inside(_parent(config_path), _connectors_dir(config, config_path), what=config_path)
    if root and directory != root and not directory.startswith(f"{root}/"):
        raise ConfigFileError(config_path, "the path in connectorsDir leaves the project's directory")
    return directory, config


def could_be_plain(tree: Tree, root: str) -> bool:
    """Whether the folder's names are those of a connectors directory without a project around it. Reads no file."""
    entries = tree.entries(root)
    has_others = not _PROJECT_NAMES.isdisjoint(entries) or not _PROGRAM_FILES.isdisjoint(entries)
    return not has_others and bool(_connector_names(entries))


def _is_plain(tree: Tree, root: str) -> bool:
    """Whether it is one, and not just a folder with any JSON in it."""
    if not could_be_plain(tree, root):
        return False
    names = _connector_names(tree.entries(root))
    return _last(root) == DEFAULT_CONNECTORS_DIR or any(_is_connector(tree, _join(root, name)) for name in names)


def _is_connector(tree: Tree, path: str) -> bool:
    try:
        parse_connector(tree.read(path), path)
    except ConfigFileError:
        return False
    return True


def _is_folder(tree: Tree, folder: str) -> bool:
    return not folder or _last(folder) in tree.entries(_parent(folder))


def _app_id(tree: Tree, root: str) -> tuple[str, tuple[ConfigFileError, ...]]:
    for folder in (_join(root, PROJECT_FOLDER), root):
        entries = tree.entries(folder)
        for name in APP_NAMES:
            if entries.get(name) == "file":
                return _read_app_id(tree, _join(folder, name))
    return "", ()


def _read_app_id(tree: Tree, path: str) -> tuple[str, tuple[ConfigFileError, ...]]:
    try:
        app_id = read_object(tree.read(path), path).get("id")
    except ConfigFileError as error:
        return "", (error,)
    if not isinstance(app_id, str) or not app_id:
        return "", (ConfigFileError(path, "id: expected the app's id, a string that is not empty"),)
    return app_id, ()


def _read_or_report(tree: Tree, root: str) -> ProjectFiles:
    try:
        return _read_project(tree, root)
    except ConfigFileError as error:
        folder = _last(root) or tree.folder
        return ProjectFiles(root, _app_id(tree, root)[0], "", "", (), (error,), folder=folder)


def _outline(tree: Tree, root: str) -> ProjectFiles:
    try:
        app_id, problems = _app_id(tree, root)
    except ConfigFileError as error:
        app_id, problems = "", (error,)
    return ProjectFiles(root, app_id, "", "", (), problems, folder=_last(root) or tree.folder)


def _read_plain_folder(tree: Tree) -> ProjectFiles:
    """A connectors directory without a project around it, perhaps the only folder of an archive."""
    folder, entries = "", tree.entries("")
    while not _connector_names(entries):
        visible = [name for name in entries if not name.startswith(".") and name not in _SKIPPED]
        if len(visible) != 1 or entries[visible[0]] != "folder":
            break
        folder = _join(folder, visible[0])
        entries = tree.entries(folder)
    if not _connector_names(entries):
        raise ConfigFileError(tree.name, "holds no Base44 project and no connector files (*.jsonc, *.json)")
    if program := sorted(_PROGRAM_FILES.intersection(entries)):
        raise ConfigFileError(
            tree.name, f"holds {program[0]}, so this is a program's folder, not a connectors directory"
        )
    return _read_folder(tree, "", folder)


def _read_folder(tree: Tree, root: str, directory: str) -> ProjectFiles:
    contents: dict[str, bytes] = {}
    problems: list[ConfigFileError] = []
    for name in _connector_names(tree.entries(directory)):
        try:
            if not name.isprintable():
                raise ConfigFileError(_join(directory, ascii(name)), "the file's name holds unprintable characters")
            contents[_join(directory, name)] = tree.read(_join(directory, name))
        except ConfigFileError as error:
            problems.append(error)
    files, faults = _parse_all(contents, root)
    inner = directory[len(root) :].lstrip("/")
    folder = _last(root) or tree.folder
    return ProjectFiles(root, "", "", inner, files, (*problems, *faults), folder=folder)


def _connector_names(entries: dict[str, Entry]) -> list[str]:
    return sorted(name for name, kind in entries.items() if kind == "file" and is_connector_name(name))


def _parse_all(contents: dict[str, bytes], root: str) -> tuple[tuple[ConnectorFile, ...], tuple[ConfigFileError, ...]]:
    """The files that are in order, with paths relative to `root`, and the errors of the others.

    Of two files of one type neither is taken: nobody can say which one is meant.
    """
    by_type: dict[str, list[ConnectorFile]] = {}
    problems: list[ConfigFileError] = []
    for path, raw in contents.items():
        try:
            spec = parse_connector(raw, path)
        except ConfigFileError as error:
            problems.append(error)
        else:
            inner = path[len(root) :].lstrip("/")
            by_type.setdefault(spec.type, []).append(ConnectorFile(inner, spec, raw))
    for name, same in by_type.items():
        if len(same) > 1:
            problems.append(duplicate_type(name, [_join(root, file.path) for file in same]))
    files = (same[0] for same in by_type.values() if len(same) == 1)
    return tuple(sorted(files, key=lambda file: file.path)), tuple(problems)


def duplicate_type(name: str, paths: list[str]) -> ConfigFileError:
    """The error for several files of one type; it names them all."""
    others = " and ".join(paths[:-1])
    return ConfigFileError(paths[-1], f'declares the type "{name}", and so does {others}; keep one of them')


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _last(path: str) -> str:
    return path.rpartition("/")[2]

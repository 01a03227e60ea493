"""Export: write what the portal declares into connector files, changing only what differs and losing no comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path

from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.config_files import (
    FileChange,
    connectors_directory,
    plan_export,
    read_directory,
    write_changes,
    zip_changes,
)
from connectors.core.errors import ConfigFileError, Refused
from connectors.core.lock_file import LockFile, lock_folder, plan_lock, read_lock
from connectors.core.specs import ConnectorSpec
from connectors.flows.approval_matters import files_matter
from connectors.flows.approvals import ApprovalNeeded, allow, ask, demanding, needing
from connectors.flows.events import record_event
from connectors.flows.lock_file import locks_of
from connectors.models import Approval, Connector, Project
from connectors.models.approval import Subject
from connectors.models.project import DEFAULT_CONNECTORS_DIR

CHUNK = 200
"""Projects whose connectors are loaded by one query; a thousand projects cost five."""

WRITTEN = ("new", "edited", "removed")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export did, or with `check` would do, to one project's connectors directory.

    `problem` is "" or why nothing of this project was written. `lock` is the lock file beside the directory, None where
    there is none and none was asked for.
    """

    project: Project
    directory: Path
    changes: tuple[FileChange, ...] = ()
    problem: str = ""
    lock: FileChange | None = None

    @property
    def differs(self) -> bool:
        """Whether any file was, or would be, written or removed."""
        return any(change.kind in WRITTEN for change in self.all_changes)

    @property
    def all_changes(self) -> tuple[FileChange, ...]:
        """The changes of connector files, and of the lock file if there is one."""
        return (*self.changes, self.lock) if self.lock else self.changes


@dataclass(frozen=True, slots=True)
class Declared:
    """What a project's files have to say: its declared connectors, and the files they were imported from, by type."""

    project: Project
    specs: tuple[ConnectorSpec, ...]
    sources: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


def plan_project_export(
    project: Project, existing: Mapping[str, bytes], *, prune: bool = False
) -> tuple[FileChange, ...]:
    """The changes that make a directory with the files `existing` (name to bytes) say what the portal declares.

    Reads the database, writes nothing. Raises ConfigFileError when the directory holds a broken file, or two of a type.
    """
    (declared,) = declared_by([project])
    return plan_export(declared.specs, existing, declared.sources, prune=prune)


def export_to_directory(
    project: Project, target: Path, actor: Actor, *, prune: bool = False, check: bool = False, lock: bool = False
) -> ExportResult:
    """Writes one project's files: into the `connectorsDir` of `target`'s config file, or into `target` itself.

    With `check` nothing is written. `prune` removes files of types that are no longer declared. A lock file beside the
    directory is brought up to date; with `lock` there will be one.
    Raises ConfigFileError when the directory cannot be read or written, and ApprovalNeeded where another person has to
    approve it first; then it is as it was.
    """
    (declared,) = declared_by([project])
    how = _How.of([project], actor, prune=prune, check=check, lock=lock)
    result = _export(declared, connectors_directory(target), how)
    if result.differs and not check:
        _record(result, actor)
    return result


def export_all(
    projects: Iterable[Project],
    root: Path,
    actor: Actor,
    *,
    prune: bool = False,
    check: bool = False,
    lock: bool = False,
) -> Iterator[ExportResult]:
    """Writes each project's files to `root/<slug>/base44/connectors/`, one result per project as it is done.

    Where `root/<slug>` has a config file of its own, that one says where the connectors lie. A project whose directory
    is broken, or whose export waits for approval, comes with a `problem`; the others go on. `prune`, `check` and `lock`
    as in `export_to_directory`.
    """
    chosen = list(projects)
    how = _How.of(chosen, actor, prune=prune, check=check, lock=lock)
    for declared in declared_by(chosen):
        result = _export_to_tree(declared, root, how)
        if result.differs and not check:
            _record(result, actor)
        yield result


def plan_zip(projects: Sequence[Project]) -> list[ExportResult]:
    """The files that a zip of these projects holds; `directory` is their place in it.

    The files of several projects lie in `<slug>/base44/connectors/`, those of one in its connectors directory.
    Raises ConfigFileError when an imported file can no longer be edited.
    """
    several = len(projects) > 1
    return [
        ExportResult(
            declared.project,
            Path(f"{declared.project.slug}/{DEFAULT_CONNECTORS_DIR}" if several else declared.project.connectors_dir),
            plan_export(declared.specs, {}, declared.sources),
        )
        for declared in declared_by(projects)
    ]


def zip_results(results: Iterable[ExportResult]) -> bytes:
    """The archive that `plan_zip` planned: the same declarations give the same bytes. No I/O."""
    return zip_changes(
        (f"{result.directory.as_posix()}/{change.path}", change.after or b"")
        for result in results
        for change in result.changes
    )


@transaction.atomic
def record_zip(results: Sequence[ExportResult], actor: Actor) -> None:
    """Puts on record that the projects' files are handed out in an archive: call it before they are.

    Raises ApprovalNeeded, for all of them, where another person has to approve one first.
    """
    allow((files_matter(result.project, result.changes) for result in results), actor)
    for result in results:
        record_event(
            actor, "project.exported", result.project, after={"zip": [change.path for change in result.changes]}
        )


def export_zip(projects: Sequence[Project], actor: Actor) -> bytes:
    """A reproducible zip of the projects' files, comments and all, on record. Raises as `plan_zip`."""
    results = plan_zip(projects)
    record_zip(results, actor)
    return zip_results(results)


def ask_to_export(results: Iterable[ExportResult], actor: Actor, reason: str) -> list[Approval]:
    """Asks another person to approve these exports, where one has to; `results` are as planned or as checked.

    Raises Refused as `ask` does, and where nobody has to.
    """
    found = [result for result in results if any(change.kind in WRITTEN for change in result.changes)]
    wanted = needing(files_matter(result.project, result.changes) for result in found)
    if not wanted:
        raise Refused("Nothing of this needs another person's approval.")
    return [ask(matter, actor, reason) for matter in wanted]


def hand_out_file(project: Project, name: str, actor: Actor) -> bytes:
    """One file of the project's archive, on record. Raises Refused where there is none, or the whole needs approval."""
    if demanding([project], Subject.EXPORT):
        raise Refused("Here an export needs another person's approval: download all files together as a zip.")
    (result,) = plan_zip([project])
    found = next((change for change in result.changes if change.path == name), None)
    if found is None or found.after is None:
        raise Refused("There is no such file any more.")
    record_event(actor, "project.exported", project, after={"file": found.path})
    return found.after


def declared_by(projects: Iterable[Project]) -> Iterator[Declared]:
    """What each project declares, in the projects' order: one query for every CHUNK of them.

    The imported files are read by one query more, and only for a chunk in which a connector has no file yet.
    """
    remaining = iter(projects)
    while chunk := list(islice(remaining, CHUNK)):
        specs: dict[int, list[ConnectorSpec]] = {project.pk: [] for project in chunk}
        rows = Connector.objects.declared().filter(project__in=chunk).order_by()
        for project_id, type_, scopes in rows.values_list("project_id", "integration_type_id", "scopes"):
            specs[project_id].append(ConnectorSpec(type_, tuple(scopes)))
        sources = _Sources(chunk)
        for project in chunk:
            yield Declared(project, tuple(specs[project.pk]), _SourcesOf(project.pk, sources))


class _Sources:
    """The imported files of a chunk of projects, read when the first of them is asked for."""

    def __init__(self, chunk: Sequence[Project]) -> None:
        self._chunk = chunk
        self._found: dict[int, dict[str, tuple[str, bytes]]] | None = None

    def of(self, project_id: int) -> Mapping[str, tuple[str, bytes]]:
        if self._found is None:
            self._found = {}
            rows = Connector.objects.declared().filter(project__in=self._chunk, source__isnull=False).order_by()
            columns = rows.values_list("project_id", "integration_type_id", "source_path", "source")
            for owner, type_, path, source in columns.iterator():
                self._found.setdefault(owner, {})[type_] = (path, bytes(source or b""))
        return self._found.get(project_id, {})


class _SourcesOf(Mapping[str, tuple[str, bytes]]):
    """One project's part of `_Sources`. Most exports find every file in place and never look into it."""

    def __init__(self, project_id: int, sources: _Sources) -> None:
        self._project_id, self._sources = project_id, sources

    def __getitem__(self, type_: str) -> tuple[str, bytes]:
        return self._sources.of(self._project_id)[type_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources.of(self._project_id))

    def __len__(self) -> int:
        return len(self._sources.of(self._project_id))


class _Locks:
    """The lock files of projects: all worked out together when the first of them is needed, which most exports do not.

    `wanted`: also where there is none yet.
    """

    def __init__(self, projects: Sequence[Project], *, wanted: bool) -> None:
        self._projects, self._wanted = projects, wanted
        self._found: dict[int, LockFile] | None = None

    def plan(self, project: Project, directory: Path) -> FileChange | None:
        """What happens to the lock file beside a connectors directory; None where there is none and shall be none."""
        before = read_lock(lock_folder(directory))
        if before is None and not self._wanted:
            return None
        if self._found is None:
            self._found = locks_of(self._projects)
        return plan_lock(before, self._found[project.pk])


@dataclass(frozen=True)
class _How:
    """How an export goes about all of its projects."""

    projects: Sequence[Project]
    actor: Actor
    locks: _Locks
    prune: bool
    check: bool

    @classmethod
    def of(cls, projects: Sequence[Project], actor: Actor, *, prune: bool, check: bool, lock: bool) -> _How:
        return cls(projects, actor, _Locks(projects, wanted=lock), prune, check)

    @cached_property
    def watched(self) -> set[int]:
        """The ids of the projects that need approval: read when the first file is to be written."""
        return demanding(self.projects, Subject.EXPORT)


def _export_to_tree(declared: Declared, root: Path, how: _How) -> ExportResult:
    place = root / declared.project.slug
    try:
        return _export(declared, connectors_directory(place, DEFAULT_CONNECTORS_DIR), how)
    except (ConfigFileError, ApprovalNeeded) as error:
        return ExportResult(declared.project, place, problem=str(error))


def _export(declared: Declared, directory: Path, how: _How) -> ExportResult:
    changes = plan_export(declared.specs, read_directory(directory), declared.sources, prune=how.prune)
    lock = how.locks.plan(declared.project, directory)
    if not how.check:
        if any(change.kind in WRITTEN for change in changes) and declared.project.pk in how.watched:
            allow([files_matter(declared.project, changes)], how.actor)
        write_changes(lock_folder(directory), [lock] if lock else [])
        write_changes(directory, changes)
    return ExportResult(declared.project, directory, changes, lock=lock)


def _record(result: ExportResult, actor: Actor) -> None:
    done = {kind: [change.path for change in result.all_changes if change.kind == kind] for kind in WRITTEN}
    record_event(
        actor, "project.exported", result.project, after={kind: paths for kind, paths in done.items() if paths}
    )

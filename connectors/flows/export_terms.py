"""What a planned export of a repository is: its files, what it leaves alone, and what there is to say of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from connectors.core.commit_message import FileNote, Kind, ProjectNote
from connectors.core.config_files import FileChange, unified_diff
from connectors.core.git import PathChange
from connectors.core.pull_request_body import FindingNote, LeftNote
from connectors.core.three_way import Change
from connectors.flows.repository_compare import Difference
from connectors.models import Placement, Project, Repository

Tick = Literal["", "removals", "ours"]
"""What somebody could choose so that a file which is left alone is written, or removed; "" nothing."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file that would be written or removed. `path` is from the repository's top; `type` "" is the lock file.

    `why` says who changed the connector in the portal, and when; "" when nobody knows.
    """

    path: str
    type: str
    change: FileChange
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    why: str = ""

    @property
    def kind(self) -> Kind:
        """new, edited or removed."""
        return "new" if self.change.before is None else "removed" if self.change.after is None else "edited"

    @property
    def diff(self) -> str:
        """The change as `diff -u` shows it."""
        return unified_diff(replace(self.change, path=self.path))


@dataclass(frozen=True, slots=True)
class LeftFile:
    """One file that differs and is left alone: why, and what somebody may tick to have it otherwise."""

    difference: Difference
    path: str
    reason: str
    tick: Tick = ""

    @property
    def is_conflict(self) -> bool:
        """Whether both sides changed it."""
        return self.difference.change is Change.CONFLICT


@dataclass(frozen=True, slots=True)
class ProjectExport:
    """What an export would do to one project's files. `directory` holds them, from the repository's top.

    `problem` is "" or why nothing of this project is written; with `waits` it only waits for approval. `is_new`: no
    connector file is there yet, so the directory begins with this export. `is_unread`: nobody has looked yet; what is
    there will be found when it runs.
    """

    placement: Placement
    directory: str
    files: tuple[PlannedFile, ...] = ()
    left: tuple[LeftFile, ...] = ()
    problem: str = ""
    is_new: bool = False
    is_unread: bool = False
    waits: bool = False

    @property
    def project(self) -> Project:
        return self.placement.project

    @property
    def note(self) -> ProjectNote:
        """What a commit message says of it."""
        files = (FileNote(name_of(file.path), file.kind, file.added, file.removed, file.why) for file in self.files)
        return ProjectNote(self.project.name, self.directory, tuple(files))


@dataclass(frozen=True)
class RepositoryExport:
    """One commit that is not made yet: what it would hold, by project, and what it leaves alone."""

    repository: Repository
    projects: tuple[ProjectExport, ...]
    findings: tuple[FindingNote, ...] = ()

    @cached_property
    def files(self) -> tuple[PlannedFile, ...]:
        """All that would be written or removed."""
        return tuple(file for project in self.projects for file in project.files)

    @property
    def changes(self) -> tuple[PathChange, ...]:
        """The same as git takes it."""
        return tuple(PathChange(file.path, file.change.after) for file in self.files)

    @property
    def notes(self) -> tuple[ProjectNote, ...]:
        """What a commit message says, of the projects of which there is something to say."""
        return tuple(project.note for project in self.projects if project.files)

    @property
    def left(self) -> tuple[LeftFile, ...]:
        """All that differs and is left alone."""
        return tuple(left for project in self.projects for left in project.left)

    @property
    def left_notes(self) -> tuple[LeftNote, ...]:
        """The same for a pull request, with the projects that are left out as a whole."""
        notes = [LeftNote(p.project.name, name_of(left.path), left.reason) for p in self.projects for left in p.left]
        return (*notes, *(LeftNote(p.project.name, p.directory or "/", p.problem) for p in self.projects if p.problem))

    @property
    def conflicts(self) -> tuple[LeftFile, ...]:
        return tuple(left for left in self.left if left.is_conflict)

    @property
    def problems(self) -> tuple[ProjectExport, ...]:
        """The projects of which nothing can be written."""
        return tuple(project for project in self.projects if project.problem)

    @property
    def fingerprint(self) -> str:
        """Covers each connector file's path and bytes, before and after. Lock files follow from what Base44 says."""
        return _digest(
            (file.path, _hash(file.change.before), _hash(file.change.after)) for file in self.files if file.type
        )

    @property
    def content(self) -> str:
        """Covers all that would be written: what a pull request proposes, whatever it is based on."""
        return _digest((file.path, _hash(file.change.after)) for file in self.files)


def name_of(path: str) -> str:
    """A path's last part."""
    return path.rpartition("/")[2]


def _hash(content: bytes | None) -> str:
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _digest(parts: Iterable[tuple[str, ...]]) -> str:
    return hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()

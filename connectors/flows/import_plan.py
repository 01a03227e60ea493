"""Plan an import: what connector files would change in the portal, and what the team's rules say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError

from connectors.core.catalog import load_catalog
from connectors.core.config_files import ConnectorFile, ProjectFiles
from connectors.core.errors import ConfigFileError
from connectors.core.policy import PolicyNote
from connectors.core.pull import ChangeKind
from connectors.flows.policies import Proposal, notes_of
from connectors.models import Connector, IntegrationType, Project

MAX_TYPE = 100
"""Characters of an integration type that the portal stores; the longest known one has 24."""


@dataclass(frozen=True, slots=True)
class ImportChange:
    """One connector: what the files say of it against what the portal declares.

    `path` is the file, "" for a missing one. `added` and `removed` are scopes, in the order of their own list.
    `text_differs`: the same scopes in a file whose text is not the one imported last. `notes` are warnings, `policy` is
    what the team's rules say of what is added: one that stops refuses the whole import.
    """

    type: str
    kind: ChangeKind
    reason: str
    path: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    text_differs: bool = False
    notes: tuple[str, ...] = ()
    policy: tuple[PolicyNote, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether importing touches the connector's row."""
        return self.kind in (ChangeKind.NEW, ChangeKind.CHANGED) or self.text_differs

    def as_json(self) -> dict[str, Any]:
        """The row of `import_connectors --json`."""
        return {
            "type": self.type,
            "action": self.kind.value,
            "reason": self.reason,
            "file": self.path,
            "added": list(self.added),
            "removed": list(self.removed),
            "notes": list(self.notes),
            "policy": [note.as_json() for note in self.policy],
        }


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What importing `files` into `project` would do. With anything in `refused` it cannot be applied.

    `fingerprint` changes with the files and with what the portal declares: applying compares it, so that nobody takes
    what they were not shown. `only`: the types that it is about, None for all that the files and the portal have.
    """

    project: Project
    files: ProjectFiles
    changes: tuple[ImportChange, ...]
    refused: tuple[ConfigFileError, ...]
    warnings: tuple[str, ...]
    fingerprint: str
    only: frozenset[str] | None = None

    @property
    def is_empty(self) -> bool:
        """True when importing would write nothing; connectors that the files lack do not count."""
        return not self.refused and not any(change.writes for change in self.changes)

    @property
    def stopped(self) -> bool:
        """Whether a rule stops something that it adds."""
        return any(note.stops for change in self.changes for note in change.policy)

    @property
    def missing(self) -> tuple[str, ...]:
        """Types that the portal declares and the files lack."""
        return tuple(change.type for change in self.changes if change.kind == ChangeKind.MISSING)

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind, and how many files are refused."""
        kinds = [change.kind for change in self.changes]
        return {kind.value: kinds.count(kind) for kind in ChangeKind} | {"refused": len(self.refused)}

    def rows(self) -> list[dict[str, Any]]:
        """The `results` of `import_connectors --json`: the changes, then what is refused."""
        refused = [
            {"type": "", "action": "refused", "reason": error.message, "file": error.path, "line": error.line}
            for error in self.refused
        ]
        return [change.as_json() for change in self.changes] + refused


def plan_import(project: Project, files: ProjectFiles, *, only: Collection[str] | None = None) -> ImportPlan:
    """What importing would change. Writes nothing. Faulty files are in `refused`, all others in `changes`.

    With `only`, nothing but these types is planned and taken over, missing ones neither.
    """
    wanted = None if only is None else frozenset(only)
    rows = {row.integration_type_id: row for row in project.connectors.declared()}
    taken = [file for file in files.files if wanted is None or file.spec.type in wanted]
    types = IntegrationType.objects.in_bulk([file.spec.type for file in taken])
    notes = notes_of([proposal(project, files, rows, wanted)])[project.pk]
    changes = [_change(file, rows.get(file.spec.type), types.get(file.spec.type)) for file in taken]
    changes = [replace(change, policy=notes.get(change.type, ())) for change in changes]
    if files.whole:
        read = {file.spec.type for file in files.files}
        lacking = [row for type_, row in rows.items() if type_ not in read]
        changes += [_missing(row) for row in lacking if wanted is None or row.integration_type_id in wanted]
    refused = (*files.problems, *_too_long(files))
    return ImportPlan(
        project=project,
        files=files,
        changes=tuple(sorted(changes, key=lambda change: change.type)),
        refused=refused,
        warnings=_warnings(project, files),
        fingerprint=_fingerprint(files, rows, wanted),
        only=wanted,
    )


def proposal(
    project: Project, files: ProjectFiles, rows: Mapping[str, Connector], only: Collection[str] | None = None
) -> Proposal:
    """What the files (of `only` these types) would add to what the rows declare, for the rules."""
    after = {file.spec.type: file.spec.scopes for file in files.files if only is None or file.spec.type in only}
    return Proposal(project, after, {type_: row.scopes for type_, row in rows.items() if type_ in after})


def _change(file: ConnectorFile, row: Connector | None, type_: IntegrationType | None) -> ImportChange:
    wanted = file.spec.scopes
    notes = _notes(file.spec.type, row, type_)
    if row is None:
        reason = "Not in the portal yet." if wanted else "Not in the portal yet; it asks for no scopes."
        return ImportChange(
            file.spec.type, ChangeKind.NEW, reason, file.path, after=wanted, added=_unique(wanted), notes=notes
        )
    had = tuple(row.scopes)
    added = tuple(scope for scope in _unique(wanted) if scope not in had)
    removed = tuple(scope for scope in _unique(had) if scope not in wanted)
    text_differs = had != wanted or bytes(row.source or b"") != file.raw
    kind = ChangeKind.CHANGED if added or removed else ChangeKind.UNCHANGED
    return ImportChange(
        file.spec.type,
        kind,
        _difference(added, removed, text_differs=text_differs),
        file.path,
        before=had,
        after=wanted,
        added=added,
        removed=removed,
        text_differs=text_differs,
        notes=notes,
    )


def _difference(added: Sequence[str], removed: Sequence[str], *, text_differs: bool) -> str:
    parts = [f"adds {', '.join(added)}"] if added else []
    if removed:
        parts.append(f"takes away {', '.join(removed)}")
    if parts:
        text = "; ".join(parts)
        return f"{text[0].upper()}{text[1:]}."
    return "Same scopes; the file's text is taken over." if text_differs else "The same as in the portal."


def _missing(row: Connector) -> ImportChange:
    reason = "In the portal, but not in the files. It stays, unless you choose to remove it."
    return ImportChange(row.integration_type_id, ChangeKind.MISSING, reason, before=tuple(row.scopes))


def _notes(type_: str, row: Connector | None, known: IntegrationType | None) -> tuple[str, ...]:
    notes = []
    shipped = load_catalog().types
    is_known = known.is_known if known else type_ in shipped
    if not is_known and type_.lower() in shipped:
        notes.append(f"Differs only by capital letters from {type_.lower()}; Base44 takes these for two types.")
    elif not is_known:
        notes.append("The catalogue does not know this type. Base44 decides whether it accepts it.")
    if known is not None:
        try:
            known.check_connection_config(row.connection_config if row else {})
        except ValidationError as error:
            notes.append(f"Connection config, which files do not hold: {' '.join(error.messages)}")
    return tuple(notes)


def _warnings(project: Project, files: ProjectFiles) -> tuple[str, ...]:
    warnings = []
    if files.app_id and files.app_id != project.app_id:
        warnings.append(f"These files belong to the app {files.app_id}; {project.slug} is the app {project.app_id}.")
    if not files.has_directory:
        warnings.append(f"There is no directory {files.connectors_dir}, which the project's config names.")
    elif not files.files and not files.problems:
        warnings.append("There are no connector files here: nothing would be imported.")
    return tuple(warnings)


def _too_long(files: ProjectFiles) -> tuple[ConfigFileError, ...]:
    return tuple(
        ConfigFileError(file.path, f"type: longer than {MAX_TYPE} characters")
        for file in files.files
        if len(file.spec.type) > MAX_TYPE
    )


def _fingerprint(files: ProjectFiles, rows: Mapping[str, Connector], only: Collection[str] | None) -> str:
    """SHA-256 over every byte of the files, over what the portal declares and over the types it is about."""
    digest = hashlib.sha256(b"" if only is None else repr(sorted(only)).encode())
    for file in files.files:
        for part in (file.path.encode("utf-8", "surrogateescape"), file.raw):
            digest.update(b"%d:" % len(part) + part)
    for type_, row in sorted(rows.items()):
        told = repr((type_, row.scopes, hashlib.sha256(bytes(row.source or b"")).hexdigest()))
        digest.update(told.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _unique(scopes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scopes))

"""Import: plan what connector files would change in the portal, show it, then take all of it or nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.catalog import load_catalog
from connectors.core.config_files import ConnectorFile, ProjectFiles
from connectors.core.errors import ConfigFileError, Refused
from connectors.core.policy import PolicyNote
from connectors.core.pull import ChangeKind
from connectors.flows import ledger
from connectors.flows.catalogue import ensure_types, fill_empty_catalogue
from connectors.flows.compare import RECOMPUTED, recompute, rules_of
from connectors.flows.declare import undeclare
from connectors.flows.events import record_event
from connectors.flows.policies import Proposal, judge, notes_of, refuse
from connectors.models import Connector, IntegrationType, Project, SyncRun, SyncStep

MAX_TYPE = 100
"""Characters of an integration type that the portal stores; the longest known one has 24."""

_TAKEN_OVER = ["is_declared", "scopes", "source", "source_path", "source_read_at", "updated_at", *RECOMPUTED]


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
    what they were not shown.
    """

    project: Project
    files: ProjectFiles
    changes: tuple[ImportChange, ...]
    refused: tuple[ConfigFileError, ...]
    warnings: tuple[str, ...]
    fingerprint: str

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


@dataclass(frozen=True, slots=True)
class Match:
    """One located project and the portal's project it belongs to; without one `problem` says why not."""

    files: ProjectFiles
    project: Project | None
    problem: str = ""


def plan_import(project: Project, files: ProjectFiles) -> ImportPlan:
    """What importing would change. Writes nothing. Faulty files are in `refused`, all others in `changes`."""
    rows = {row.integration_type_id: row for row in project.connectors.declared()}
    types = IntegrationType.objects.in_bulk([file.spec.type for file in files.files])
    notes = notes_of([_proposal(project, files, rows)])[project.pk]
    changes = [_change(file, rows.get(file.spec.type), types.get(file.spec.type)) for file in files.files]
    changes = [replace(change, policy=notes.get(change.type, ())) for change in changes]
    if files.whole:
        read = {file.spec.type for file in files.files}
        changes += [_missing(row) for type_, row in rows.items() if type_ not in read]
    refused = (*files.problems, *_too_long(files))
    return ImportPlan(
        project=project,
        files=files,
        changes=tuple(sorted(changes, key=lambda change: change.type)),
        refused=refused,
        warnings=_warnings(project, files),
        fingerprint=_fingerprint(files, rows),
    )


def apply_import(plan: ImportPlan, actor: Actor, *, remove_missing: Collection[str] = ()) -> SyncRun:
    """Takes the files over, all or nothing, and gives the run that records it.

    Raw bytes and file names are kept for the way back; connection config stays as it is. Connectors that the files
    lack stay, but for the types in `remove_missing`. A plan with refused files writes nothing: its run is `refused`.
    Raises Refused when the files or the portal have changed since the plan, or for a removal that it did not show, and
    PolicyRefused when a rule stops something that the files add.
    """
    if plan.refused:
        return _record_refusal(plan, actor)
    _check_removals(plan, remove_missing)
    started = timezone.now()
    fill_empty_catalogue(actor)
    with transaction.atomic():
        # The project's row is the lock: two imports at once would both plan against the same old state.
        project = Project.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=plan.project.pk)
        if plan_import(project, plan.files).fingerprint != plan.fingerprint:
            raise Refused(f"{project} has changed since this import was planned. Nothing was taken: plan it again.")
        declared = {row.integration_type_id: row for row in project.connectors.declared()}
        refuse(project, judge([_proposal(project, plan.files, declared)])[project.pk])
        before, after = _take_over(project, plan)
        for row in project.connectors.filter(integration_type_id__in=list(remove_missing)):
            before[row.integration_type_id], after[row.integration_type_id] = list(row.scopes), None
            undeclare(row, actor)
        run = _record_run(plan, actor, started, set(remove_missing))
        read = _note_repository(project, plan.files)
        ledger.note(read, actor, "project.imported", runs={project.pk: run.pk})
        if before or after:
            record_event(actor, "project.imported", project, before=before, after=after)
    return run


def _proposal(project: Project, files: ProjectFiles, rows: Mapping[str, Connector]) -> Proposal:
    """What the files would add, for the rules."""
    after = {file.spec.type: file.spec.scopes for file in files.files}
    return Proposal(project, after, {type_: row.scopes for type_, row in rows.items() if type_ in after})


def match_projects(located: Sequence[ProjectFiles]) -> tuple[Match, ...]:
    """Which project each located one belongs to: by app id, or by folder name = slug where no file gives the app id."""
    by_app = _by(Project.objects.filter(app_id__in=[files.app_id for files in located]), "app_id")
    by_slug = _by(Project.objects.filter(slug__in=[files.folder for files in located]), "slug")
    found = [by_app.get(files.app_id) if files.app_id else by_slug.get(files.folder) for files in located]
    return tuple(
        _match(files, project, twice=project is not None and found.count(project) > 1)
        for files, project in zip(located, found, strict=True)
    )


def _by(projects: Iterable[Project], field: str) -> dict[str, Project]:
    return {getattr(project, field): project for project in projects}


def _match(files: ProjectFiles, project: Project | None, *, twice: bool) -> Match:
    if twice and project is not None:
        return Match(files, None, f"Several folders belong to the project {project.slug}; import them one by one.")
    if project is not None:
        return Match(files, project)
    wanted = f"the app id {files.app_id}" if files.app_id else f"the slug {files.folder}"
    return Match(files, None, f"No project has {wanted}. Add it first, with add_project or discover_projects.")


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


def _fingerprint(files: ProjectFiles, rows: Mapping[str, Connector]) -> str:
    """SHA-256 over every byte of the files and over what the portal declares."""
    digest = hashlib.sha256()
    for file in files.files:
        for part in (file.path.encode("utf-8", "surrogateescape"), file.raw):
            digest.update(b"%d:" % len(part) + part)
    for type_, row in sorted(rows.items()):
        told = repr((type_, row.scopes, hashlib.sha256(bytes(row.source or b"")).hexdigest()))
        digest.update(told.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _check_removals(plan: ImportPlan, remove_missing: Collection[str]) -> None:
    if not remove_missing:
        return
    if unknown := sorted(set(remove_missing) - set(plan.missing)):
        raise Refused(f"The import does not miss {', '.join(unknown)}, so there is nothing to remove.")
    if not plan.files.files:
        # A mistaken folder looks exactly like this; removing connectors one by one in the portal stays possible.
        raise Refused("There are no connector files here, so nothing is removed because of them.")


def _take_over(project: Project, plan: ImportPlan) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes the rows that change, in two statements; gives the scopes before and after, by type."""
    files = {file.spec.type: file for file in plan.files.files}
    writing = [change for change in plan.changes if change.writes]
    ensure_types(change.type for change in writing)
    stored = {
        row.integration_type_id: row
        for row in project.connectors.filter(integration_type_id__in=[change.type for change in writing])
    }
    now = timezone.now()
    new: list[Connector] = []
    old: list[Connector] = []
    for change in writing:
        row = stored.get(change.type) or Connector(integration_type_id=change.type)
        row.project = project
        file = files[change.type]
        row.is_declared, row.scopes = True, list(file.spec.scopes)
        row.source, row.source_path = file.raw, file.path.rpartition("/")[2][:300]
        row.source_read_at = row.updated_at = now
        (old if row.pk else new).append(row)
    recompute([*new, *old], rules_of(project.workspace))
    Connector.objects.bulk_create(new)
    Connector.objects.bulk_update(old, _TAKEN_OVER)
    changed = [change for change in writing if change.kind != ChangeKind.UNCHANGED]
    before = {change.type: list(change.before) for change in changed if change.kind == ChangeKind.CHANGED}
    return before, {change.type: list(change.after) for change in changed}


def _note_repository(project: Project, files: ProjectFiles) -> list[int]:
    """Writes down what the files say, for the ledger; returns the connectors that they speak of.

    The files of a whole project also say which connectors have none.
    """
    said = {file.spec.type: list(file.spec.scopes) for file in files.files}
    rows = Connector.objects.filter(project=project).only("id", "integration_type_id")
    rows = rows if files.whole else rows.filter(integration_type_id__in=list(said))
    found, now = list(rows), timezone.now()
    for row in found:
        row.repository_scopes, row.repository_read_at = said.get(row.integration_type_id), now
    Connector.objects.bulk_update(found, ["repository_scopes", "repository_read_at"])
    return [row.pk for row in found]


def _record_refusal(plan: ImportPlan, actor: Actor) -> SyncRun:
    with transaction.atomic():
        run = _open(plan, actor, SyncRun.State.REFUSED, f"Nothing was imported: {_count(len(plan.refused))} refused.")
        SyncStep.objects.bulk_create(
            SyncStep(
                run=run,
                position=place,
                type=error.path.rpartition("/")[2][:100],
                action="refuse",
                reason=str(error),
                state=SyncStep.State.FAILED,
                message=error.message,
            )
            for place, error in enumerate(plan.refused)
        )
        record_event(actor, "import.refused", plan.project, note="; ".join(map(str, plan.refused)))
    return run


def _count(files: int) -> str:
    return f"{files} file{'' if files == 1 else 's'}"


def _record_run(plan: ImportPlan, actor: Actor, started: dt.datetime, removed: set[str]) -> SyncRun:
    counts = {**plan.counts, "missing": len(plan.missing) - len(removed), "removed": len(removed)}
    message = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "No connector files."
    run = _open(plan, actor, SyncRun.State.DONE, message, started=started)
    SyncStep.objects.bulk_create(
        SyncStep(
            run=run,
            position=place,
            type=change.type,
            action="remove" if change.type in removed else change.kind.value,
            reason=change.reason,
            before={"scopes": list(change.before)},
            after={"scopes": list(change.after)},
            state=SyncStep.State.DONE if change.writes or change.type in removed else SyncStep.State.SKIPPED,
        )
        for place, change in enumerate(plan.changes)
    )
    return run


def _open(
    plan: ImportPlan, actor: Actor, state: SyncRun.State, message: str, *, started: dt.datetime | None = None
) -> SyncRun:
    now = timezone.now()
    return SyncRun.objects.create(
        project=plan.project,
        kind=SyncRun.Kind.IMPORT,
        state=state,
        fingerprint=plan.fingerprint,
        message=message,
        user_id=actor.user_id,
        actor_label=actor.label[:200],
        door=actor.door,
        started_at=started or now,
        finished_at=now,
    )


def _unique(scopes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(scopes))

"""Import: take over what a plan showed of connector files, all of it or nothing; and whose project files are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.config_files import ProjectFiles
from connectors.core.errors import Refused
from connectors.core.pull import ChangeKind
from connectors.flows import ledger
from connectors.flows.catalogue import ensure_types, fill_empty_catalogue
from connectors.flows.compare import RECOMPUTED, recompute, rules_of
from connectors.flows.declare import undeclare
from connectors.flows.events import record_event
from connectors.flows.import_plan import ImportPlan, plan_import, proposal
from connectors.flows.policies import judge, refuse
from connectors.models import Connector, Placement, Project, SyncRun, SyncStep

_TAKEN_OVER = ["is_declared", "scopes", "source", "source_path", "source_read_at", "updated_at", *RECOMPUTED]
_NOTED = ["repository_scopes", "repository_read_at", "repository_commit", "repository_author"]


@dataclass(frozen=True, slots=True)
class Match:
    """One located project and the portal's project it belongs to; without one `problem` says why not."""

    files: ProjectFiles
    project: Project | None
    problem: str = ""


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
        # The project's row is the lock: two imports at once would both plan against the same old state. Its key stays
        # free, or whoever has locked a connector and writes a row that refers to the project would wait for us.
        rows = Project.objects.select_for_update(of=("self",), no_key=True).select_related("workspace")
        project = rows.get(pk=plan.project.pk)
        if plan_import(project, plan.files, only=plan.only).fingerprint != plan.fingerprint:
            raise Refused(f"{project} has changed since this import was planned. Nothing was taken: plan it again.")
        declared = {row.integration_type_id: row for row in project.connectors.declared()}
        refuse(project, judge([proposal(project, plan.files, declared, plan.only)])[project.pk])
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


def match_projects(located: Sequence[ProjectFiles], among: QuerySet[Project] | None = None) -> tuple[Match, ...]:
    """Which project each located one belongs to: by app id, or by folder name = slug where no file gives the app id.

    With `among` the other projects are as if they did not exist.
    """
    projects = Project.objects.all() if among is None else among
    by_app = _by(projects.filter(app_id__in=[files.app_id for files in located]), "app_id")
    by_slug = _by(projects.filter(slug__in=[files.folder for files in located]), "slug")
    found = [by_app.get(files.app_id) if files.app_id else by_slug.get(files.folder) for files in located]
    return tuple(
        _match(files, project, twice=project is not None and found.count(project) > 1)
        for files, project in zip(located, found, strict=True)
    )


def _by(projects: Iterable[Project], field: str) -> dict[str, Project]:
    return {getattr(project, field): project for project in projects}


def _match(files: ProjectFiles, project: Project | None, *, twice: bool) -> Match:
    if twice and project is not None:
        return Match(files, None, f"Several folders belong to the project {project.slug}: name one of them.")
    if project is not None:
        return Match(files, project)
    wanted = f"the app id {files.app_id}" if files.app_id else f"the slug {files.folder}"
    return Match(files, None, f"No project has {wanted}. Add it to the portal first.")


def _check_removals(plan: ImportPlan, remove_missing: Collection[str]) -> None:
    if not remove_missing:
        return
    if unknown := sorted(set(remove_missing) - set(plan.missing)):
        raise Refused(f"The import does not miss {', '.join(unknown)}, so there is nothing to remove.")
    if not plan.files.files and plan.only is None:
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

    The files of a whole project also say which connectors have none. Where a repository is read for the project, that
    is what speaks for it, whatever was imported from elsewhere.
    """
    said = {file.spec.type: list(file.spec.scopes) for file in files.files}
    rows = Connector.objects.filter(project=project).only("id", "integration_type_id")
    rows = rows if files.whole else rows.filter(integration_type_id__in=list(said))
    found, now = list(rows), timezone.now()
    if not Placement.objects.filter(project=project, read_at__isnull=False).exists():
        for row in found:
            row.repository_scopes, row.repository_read_at = said.get(row.integration_type_id), now
            row.repository_commit = row.repository_author = ""
        Connector.objects.bulk_update(found, _NOTED)
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

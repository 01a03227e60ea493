"""Import from a repository: plan what was changed there, take it over project by project, by itself where wanted."""

from __future__ import annotations

import datetime as dt
import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.config_files import ConnectorFile, ProjectFiles
from connectors.core.errors import Refused
from connectors.core.policy import PolicyRefused
from connectors.core.pull import ChangeKind
from connectors.core.specs import ConnectorSpec
from connectors.core.three_way import Change
from connectors.flows.events import record_event
from connectors.flows.import_files import apply_import
from connectors.flows.import_plan import ImportPlan, plan_import
from connectors.flows.repository_compare import Difference, count, differences
from connectors.flows.repository_files import Problem, ProblemKind, problems_of
from connectors.flows.repository_side import note_sides
from connectors.models import Placement, Repository, RepositoryFile, SyncRun


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be imported into one project: `incoming` was changed in the repository alone, `conflicts` on both
    sides (None: nothing was). Each is a plan of its own, so that a rule against the one does not stop the other.
    """

    placement: Placement
    found: tuple[Difference, ...]
    incoming: ImportPlan
    conflicts: ImportPlan | None

    @property
    def fingerprint(self) -> str:
        """Another one as soon as the files, the portal, or what counts as changed on which side are."""
        return self.incoming.fingerprint + (self.conflicts.fingerprint if self.conflicts else "")


def waiting(placements: Iterable[Placement], limit: int) -> tuple[tuple[Waiting, ...], int]:
    """The first `limit` of these projects in which something waits or cannot be read, and how many more there are.

    By what was last read. Placements need their project and its workspace.
    """
    rows = list(placements)
    found = differences(rows)
    waits = {Change.INCOMING, Change.CONFLICT}
    wanted = [
        row for row in rows if any(item.change in waits for item in found[row.pk]) or problems_of(row, ProblemKind.FILE)
    ]
    return tuple(_waiting(row, found[row.pk]) for row in wanted[:limit]), len(wanted[limit:])


def plan_repository_import(placement: Placement, *, theirs: Collection[str] = ()) -> ImportPlan:
    """What importing all that is incoming would change, from what was last read.

    `theirs` are types in conflict for which the repository's file is to be taken. Files that cannot be read are in
    `refused`, and connectors whose file was removed in `missing`: they go where `import_from_repository` is told so.
    """
    (found,) = differences([placement]).values()
    conflicting = _types(found, Change.CONFLICT)
    if unknown := sorted(set(theirs) - conflicting):
        raise Refused(f"There is no conflict about {', '.join(unknown)} any more. Look at it again.")
    return _plan(placement, found, _types(found, Change.INCOMING) | set(theirs))


@transaction.atomic
def import_from_repository(
    placement: Placement,
    plan: ImportPlan,
    actor: Actor,
    *,
    removals: Collection[str] = (),
    now: dt.datetime | None = None,
) -> SyncRun:
    """Takes over what the plan shows, all or nothing, and remembers that both sides have it; gives the import's run.

    Connectors whose file was removed stay, but for the types in `removals`. Raises Refused and PolicyRefused as
    `apply_import` does. A plan with files that cannot be read writes nothing: its run is `refused`.
    """
    locked = _locked(placement)
    run = apply_import(plan, actor, remove_missing=removals)
    if run.state == SyncRun.State.REFUSED:
        return run
    taken = {change.type for change in plan.changes if change.kind is not ChangeKind.MISSING}
    _agree(locked, plan.files, taken, removals)
    note_sides([locked], now or timezone.now())
    count(locked, differences([locked])[locked.pk])
    after = {"project": locked.project.slug, "connectors": sorted(taken), "removed": sorted(removals)}
    record_event(actor, "repository.imported", locked.repository, after={k: v for k, v in after.items() if v})
    return run


def auto_import(repository: Repository, now: dt.datetime) -> dict[int, int]:
    """Imports what is incoming into the projects that want that by themselves; by project id, how many files.

    Never a conflict, never a removal, nothing of a project whose files cannot all be read or belong to another app.
    What a rule stops stays where it is, and the project says so.
    """
    rows = Placement.objects.filter(repository=repository).select_related("project__workspace", "repository")
    concerned = [row for row in rows if row.auto_import or problems_of(row, ProblemKind.POLICY)]
    found = differences(concerned)
    actor = Actor(f"{repository.name} (imports by itself)", Door.TASK)
    taken = {row.project_id: _import_by_itself(row, found[row.pk], actor, now) for row in concerned}
    return {project: files for project, files in taken.items() if files}


def files_of(placement: Placement, rows: Iterable[RepositoryFile]) -> ProjectFiles:
    """The project's files as they were last read, as an import takes them."""
    files = tuple(_file(placement, row) for row in rows if row.scopes is not None)
    problems = tuple(problem.as_error() for problem in problems_of(placement, ProblemKind.FILE))
    inner = placement.connectors_dir.removeprefix(placement.path).lstrip("/")
    folder = posixpath.basename(placement.path)
    return ProjectFiles(placement.path, "", "", inner, files, problems, folder=folder)


def _locked(placement: Placement) -> Placement:
    """The placement's row is the lock that reading takes as well, and takes first: see flows.repository_read."""
    rows = Placement.objects.select_for_update(of=("self",)).select_related("project", "repository")
    locked = rows.filter(pk=placement.pk, repository=placement.repository_id, path=placement.path).first()
    if locked is None:
        raise Refused("The project lies somewhere else now. Nothing was taken: look at its import again.")
    return locked


def _file(placement: Placement, row: RepositoryFile) -> ConnectorFile:
    path = row.name.removeprefix(f"{placement.path}/") if placement.path else row.name
    return ConnectorFile(path, ConnectorSpec(row.integration_type_id, tuple(row.scopes or ())), bytes(row.raw))


def _waiting(placement: Placement, found: tuple[Difference, ...]) -> Waiting:
    incoming = _plan(placement, found, _types(found, Change.INCOMING))
    conflicts = _types(found, Change.CONFLICT)
    return Waiting(placement, found, incoming, _plan(placement, found, conflicts) if conflicts else None)


def _types(found: Iterable[Difference], change: Change) -> set[str]:
    return {item.type for item in found if item.change is change}


def _plan(placement: Placement, found: Iterable[Difference], only: Collection[str]) -> ImportPlan:
    rows = [item.file for item in found if item.file is not None]
    return plan_import(placement.project, files_of(placement, rows), only=only)


def _agree(placement: Placement, files: ProjectFiles, taken: Collection[str], removals: Collection[str]) -> None:
    """What the plan's files said is what both sides have had, even if another commit has come since."""
    said: Mapping[str, list[str]] = {file.spec.type: list(file.spec.scopes) for file in files.files}
    rows = list(RepositoryFile.objects.filter(placement=placement, integration_type__in=list(taken)))
    for row in rows:
        row.agreed = said[row.integration_type_id]
    RepositoryFile.objects.bulk_update(rows, ["agreed"], batch_size=500)
    gone = RepositoryFile.objects.filter(placement=placement, integration_type__in=list(removals))
    gone.filter(scopes__isnull=True).delete()
    gone.update(agreed=None)


def _import_by_itself(placement: Placement, found: tuple[Difference, ...], actor: Actor, now: dt.datetime) -> int:
    """How many files were taken over."""
    only = {item.type for item in found if item.change is Change.INCOMING and item.repository is not None}
    if not placement.auto_import or not only or problems_of(placement, ProblemKind.FILE, ProblemKind.APP):
        _tell(placement, "", actor)
        return 0
    plan = _plan(placement, found, only)
    try:
        import_from_repository(placement, plan, actor, now=now)
    except PolicyRefused as error:
        _tell(placement, str(error), actor)
        return 0
    except Refused:
        return 0  # somebody changed the project this moment; the next reading compares anew
    _tell(placement, "", actor)
    return len(plan.changes)


def _tell(placement: Placement, text: str, actor: Actor) -> None:
    """Lets the project say why nothing is imported by itself ("": nothing is in the way), on record when it is new."""
    problem = Problem(f"Not imported by itself. {text}", kind=ProblemKind.POLICY).as_row()
    wanted: list[dict[str, Any]] = [problem] if text else []
    if wanted == [row for row in placement.problems if row.get("kind") == ProblemKind.POLICY]:
        return
    with transaction.atomic():
        locked = Placement.objects.select_for_update(of=("self",)).get(pk=placement.pk)
        others = [row for row in locked.problems if row.get("kind") != ProblemKind.POLICY]
        Placement.objects.filter(pk=placement.pk).update(problems=[*others, *wanted])
        if text:
            record_event(actor, "import.refused", placement.project, note=text)

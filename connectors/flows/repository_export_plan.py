"""Plan an export: which files of a repository would be written or removed, what stays as it is, and why.

The plan is made of the stored rows, which a reading has just brought up to date where something is really written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from connectors.core.config_files import FileChange, plan_export
from connectors.core.config_files.tree import Tree
from connectors.core.errors import ConfigFileError
from connectors.core.git import GitTree
from connectors.core.lock_file import LockFile, lock_path, renewed
from connectors.core.pull_request_body import FindingNote
from connectors.core.specs import ConnectorSpec
from connectors.core.three_way import Change
from connectors.flows.export_choices import Choices
from connectors.flows.export_files import declared_by
from connectors.flows.export_reasons import reasons
from connectors.flows.export_terms import LeftFile, PlannedFile, ProjectExport, RepositoryExport, Tick, name_of
from connectors.flows.lock_file import locks_of
from connectors.flows.repository_compare import Difference, differences
from connectors.flows.repository_files import ProblemKind, problems_of
from connectors.models import Placement, PolicyFinding, Repository

Sources = Mapping[str, tuple[str, bytes]]
"""By type, name and bytes of the file that a connector was imported from."""


def plan_repository_export(
    repository: Repository, choices: Choices | None = None, *, tree: Tree | None = None
) -> RepositoryExport:
    """What an export of the repository would do. Writes nothing, asks nobody; a fixed number of queries.

    With `tree`, the files of the commit that the stored rows are from, lock files are planned as well, and a new file
    that would meet something else in its place becomes a problem of its project.
    """
    chosen = choices or Choices()
    rows = repository.placements.select_related("project__workspace").defer("project__notes")
    if chosen.projects is not None:
        rows = rows.filter(project__in=chosen.projects)
    placements = list(rows)
    found = differences(placements)
    sources = {item.project.pk: item.sources for item in declared_by([row.project for row in placements])}
    plans = [_plan(repository, row, found[row.pk], sources[row.project_id], chosen) for row in placements]
    if tree is not None:
        plans = _against(plans, tree)
    else:
        plans = [replace(plan, is_unread=plan.placement.read_at is None) for plan in plans]
    return RepositoryExport(repository, tuple(_with_reasons(_apart(plans))), _findings(placements))


def directory_of(placement: Placement, items: Iterable[Difference] = ()) -> str:
    """The project's connectors directory from the repository's top; where there is none yet, the one to be made."""
    for item in items:
        if item.file is not None and item.repository is not None:
            return item.file.name.rpartition("/")[0]
    return placement.connectors_dir or _join(placement.path, placement.project.connectors_dir)


def _plan(
    repository: Repository,
    placement: Placement,
    items: Sequence[Difference],
    sources: Sources,
    choices: Choices,
) -> ProjectExport:
    directory, is_new = directory_of(placement, items), all(item.repository is None for item in items)
    plan = ProjectExport(placement, directory, is_new=is_new)
    if problems := problems_of(placement, ProblemKind.FILE, ProblemKind.APP):
        more = f" ({len(problems) - 1:,} more)" if len(problems) > 1 else ""
        return replace(plan, problem=f"{problems[0].as_error()}{more}")
    differing = [item for item in items if item.change is not Change.SAME]
    reasons_left = {item.type: _why_left(item, placement, repository, choices) for item in differing}
    taken = {type_ for type_, why in reasons_left.items() if why is None}
    left = (
        LeftFile(item, _path(directory, item), *why)
        for item in differing
        if (why := reasons_left[item.type]) is not None
    )
    plan = replace(plan, left=tuple(left))
    try:
        return replace(plan, files=tuple(_files(directory, items, taken, sources)) if taken else ())
    except ConfigFileError as error:
        return replace(plan, problem=str(error))


def _why_left(
    item: Difference, placement: Placement, repository: Repository, choices: Choices
) -> tuple[str, Tick] | None:
    """Why the file is left alone, and what would change that; None when it is written or removed."""
    project = placement.project_id
    if item.change is Change.OUTGOING:
        if item.portal is not None or choices.removes(project, item.type):
            return None
        return "The portal no longer asks for it. The file is removed only when somebody ticks that.", "removals"
    if choices.insists(project, item.type):
        return None
    if item.change is Change.CONFLICT:
        return _conflict(item), "ours"
    puts_back = repository.on_drift == Repository.OnDrift.EXPORT and not placement.auto_import
    if puts_back and item.portal is not None:
        return None
    what = "removed" if item.repository is None else "added" if item.portal is None else "changed"
    return f"It was {what} in the repository, and not in the portal: import it, or write the portal's state.", "ours"


def _conflict(item: Difference) -> str:
    if item.agreed is None:
        return "Both have it with different scopes, and nothing tells which is right. Decide which one counts."
    if item.portal is None:
        return "The repository changed it, and the portal no longer asks for it. Decide which one counts."
    if item.repository is None:
        return "The repository removed it, and the portal changed it. Decide which one counts."
    return "It was changed on both sides, each in its own way. Decide which one counts."


def _files(
    directory: str, items: Iterable[Difference], taken: Collection[str], sources: Sources
) -> Iterator[PlannedFile]:
    """The files of the taken types. Raises ConfigFileError when one of the directory's files cannot be edited."""
    by_type = {item.type: item for item in items}
    existing = {
        name_of(item.file.name): bytes(item.file.raw)
        for item in by_type.values()
        if item.file is not None and item.repository is not None
    }
    wanted = {type_: item.portal if type_ in taken else item.repository for type_, item in by_type.items()}
    specs = [ConnectorSpec(type_, scopes) for type_, scopes in wanted.items() if scopes is not None]
    for change in plan_export(specs, existing, sources, prune=True):
        if change.type in taken and change.before != change.after:
            item = by_type[change.type]
            yield PlannedFile(_join(directory, change.path), change.type, change, item.added, item.removed)


def _against(plans: Sequence[ProjectExport], tree: Tree) -> list[ProjectExport]:
    """The plans with what only the commit's files can tell: lock files, and places that something else has taken."""
    if isinstance(tree, GitTree):
        _bring(tree, plans)
    locked = [plan for plan in plans if _writes_lock_file(plan)]
    locks = locks_of([plan.project for plan in locked]) if locked else {}
    return [_against_tree(plan, locks.get(plan.project.pk), tree) for plan in plans]


def _bring(tree: GitTree, plans: Iterable[ProjectExport]) -> None:
    """Brings what is about to be looked at in a few steps, however many projects there are."""
    concerned = [plan for plan in plans if plan.files or _writes_lock_file(plan)]
    tree.prefetch([plan.directory for plan in concerned])
    locks = (lock_path(plan.directory) for plan in concerned if _writes_lock_file(plan))
    changed = (file.path for plan in concerned for file in plan.files if file.change.before is not None)
    tree.prefetch_files([*filter(None, locks), *changed])


def _writes_lock_file(plan: ProjectExport) -> bool:
    return plan.placement.writes_lock_file and not plan.problem and bool(plan.files or not plan.is_new)


def _against_tree(plan: ProjectExport, lock: LockFile | None, tree: Tree) -> ProjectExport:
    try:
        _refuse_occupied(tree, plan.directory, plan.files)
        return plan if lock is None else _with_lock_file(plan, lock, tree)
    except ConfigFileError as error:
        return replace(plan, problem=str(error), files=())


def _refuse_occupied(tree: Tree, directory: str, files: Iterable[PlannedFile]) -> None:
    """Raises ConfigFileError when a new file would meet something else of its name, or its folder a file."""
    new = [file for file in files if file.change.before is None]
    if not new:
        return
    parent = ""
    for part in directory.split("/") if directory else ():
        if tree.entries(parent).get(part, "folder") != "folder":
            raise ConfigFileError(_join(parent, part), "is no folder, so no connector files can be written below it")
        parent = _join(parent, part)
    taken = {name.lower(): name for name in tree.entries(directory)}
    for file in new:
        if other := taken.get(file.change.path.lower()):
            raise ConfigFileError(file.path, f"cannot be written, for {other} is in its place and is no connector file")


def _with_lock_file(plan: ProjectExport, lock: LockFile, tree: Tree) -> ProjectExport:
    path = lock_path(plan.directory)
    if path is None:
        return plan
    folder, name = path.rpartition("/")[0], name_of(path)
    before = tree.read(path) if tree.entries(folder).get(name) == "file" else None
    after = renewed(before, lock)
    if after == before:
        return plan
    change = FileChange(name, "new" if before is None else "edited", before, after, "")
    return replace(plan, files=(*plan.files, PlannedFile(path, "", change)))


def _apart(plans: Iterable[ProjectExport]) -> Iterator[ProjectExport]:
    """The plans, without those that would write a file which another project writes, as in a directory of both."""
    owners: dict[str, ProjectExport] = {}
    for plan in plans:
        clash = next((file for file in plan.files if file.path.lower() in owners), None)
        if clash is not None:
            other = owners[clash.path.lower()].project
            yield replace(
                plan, files=(), problem=f"{clash.path}: {other} writes this file too; give each its own folder"
            )
            continue
        owners |= {file.path.lower(): plan for file in plan.files}
        yield plan


def _with_reasons(plans: Iterable[ProjectExport]) -> Iterator[ProjectExport]:
    found = list(plans)
    known = reasons({(plan.project.pk, file.type) for plan in found for file in plan.files if file.type})
    for plan in found:
        files = (replace(file, why=known.get((plan.project.pk, file.type), "")) for file in plan.files)
        yield replace(plan, files=tuple(files))


def _findings(placements: Iterable[Placement]) -> tuple[FindingNote, ...]:
    """What the policies say of these projects as they are now, exceptions taken off."""
    names = {row.project_id: row.project.name for row in placements}
    rows = PolicyFinding.objects.counting().filter(project__in=list(names)).select_related("rule", "connector")
    return tuple(
        FindingNote(
            names[row.project_id],
            row.rule.name,
            row.rule.get_effect_display(),
            row.connector.integration_type_id,
            row.sentence,
        )
        for row in rows.defer("connector__source")
    )


def _path(directory: str, item: Difference) -> str:
    return item.file.name if item.file is not None else _join(directory, f"{item.type}.jsonc")


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name

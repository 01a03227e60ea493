"""Compare: how what the portal declares and what a repository's files say differ, and on which side that arose."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from connectors.core.config_files import parse_connector
from connectors.core.errors import ConfigFileError
from connectors.core.three_way import Change, compare
from connectors.models import Connector, Placement, RepositoryFile


@dataclass(frozen=True, slots=True)
class Difference:
    """One integration type of one project, as the portal and the repository have it. None: it has none.

    `file` is the row that remembers the repository's side; None when no file of this type was ever seen.
    """

    type: str
    change: Change
    portal: tuple[str, ...] | None
    repository: tuple[str, ...] | None
    agreed: tuple[str, ...] | None
    file: RepositoryFile | None

    @property
    def added(self) -> tuple[str, ...]:
        """What the portal has and the file lacks, in the portal's order."""
        return _without(self.portal, self.repository)

    @property
    def removed(self) -> tuple[str, ...]:
        """What the file has and the portal lacks, in the file's order."""
        return _without(self.repository, self.portal)


def differences(placements: Iterable[Placement]) -> dict[int, tuple[Difference, ...]]:
    """Every type of each placement (by its id), in the order of the types. SAME ones are among them.

    Where file and portal never agreed, but the portal imported a file of this type some other way, that file is what
    both had: teams import a checkout first and connect its repository later. Two queries, three where that is so.
    """
    rows = list(placements)
    files: dict[int, dict[str, RepositoryFile]] = {row.pk: {} for row in rows}
    for file in RepositoryFile.objects.filter(placement__in=rows):
        files[file.placement_id][file.integration_type_id] = file
    declared: dict[int, dict[str, tuple[str, ...]]] = {row.project_id: {} for row in rows}
    connectors = Connector.objects.declared().filter(project__in=list(declared)).order_by()
    for project_id, type_, scopes in connectors.values_list("project_id", "integration_type_id", "scopes"):
        declared[project_id][type_] = tuple(scopes)
    found = {row.pk: _compared(files[row.pk], declared[row.project_id]) for row in rows}
    unclear = {
        row.project_id: [item.type for item in found[row.pk] if item.change is Change.CONFLICT and item.agreed is None]
        for row in rows
    }
    imported = _imported({project: types for project, types in unclear.items() if types})
    return {row.pk: tuple(_with_base(item, imported.get(row.project_id, {})) for item in found[row.pk]) for row in rows}


def count(placement: Placement, found: Iterable[Difference]) -> None:
    """Stores how many files are to be imported, to be exported, and in conflict."""
    tally(placement, found)
    placement.save(update_fields=["incoming", "outgoing", "conflicts"])


def tally(placement: Placement, found: Iterable[Difference]) -> None:
    """As `count`, for who saves the placement."""
    changes = [difference.change for difference in found]
    placement.incoming = changes.count(Change.INCOMING)
    placement.outgoing = changes.count(Change.OUTGOING)
    placement.conflicts = changes.count(Change.CONFLICT)


def _compared(files: dict[str, RepositoryFile], declared: dict[str, tuple[str, ...]]) -> tuple[Difference, ...]:
    return tuple(_difference(type_, declared.get(type_), files.get(type_)) for type_ in sorted({*files, *declared}))


def _difference(type_: str, portal: tuple[str, ...] | None, file: RepositoryFile | None) -> Difference:
    theirs = tuple(file.scopes) if file is not None and file.scopes is not None else None
    agreed = tuple(file.agreed) if file is not None and file.agreed is not None else None
    return Difference(type_, compare(agreed, portal, theirs), portal, theirs, agreed, file)


def _imported(wanted: dict[int, list[str]]) -> dict[int, dict[str, tuple[str, ...]]]:
    """The scopes of the files that these types of these projects were last imported from, where they can be read."""
    if not wanted:
        return {}
    rows = Connector.objects.declared().filter(project__in=list(wanted), source__isnull=False).order_by()
    types = {type_ for of_project in wanted.values() for type_ in of_project}
    found: dict[int, dict[str, tuple[str, ...]]] = {project: {} for project in wanted}
    columns = ("project_id", "integration_type_id", "source_path", "source")
    for project_id, type_, path, source in rows.filter(integration_type__in=types).values_list(*columns):
        with suppress(ConfigFileError):
            found[project_id][type_] = parse_connector(bytes(source), path).scopes
    return found


def _with_base(item: Difference, imported: dict[str, tuple[str, ...]]) -> Difference:
    if item.change is not Change.CONFLICT or item.agreed is not None or item.type not in imported:
        return item
    agreed = imported[item.type]
    return replace(item, agreed=agreed, change=compare(agreed, item.portal, item.repository))


def _without(scopes: tuple[str, ...] | None, others: tuple[str, ...] | None) -> tuple[str, ...]:
    return tuple(scope for scope in dict.fromkeys(scopes or ()) if scope not in (others or ()))

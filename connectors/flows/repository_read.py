"""Read: fetch a repository's branch, store what its files say, and bring comparison and ledger up to that."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.errors import PortalError
from connectors.core.git.terms import Commit
from connectors.core.three_way import Change
from connectors.flows.catalogue import ensure_types
from connectors.flows.proposed_files import settle_proposals
from connectors.flows.repository_access import opened
from connectors.flows.repository_compare import Difference, differences, tally
from connectors.flows.repository_files import Found, FoundFile, ProblemKind, look, problems_of
from connectors.flows.repository_import import auto_import
from connectors.flows.repository_side import note_sides
from connectors.flows.repository_state import note_failure, note_success
from connectors.models import Connector, Placement, Repository, RepositoryFile

if TYPE_CHECKING:
    from connectors.core.git import Git

BATCH = 100
"""Projects whose files are stored at once: bounds memory and how long rows are locked."""

_FILE = ["name", "raw", "scopes", "commit", "author", "committed_at", "is_exact", "read_at"]
_PLACEMENT = ["connectors_dir", "read_at", "read_commit", "problems", "incoming", "outgoing", "conflicts"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look at a repository found: the branch's newest commit, and by placement how files and portal differ.

    `moved`: the branch had another commit when it was last read.
    """

    commit: Commit
    moved: bool
    differences: Mapping[int, tuple[Difference, ...]]

    @property
    def changes(self) -> dict[str, int]:
        """How many files are incoming, outgoing and in conflict, in all projects."""
        kinds = [item.change for found in self.differences.values() for item in found]
        return {kind.value: kinds.count(kind) for kind in (Change.INCOMING, Change.OUTGOING, Change.CONFLICT)}


@dataclass(frozen=True, slots=True)
class _News:
    """What a commit says of one project, and which stored rows that changes. `by`: path -> (commit, whether exact)."""

    found: Found
    changed: Mapping[str, FoundFile]
    gone: Mapping[str, str]
    by: dict[str, tuple[Commit, bool]] = field(default_factory=dict)


def read_repository(repository: Repository, actor: Actor, now: dt.datetime | None = None) -> Reading:
    """Reads the repository, then imports where projects want that by themselves; stores how it went.

    `actor` is who asked for it: what the files say is noted in the names of those who committed it. Raises GitError
    and UnreadableSecretError, after having stored them on the repository.
    """
    now = now or timezone.now()
    try:
        with opened(repository) as git:
            reading = read(repository, git, now)
    except PortalError as error:
        note_failure(repository, error, now)
        raise
    auto_import(repository, now)
    return reading


def read(repository: Repository, git: Git, now: dt.datetime) -> Reading:
    """Fetches the branch and stores what the files of all projects in it say now. Writes nothing to git.

    Where nothing was committed since, only the comparison is made anew. A fixed number of queries for each `BATCH` of
    projects, and of fetches for all. Raises GitError.
    """
    moved_from = repository.head
    commit = git.fetch(repository.branch)
    rows = list(_placements(repository))
    news = _news(git, commit, [row for row in rows if _is_due(row, commit)])
    found: dict[int, tuple[Difference, ...]] = {}
    for start in range(0, len(rows), BATCH):
        with transaction.atomic():
            found |= _store(rows[start : start + BATCH], news, commit, now)
    note_success(repository, commit, now)
    return Reading(commit, commit.oid != moved_from, found)


def _placements(repository: Repository) -> QuerySet[Placement]:
    rows = Placement.objects.filter(repository=repository).select_related("project", "repository")
    return rows.defer("project__notes").order_by("pk")


def _is_due(placement: Placement, commit: Commit) -> bool:
    """Whether its files may say something new. Some problems end with a change in the portal, without a commit."""
    return placement.read_commit != commit.oid or bool(problems_of(placement, ProblemKind.FILE, ProblemKind.APP))


def _news(git: Git, commit: Commit, placements: Sequence[Placement]) -> dict[int, _News]:
    """What is new, by placement: everything that talks to the server, so that no transaction waits for it."""
    if not placements:
        return {}
    stored: dict[int, list[RepositoryFile]] = defaultdict(list)
    for file in RepositoryFile.objects.filter(placement__in=placements).present():
        stored[file.placement_id].append(file)
    tree = git.files(commit)
    found = look(tree, placements, _expected(placements, stored))
    news = {row.pk: _compare(found[row.pk], stored[row.pk]) for row in placements}
    changed: dict[str, dict[str, str]] = defaultdict(dict)
    for row in placements:
        names = [file.name for file in news[row.pk].changed.values()]
        changed[row.read_commit] |= {name: tree.blob(name) for name in names}
        changed[row.read_commit] |= dict.fromkeys(news[row.pk].gone.values(), "")
    by = {old: git.changed_by(paths, old, commit) for old, paths in changed.items() if paths}
    for row in placements:
        news[row.pk].by.update(by.get(row.read_commit, {}))
    return news


def _expected(
    placements: Sequence[Placement], stored: Mapping[int, Sequence[RepositoryFile]]
) -> dict[int, tuple[str, ...]]:
    """By placement, the files whose connectors the portal still asks for."""
    declared = set(
        Connector.objects.declared()
        .filter(project__in=[row.project_id for row in placements])
        .order_by()
        .values_list("project_id", "integration_type_id")
    )
    return {
        row.pk: tuple(
            file.name for file in stored.get(row.pk, ()) if (row.project_id, file.integration_type_id) in declared
        )
        for row in placements
    }


def _compare(found: Found, stored: Sequence[RepositoryFile]) -> _News:
    known = {file.integration_type_id: (file.name, bytes(file.raw)) for file in stored}
    changed = {type_: file for type_, file in found.files.items() if known.get(type_) != (file.name, file.raw)}
    gone = {type_: name for type_, (name, _) in known.items() if type_ not in found.files}
    return _News(found, changed, gone if found.is_readable else {})


def _store(
    placements: Sequence[Placement], news: Mapping[int, _News], commit: Commit, now: dt.datetime
) -> dict[int, tuple[Difference, ...]]:
    """Writes down what is new of these projects.

    One whose place was changed meanwhile is left to the next reading, and one that was read after this reading began,
    perhaps on another host, keeps what it has: an older commit must not look like a change made in the repository.
    """
    read_from = {row.pk: row.path for row in placements}
    locked = _placements(placements[0].repository).filter(pk__in=list(read_from)).select_for_update(of=("self",))
    rows = [row for row in locked if row.path == read_from[row.pk] and not (row.read_at and row.read_at > now)]
    files = [file for row in rows if row.pk in news for file in _rows(row, news[row.pk], commit, now)]
    ensure_types({file.integration_type_id for file in files})
    RepositoryFile.objects.bulk_create(
        files,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["placement", "integration_type"],
        update_fields=_FILE,
    )
    RepositoryFile.objects.filter(placement__in=rows).update(read_at=now)
    settle_proposals(rows)
    found = differences(rows)
    _agree([item for items in found.values() for item in items])
    for row in rows:
        tally(row, found[row.pk])
        row.read_at, row.read_commit = now, commit.oid
        if row.pk in news:
            _describe(row, news[row.pk].found)
    Placement.objects.bulk_update(rows, _PLACEMENT)
    note_sides(rows, now)
    return found


def _rows(placement: Placement, news: _News, commit: Commit, now: dt.datetime) -> list[RepositoryFile]:
    rows = [
        RepositoryFile(integration_type_id=type_, name=file.name, raw=file.raw, scopes=list(file.scopes))
        for type_, file in news.changed.items()
    ]
    rows += [RepositoryFile(integration_type_id=type_, name=name, scopes=None) for type_, name in news.gone.items()]
    for row in rows:
        by, row.is_exact = news.by.get(row.name, (commit, False))
        # Otherwise it is only the first commit that the portal saw the file in, and its author need not know of it.
        row.author = by.author[:200] if row.is_exact else ""
        row.commit, row.committed_at = by.oid, by.at
        row.placement, row.read_at = placement, now
    return rows


def _agree(found: Iterable[Difference]) -> None:
    """Remembers what both sides have now, and forgets types that neither has."""
    same = [(item, item.file) for item in found if item.change is Change.SAME and item.file is not None]
    RepositoryFile.objects.filter(pk__in=[file.pk for item, file in same if item.portal is None]).delete()
    agreeing = []
    for item, file in same:
        if item.portal is not None and (file.agreed is None or set(file.agreed) != set(item.portal)):
            file.agreed = list(item.portal)
            agreeing.append(file)
    RepositoryFile.objects.bulk_create(
        agreeing,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["placement", "integration_type"],
        update_fields=["agreed"],
    )


def _describe(placement: Placement, found: Found) -> None:
    """Takes over where the files are and what is wrong with them; what stopped an import is told by the next one."""
    kept = problems_of(placement, ProblemKind.POLICY)
    placement.connectors_dir = found.directory
    placement.problems = [problem.as_row() for problem in (*found.problems, *kept)]

"""What somebody may be told of a repository's runs and pull requests: nothing of projects that they may not see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.models import Placement, Project, PullRequest, RepositoryRun
from connectors.models.visibility import Person, may_everywhere

VIEW = "view_repository"


@dataclass(frozen=True, slots=True)
class ToldRun:
    """A run with its words. `is_part`: they may be about projects of others as well, and are left out."""

    run: RepositoryRun
    message: str
    reason: str
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class ToldRequest:
    """A pull request with its title, "" where that may name projects of others, and those of its projects to name."""

    pull_request: PullRequest
    title: str
    projects: tuple[Project, ...]


def told_runs(rows: Iterable[RepositoryRun], person: Person) -> list[ToldRun]:
    """These runs as this person may know of them; those that were for projects of others alone are left out."""
    runs = list(rows)
    if may_everywhere(person, VIEW):
        return [ToldRun(run, run.message, run.reason) for run in runs]
    about = _about(runs)
    seen = _seen({pk for pks in about.values() for pk in pks}, person)
    return [_told(run, about[run.pk] - seen) for run in runs if not _is_others(run, about[run.pk], seen)]


def told_requests(rows: Iterable[PullRequest], person: Person) -> list[ToldRequest]:
    """These pull requests as this person may know of them; their projects must be loaded."""
    found = list(rows)
    everywhere = may_everywhere(person, VIEW)
    seen = None if everywhere else _seen({project.pk for row in found for project in row.projects.all()}, person)
    return [_told_request(row, seen) for row in found]


def _told(run: RepositoryRun, hidden: frozenset[int]) -> ToldRun:
    return ToldRun(run, "", "", is_part=True) if hidden else ToldRun(run, run.message, run.reason)


def _is_others(run: RepositoryRun, about: frozenset[int], seen: frozenset[int]) -> bool:
    """Whether somebody asked for it for some projects, none of which may be seen."""
    return run.choices.get("projects") is not None and not about & seen


def _told_request(row: PullRequest, seen: frozenset[int] | None) -> ToldRequest:
    projects = tuple(row.projects.all())
    named = projects if seen is None else tuple(project for project in projects if project.pk in seen)
    return ToldRequest(row, row.title if len(named) == len(projects) else "", named)


def _about(runs: Sequence[RepositoryRun]) -> dict[int, frozenset[int]]:
    """By run, the keys of the projects that its words may name: those chosen, else all that lie in the repository."""
    placed: dict[int, set[int]] = {}
    rows = Placement.objects.filter(repository__in={run.repository_id for run in runs}).order_by()
    for repository, project in rows.values_list("repository_id", "project_id"):
        placed.setdefault(repository, set()).add(project)
    found = {}
    for run in runs:
        chosen = run.choices.get("projects")
        told = {int(pk) for pk in run.detail.get("projects") or {}}
        found[run.pk] = frozenset(told | set(placed.get(run.repository_id, ()) if chosen is None else chosen))
    return found


def _seen(keys: Iterable[int], person: Person) -> frozenset[int]:
    rows = Project.objects.permitted(person, VIEW).filter(pk__in=list(keys)).order_by()
    return frozenset(rows.values_list("pk", flat=True))

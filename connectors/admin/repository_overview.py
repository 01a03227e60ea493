"""What one sees of a repository above its form: its state, its projects, pull requests, and what was done lately."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.flows.repository_files import Problem, ProblemKind, problems_of
from connectors.flows.repository_sight import VIEW, ToldRequest, ToldRun, told_requests, told_runs
from connectors.flows.repository_words import place_of, request_words, web_url
from connectors.models import Placement, Project, PullRequest, Repository, RepositoryFile, RepositoryRun
from connectors.models.visibility import Person, may_everywhere

RECENT = 6
"""Runs and pull requests that are shown; open pull requests are shown all."""
LOOKED_AT = 30
"""Newest runs that are looked at for these."""
MOST_PROJECTS = 100
MOST_PROBLEMS = 3
"""Problems of one project that are shown; the import page has them all."""


@dataclass(frozen=True, slots=True)
class PlacementLine:
    """One project of the repository, how its files stand, and why some cannot be read."""

    placement: Placement
    badge: SafeString
    problems: tuple[str, ...]
    more_problems: int


@dataclass(frozen=True, slots=True)
class InGit:
    """A project's place in a repository, and of its files there the one with the newest commit; None: none is known."""

    line: PlacementLine
    newest: RepositoryFile | None
    commits_url: str


@dataclass(frozen=True, slots=True)
class PullRequestLine:
    """One pull request with its state as a badge, and of its title and projects what this person may know."""

    pull_request: PullRequest
    badge: SafeString
    title: str
    projects: tuple[Project, ...]

    @property
    def label(self) -> str:
        """Its number as the host writes it."""
        sign = "!" if self.pull_request.repository.host == Repository.Host.GITLAB else "#"
        return f"{sign}{self.pull_request.number}"

    @property
    def href(self) -> str:
        """Its page at the host; "" unless that is an address of the web, for the host said it."""
        return self.pull_request.url if self.pull_request.url.startswith(("https://", "http://")) else ""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run with its state as a badge, how long it took, and of its words what this person may know."""

    run: RepositoryRun
    badge: SafeString
    took: str
    message: str
    reason: str


def overview_of(repository: Repository | None, request: HttpRequest) -> dict[str, Any]:
    """What the template above the form shows, in a fixed number of queries; nothing for a repository to be added."""
    if repository is None:
        return {}
    rows = Placement.objects.visible_to(request.user).filter(repository=repository)
    lines = placement_lines(rows.select_related("project__workspace").defer("project__notes"))
    runs = _runs(repository, request)
    return {
        "repository": repository,
        "place": place_of(repository),
        "web_url": web_url(repository),
        "commits_url": commits_url(repository),
        "state_badge": cells.repository_state(repository),
        "failing_since": cells.when(repository.failing_since),
        "next_try": cells.when(repository.next_read_at),
        "placements": lines[:MOST_PROJECTS],
        "placements_left_out": len(lines[MOST_PROJECTS:]),
        "incoming": sum(line.placement.incoming for line in lines),
        "outgoing": sum(line.placement.outgoing for line in lines),
        "conflicts": sum(line.placement.conflicts for line in lines),
        "unreadable": sum(bool(line.problems) for line in lines),
        "open_run": next((told.run for told in runs if told.run.is_open), None),
        "runs": [run_line(told) for told in runs[:RECENT]],
        "may_read": Repository.objects.worked_on_by(request.user).filter(pk=repository.pk).exists(),
        "pull_requests": _pull_requests(repository, request),
        "request_words": request_words(repository),
    }


def in_git(project: Project) -> InGit | None:
    """Where the project's files are kept and what waits there; None when they are in no repository. Two queries."""
    placement = Placement.objects.filter(project=project).select_related("repository").first()
    if placement is None:
        return None
    committed = placement.files.exclude(commit="").order_by("-committed_at", "-pk").defer("raw", "scopes", "agreed")
    return InGit(_placement_line(placement), committed.first(), commits_url(placement.repository))


def placement_lines(rows: Iterable[Placement]) -> list[PlacementLine]:
    """Projects of a repository, those that need somebody first."""
    return [_placement_line(row) for row in sorted(rows, key=_by_need)]


def run_line(told: ToldRun) -> RunLine:
    """The run with what a list shows of it."""
    return RunLine(told.run, run_badge(told.run), cells.duration(told.run.duration), told.message, told.reason)


def open_run(repository: Repository, user: Person) -> RepositoryRun | None:
    """A run of the repository that is not over, as far as this person may know of one."""
    told = told_runs(RepositoryRun.objects.visible_to(user).filter(repository=repository).open(), user)
    return told[0].run if told else None


def pull_request_lines(rows: Iterable[PullRequest], user: Person) -> list[PullRequestLine]:
    """The pull requests with what a list shows of them; their repositories must be loaded."""
    return [_pull_request_line(told) for told in told_requests(rows, user)]


def _pull_request_line(told: ToldRequest) -> PullRequestLine:
    state = PullRequest.State(told.pull_request.state)
    badge = cells.badge(state.label, cells.PULL_REQUEST_TONES[state])
    return PullRequestLine(told.pull_request, badge, told.title, told.projects)


def run_badge(run: RepositoryRun) -> SafeString:
    """How the run stands or went."""
    return cells.badge(run.get_state_display(), cells.REPOSITORY_RUN_TONES[RepositoryRun.State(run.state)])


def commits_url(repository: Repository) -> str:
    """What a commit's id is put behind for the address of its page at the host; "" when nobody knows one."""
    base = web_url(repository)
    path = "/-/commit/" if repository.host == Repository.Host.GITLAB else "/commit/"
    return f"{base}{path}" if base else ""


def problem_words(problem: Problem) -> str:
    """What is wrong, and where."""
    line = f", line {problem.line}" if problem.line else ""
    return f"{problem.path}{line}: {problem.message}" if problem.path else problem.message


def _by_need(row: Placement) -> tuple[bool, bool, bool, str]:
    waits = bool(row.incoming or row.outgoing)
    return (not row.problems, not row.conflicts, not waits, row.path)


def _placement_line(row: Placement) -> PlacementLine:
    problems = problems_of(row, *ProblemKind)
    shown = tuple(problem_words(problem) for problem in problems[:MOST_PROBLEMS])
    return PlacementLine(row, cells.agreement(row), shown, len(problems[MOST_PROBLEMS:]))


def _pull_requests(repository: Repository, request: HttpRequest) -> list[PullRequestLine]:
    """The open ones, then the newest of the others."""
    rows = PullRequest.objects.visible_to(request.user).filter(repository=repository)
    rows = rows.select_related("repository").prefetch_related("projects")
    ended = rows.exclude(state=PullRequest.State.OPEN)[:RECENT]
    return pull_request_lines([*rows.open(), *ended], request.user)


def _runs(repository: Repository, request: HttpRequest) -> list[ToldRun]:
    """The newest ones, and those that are not over; more are looked at where some are others'."""
    rows = RepositoryRun.objects.visible_to(request.user).filter(repository=repository)
    if may_everywhere(request.user, VIEW):
        rows = rows.defer("choices", "detail")
    return told_runs(rows[:LOOKED_AT], request.user)

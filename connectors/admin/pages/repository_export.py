"""Export to git: what the commit would hold, file by file, what is left alone and why, and the button that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import CHANGE_REPOSITORY, actor_of, draw, ids_of, route, visible
from connectors.admin.pages.scopes import Chip, chips, side_chips
from connectors.admin.repository_overview import commits_url, open_run, pull_request_lines
from connectors.core.commit_message import commit_message
from connectors.core.errors import PortalError, Refused
from connectors.core.three_way import Change
from connectors.flows.export_approval import needing_approval
from connectors.flows.export_choices import Choices
from connectors.flows.export_terms import LeftFile, PlannedFile, ProjectExport, RepositoryExport
from connectors.flows.repository_export_plan import plan_repository_export
from connectors.flows.repository_words import request_words
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Placement, Project, PullRequest, Repository
from connectors.models.repository import PlacementQuerySet
from connectors.models.visibility import may_everywhere
from connectors.tasks import start_repository_export

CHANGED_SINCE = (
    "The files, or what the portal declares, have changed since this page was shown. Nothing was written: this is the "
    "plan as it is now."
)
NOTHING_CHOSEN = "Nothing would be written: choose a file below, or change something in the portal first."
MAX_REASON = 200
TICKS = ("removals", "ours")
"""Names of the checkboxes, and of what they choose in `Choices`; their values are `PROJECT:TYPE`."""
LEFT_ORDER = (Change.CONFLICT, Change.OUTGOING, Change.INCOMING)
"""What needs a decision comes first, what the import page is for comes last."""


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file that would be written or removed, with its scopes."""

    file: PlannedFile
    chips: Sequence[Chip]


@dataclass(frozen=True, slots=True)
class ShownLeft:
    """A file that is left alone: what each side says (None: has no such connector), and what ticking it would do.

    `written` is None where nothing can be ticked.
    """

    left: LeftFile
    portal: Sequence[Chip] | None
    repository: Sequence[Chip] | None
    value: str
    is_ticked: bool
    written: PlannedFile | None


@dataclass(frozen=True, slots=True)
class ShownProject:
    """One project's part of the page."""

    plan: ProjectExport
    files: Sequence[ShownFile]
    left: Sequence[ShownLeft]


@dataclass(frozen=True, slots=True)
class Shown:
    """The plan as the page shows it. `fingerprint` covers all that is planned and all that could be ticked."""

    plan: RepositoryExport
    projects: Sequence[ShownProject]
    agreeing: Sequence[ProjectExport]
    fingerprint: str

    @property
    def may_write_more(self) -> bool:
        """Whether a run may find something to write that this plan cannot know of."""
        return any(project.is_unread or project.placement.writes_lock_file for project in self.plan.projects)


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_repository_export`, which takes `?project=`."""
    return [route(model_admin, "<int:object_id>/export/", export_page, "export")]


def export_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows what an export would do, by what was last read. POST asks for exactly that, with what was ticked."""
    repository = visible(model_admin, request, Repository.objects.all(), object_id)
    projects = _projects(request, repository)
    if request.method != "POST":
        return _draw(model_admin, request, repository, projects)
    if not _may_export(request, repository):
        raise PermissionDenied
    try:
        return _export(request, repository, projects)
    except PortalError as error:
        return _draw(model_admin, request, repository, projects, problem=str(error))


def _projects(request: HttpRequest, repository: Repository) -> list[int] | None:
    """Ids of the projects that are asked for, of those that this person may export; None: all of the repository.

    Whoever may export none of them looks at those that they may see.
    """
    rows = _mine(request, repository)
    if not rows.exists():
        rows = Placement.objects.visible_to(request.user).filter(repository=repository)
    asked = ids_of(request.GET.getlist("project"))
    seen = list((rows.filter(project__in=asked) if asked else rows).values_list("project_id", flat=True))
    return None if len(seen) == repository.placements.count() else seen


def _may_export(request: HttpRequest, repository: Repository) -> bool:
    """Where one may export one of its projects; managing the repository is no leave to hand out what others declare."""
    return may_everywhere(request.user, CHANGE_REPOSITORY) or _mine(request, repository).exists()


def _mine(request: HttpRequest, repository: Repository) -> PlacementQuerySet:
    """The places of the projects in it that this person may export."""
    rows = Placement.objects.visible_to(request.user).filter(repository=repository)
    return rows.permitted(request.user, CHANGE_REPOSITORY.partition(".")[2])


def _export(request: HttpRequest, repository: Repository, projects: list[int] | None) -> HttpResponse:
    shown = _shown(repository, projects, Choices.of(projects))
    if shown.fingerprint != request.POST.get("fingerprint"):
        raise Refused(CHANGED_SINCE)
    choices = _choices(request, projects)
    plan = plan_repository_export(repository, choices)
    if not plan.files and not shown.may_write_more:
        raise Refused(NOTHING_CHOSEN)
    reason = " ".join(request.POST.get("reason", "").split())[:MAX_REASON]
    run = start_repository_export(repository, actor_of(request), reason, choices, plan.fingerprint)
    return HttpResponseRedirect(reverse("admin:connectors_repository_run", args=[run.pk]))


def _choices(request: HttpRequest, projects: list[int] | None) -> Choices:
    """What was ticked. A forged project is nobody's: the plan knows only those of the repository."""
    removals, ours = (_ticked(request.POST.getlist(name)) for name in TICKS)
    return Choices.of(projects, removals=removals, ours=ours, starts_over=request.POST.get("starts_over") == "yes")


def _ticked(values: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for value in values:
        project, _, type_ = value.partition(":")
        for pk in ids_of([project]):
            found.setdefault(pk, []).append(type_)
    return found


def _shown(repository: Repository, projects: list[int] | None, chosen: Choices) -> Shown:
    """The plan without any tick, and beside what is left alone what each tick would write."""
    plan = plan_repository_export(repository, Choices.of(projects))
    everything = plan_repository_export(repository, _all_ticked(plan, projects)) if _can_tick(plan) else plan
    written = {(project.project.pk, file.type): file for project in everything.projects for file in project.files}
    facts = ScopeFacts()
    found = [
        ShownProject(
            project,
            [ShownFile(file, _chips_of(file, facts)) for file in project.files],
            _left(project, written, chosen, facts),
        )
        for project in plan.projects
    ]
    return Shown(
        plan,
        [one for one in found if one.files or one.left or one.plan.problem or one.plan.is_unread],
        [one.plan for one in found if not (one.files or one.left or one.plan.problem or one.plan.is_unread)],
        everything.fingerprint,
    )


def _can_tick(plan: RepositoryExport) -> bool:
    return any(left.tick for left in plan.left)


def _all_ticked(plan: RepositoryExport, projects: list[int] | None) -> Choices:
    ticks: dict[str, dict[int, list[str]]] = {name: {} for name in TICKS}
    for project in plan.projects:
        for left in project.left:
            if left.tick:
                ticks[left.tick].setdefault(project.project.pk, []).append(left.difference.type)
    return Choices.of(projects, removals=ticks["removals"], ours=ticks["ours"])


def _chips_of(file: PlannedFile, facts: ScopeFacts) -> list[Chip]:
    return chips(facts, file.type, added=file.added, removed=file.removed)


def _left(
    project: ProjectExport, written: dict[tuple[int, str], PlannedFile], chosen: Choices, facts: ScopeFacts
) -> list[ShownLeft]:
    ordered = sorted(project.left, key=lambda left: LEFT_ORDER.index(left.difference.change))
    return [_shown_left(project.project, left, written, chosen, facts) for left in ordered]


def _shown_left(
    project: Project,
    left: LeftFile,
    written: dict[tuple[int, str], PlannedFile],
    chosen: Choices,
    facts: ScopeFacts,
) -> ShownLeft:
    found, pk = left.difference, project.pk
    ticked = chosen.removes(pk, found.type) if left.tick == "removals" else chosen.insists(pk, found.type)
    return ShownLeft(
        left,
        side_chips(facts, found.type, found.portal, found.repository, found.agreed),
        side_chips(facts, found.type, found.repository, found.portal, found.agreed),
        f"{pk}:{found.type}",
        bool(left.tick) and ticked,
        written.get((pk, found.type)) if left.tick else None,
    )


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    repository: Repository,
    projects: list[int] | None,
    *,
    problem: str = "",
) -> HttpResponse:
    chosen = _choices(request, projects) if request.method == "POST" else Choices.of(projects)
    shown = _shown(repository, projects, chosen)
    requests = PullRequest.objects.visible_to(request.user).filter(repository=repository)
    lines = pull_request_lines(requests.select_related("repository").open()[:1], request.user)
    return draw(
        model_admin,
        request,
        "repository/export.html",
        title=f"Export to {repository}",
        original=repository,
        repository=repository,
        commits_url=commits_url(repository),
        shown=shown,
        is_part=projects is not None,
        by_request=repository.mode == Repository.Mode.PULL_REQUEST,
        open_request=lines[0] if lines else None,
        request_words=request_words(repository),
        open_run=open_run(repository, request.user),
        message=commit_message(
            shown.plan.notes, actor=request.user.get_username(), template=repository.message_template
        ),
        reason=request.POST.get("reason", ""),
        need_approval=needing_approval(shown.plan),
        starts_over=chosen.starts_over,
        problem=problem,
        may_export=_may_export(request, repository),
    )

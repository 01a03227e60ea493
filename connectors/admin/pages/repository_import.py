"""Import from git: what was changed in a repository, project by project, what changed on both sides, and the button."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse

from connectors.admin.pages.frame import (
    CHANGE_PROJECT,
    actor_of,
    draw,
    ids_of,
    route,
    visible,
)
from connectors.admin.pages.import_files import CHANGED_SINCE, ShownImport, shown
from connectors.admin.pages.plan import needs_confirming
from connectors.admin.pages.scopes import Chip, side_chips
from connectors.admin.repository_overview import commits_url, open_run
from connectors.core.errors import PortalError, Refused
from connectors.flows.import_plan import ImportChange
from connectors.flows.repository_compare import Difference
from connectors.flows.repository_files import ProblemKind, problems_of
from connectors.flows.repository_import import Waiting, import_from_repository, plan_repository_import, waiting
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Placement, Repository, SyncRun
from connectors.models.visibility import may_everywhere
from connectors.tasks import start_repository_read

MAX_PROJECTS = 50
"""Projects on one page; each is planned on its own."""

ASKED = "Somebody pressed “Read now”."


@dataclass(frozen=True, slots=True)
class ShownConflict:
    """A type that changed on both sides; None: that side has no such connector. `change` is what taking git's does."""

    change: ImportChange
    difference: Difference
    portal: Sequence[Chip] | None
    repository: Sequence[Chip] | None
    is_ticked: bool


@dataclass(frozen=True, slots=True)
class ShownProject:
    """One project's part of the page. `theirs` names the ticks by which the repository's side is taken."""

    waiting: Waiting
    incoming: ShownImport
    conflicts: Sequence[ShownConflict]
    warnings: Sequence[str]
    problem: str = ""

    @property
    def project_id(self) -> int:
        return self.waiting.placement.project_id

    @property
    def theirs(self) -> str:
        return f"theirs-{self.project_id}"

    @property
    def can_apply(self) -> bool:
        """Whether there is anything to take over or to choose, and nothing in the way."""
        plan = self.incoming.plan
        return not plan.refused and not plan.stopped and bool(plan.changes or self.conflicts)

    @property
    def chosen(self) -> Collection[str]:
        """Types in conflict for which the repository's side was ticked."""
        return [one.change.type for one in self.conflicts if one.is_ticked]

    @property
    def removals(self) -> Collection[str]:
        """Types that leave the portal by what is ticked: the repository has no file for them any more."""
        lost = [one.change.type for one in self.conflicts if one.is_ticked and one.difference.repository is None]
        return [*self.incoming.chosen, *lost]

    @property
    def is_wanted(self) -> bool:
        """Whether importing now would do anything with what is ticked."""
        return self.can_apply and bool(self.incoming.writes or self.incoming.chosen or self.chosen)


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_repository_import`, which takes `?project=`, and `..._read`."""
    return [
        route(model_admin, "<int:object_id>/import/", import_page, "import"),
        route(model_admin, "<int:object_id>/read/", read_now, "read"),
    ]


def read_now(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Queues a reading on POST, and leads to the page where one sees it go on."""
    repository = visible(model_admin, request, Repository.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not _may_read(request, repository):
        raise PermissionDenied
    run, _ = start_repository_read(repository, actor_of(request), ASKED)
    return HttpResponseRedirect(reverse("admin:connectors_repository_run", args=[run.pk]))


def import_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Shows what was changed in git, by what was last read. POST takes over exactly that, with what was ticked."""
    repository = visible(model_admin, request, Repository.objects.all(), object_id)
    projects, more = _shown(request, repository)
    if request.method != "POST":
        return _draw(model_admin, request, repository, projects, more)
    if not _may_import(request, repository):
        raise PermissionDenied
    wanted = [one for one in projects if one.is_wanted]
    if needs_confirming(request, [type_ for one in wanted for type_ in one.removals]):
        return _draw(model_admin, request, repository, projects, more, confirm=True)
    done, problems = _import(request, wanted)
    if problems:
        projects, more = _shown(request, repository, problems)
        return _draw(model_admin, request, repository, projects, more)
    return HttpResponseRedirect(_after(repository, done))


def _may_read(request: HttpRequest, repository: Repository) -> bool:
    return Repository.objects.worked_on_by(request.user).filter(pk=repository.pk).exists()


def _may_import(request: HttpRequest, repository: Repository) -> bool:
    """Where one may import into one of its projects; managing the repository is no leave to change what is in it."""
    return may_everywhere(request.user, CHANGE_PROJECT) or _mine(request, repository).exists()


def _mine(request: HttpRequest, repository: Repository) -> QuerySet[Placement]:
    """The places of the projects in it that this person may change."""
    rows = Placement.objects.visible_to(request.user).filter(repository=repository)
    return rows.permitted(request.user, CHANGE_PROJECT.partition(".")[2])


def _placements(request: HttpRequest, repository: Repository) -> QuerySet[Placement]:
    """Those that are asked for, of those where this person may import; else of those that they may see."""
    rows = _mine(request, repository)
    if not rows.exists():
        rows = Placement.objects.visible_to(request.user).filter(repository=repository)
    asked = ids_of(request.GET.getlist("project"))
    rows = rows.filter(project__in=asked) if asked else rows
    return rows.select_related("project__workspace").defer("project__notes").order_by("project__name", "pk")


def _shown(
    request: HttpRequest, repository: Repository, problems: Mapping[int, str] | None = None
) -> tuple[list[ShownProject], int]:
    found, more = waiting(_placements(request, repository), MAX_PROJECTS)
    facts = ScopeFacts()
    return [_project(request, one, facts, (problems or {}).get(one.placement.project_id, "")) for one in found], more


def _project(request: HttpRequest, found: Waiting, facts: ScopeFacts, problem: str) -> ShownProject:
    project = found.placement.project_id
    origins = {item.type: item.file for item in found.found if item.file is not None}
    ticked = request.POST.getlist(f"theirs-{project}")
    by_type = {item.type: item for item in found.found}
    return ShownProject(
        found,
        shown(found.incoming, request.POST.getlist(f"remove-{project}"), facts, origins),
        [
            _conflict(change, by_type[change.type], facts, is_ticked=change.type in ticked)
            for change in (found.conflicts.changes if found.conflicts else ())
        ],
        [one.message for one in problems_of(found.placement, ProblemKind.APP)],
        problem,
    )


def _conflict(change: ImportChange, item: Difference, facts: ScopeFacts, *, is_ticked: bool) -> ShownConflict:
    portal = side_chips(facts, item.type, item.portal, item.repository, item.agreed)
    repository = side_chips(facts, item.type, item.repository, item.portal, item.agreed)
    return ShownConflict(change, item, portal, repository, is_ticked)


def _import(request: HttpRequest, wanted: Sequence[ShownProject]) -> tuple[list[SyncRun], dict[int, str]]:
    """The runs of the projects that were taken over, and by project why the others were not."""
    done: list[SyncRun] = []
    problems: dict[int, str] = {}
    for one in wanted:
        try:
            done.append(_take_over(request, one))
        except PortalError as error:
            problems[one.project_id] = str(error)
    if done:
        messages.success(request, f"Imported into {len(done)} project{'' if len(done) == 1 else 's'}.")
    elif not problems:
        messages.info(request, "There was nothing to import.")
    return done, problems


def _take_over(request: HttpRequest, one: ShownProject) -> SyncRun:
    if one.waiting.fingerprint != request.POST.get(f"fingerprint-{one.project_id}"):
        raise Refused(CHANGED_SINCE)
    placement = one.waiting.placement
    plan = plan_repository_import(placement, theirs=one.chosen)
    return import_from_repository(placement, plan, actor_of(request), removals=one.removals)


def _after(repository: Repository, done: Sequence[SyncRun]) -> str:
    """One project's import has a page that says what was done; of several the repository's has to do."""
    if len(done) == 1:
        return reverse("admin:connectors_syncrun_live", args=[done[0].pk])
    return reverse("admin:connectors_repository_change", args=[repository.pk])


def _draw(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    repository: Repository,
    projects: Sequence[ShownProject],
    more: int,
    *,
    confirm: bool = False,
) -> HttpResponse:
    return draw(
        model_admin,
        request,
        "repository/import.html",
        title=f"Import from {repository}",
        original=repository,
        repository=repository,
        commits_url=commits_url(repository),
        projects=projects,
        more=f"{more} more projects wait. Import these first, or look at one of them from its page." if more else "",
        is_part=bool(ids_of(request.GET.getlist("project"))),
        writes=sum(one.incoming.writes for one in projects if one.can_apply),
        can_apply=any(one.can_apply for one in projects),
        open_run=open_run(repository, request.user),
        confirm=confirm,
        may_change=_may_import(request, repository),
        may_read=_may_read(request, repository),
    )

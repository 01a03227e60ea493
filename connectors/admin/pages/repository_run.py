"""A run on a repository as it happens: what it waits for, and what came of each project."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.pages.frame import draw, fragment, route, visible
from connectors.admin.repository_overview import commits_url, pull_request_lines
from connectors.flows.repository_sight import ToldRun, told_runs
from connectors.flows.repository_words import request_words
from connectors.models import Project, RepositoryRun


@dataclass(frozen=True, slots=True)
class ProjectOutcome:
    """What came of one project: a word for all of it, and a line for each file."""

    project: Project
    badge: SafeString
    lines: tuple[str, ...]


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """`admin:connectors_repository_run`, by the run's key, and the part of it that htmx asks for."""
    return [
        route(model_admin, "run/<int:object_id>/", run_page, "run"),
        route(model_admin, "run/<int:object_id>/state/", run_state, "run_state"),
    ]


def run_page(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The run, which the page follows until it is over."""
    told = _run(model_admin, request, object_id)
    title = f"{told.run.get_kind_display()} of {told.run.repository}"
    context = _context(request, told)
    return draw(model_admin, request, "repository/run.html", title=title, original=told.run.repository, **context)


def run_state(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The part of the page that changes."""
    told = _run(model_admin, request, object_id)
    return fragment(request, "repository/run_state.html", **_context(request, told))


def _run(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> ToldRun:
    """The run as this person may know of it: 404 for one that was for projects of others alone."""
    rows = RepositoryRun.objects.select_related("repository", "pull_request__repository")
    told = told_runs([visible(model_admin, request, rows, object_id)], request.user)
    if not told:
        raise Http404
    return told[0]


def _context(request: HttpRequest, told: ToldRun) -> dict[str, Any]:
    run = told.run
    lines = pull_request_lines([run.pull_request], request.user) if run.pull_request else []
    return {
        "run": run,
        "message": told.message,
        "reason": told.reason,
        "is_part": told.is_part,
        "repository": run.repository,
        "commits_url": commits_url(run.repository),
        "took": _took(run),
        "outcomes": list(_outcomes(request, run)),
        "pull_request": lines[0] if lines else None,
        "request_words": request_words(run.repository),
    }


def _outcomes(request: HttpRequest, run: RepositoryRun) -> Iterator[ProjectOutcome]:
    """What an export noted of each project that this person may see, and that there still is."""
    noted: Mapping[str, Mapping[str, Any]] = run.detail.get("projects") or {}
    if not noted:
        return
    rows = Project.objects.visible_to(request.user).defer("notes").in_bulk([int(pk) for pk in noted])
    for pk, detail in noted.items():
        if project := rows.get(int(pk)):
            yield ProjectOutcome(project, _badge(detail), tuple(_lines(detail)))


def _badge(detail: Mapping[str, Any]) -> SafeString:
    if detail.get("problem"):
        return cells.badge("Not written", "danger")
    if detail.get("conflicts"):
        return cells.badge("Conflict", "warning")
    if detail.get("written") or detail.get("removed"):
        return cells.badge("Written", "success")
    return cells.badge("Left alone", "neutral")


def _lines(detail: Mapping[str, Any]) -> Iterator[str]:
    if detail.get("problem"):
        yield str(detail["problem"])
    yield from (f"Written: {path}" for path in detail.get("written", ()))
    yield from (f"Removed: {path}" for path in detail.get("removed", ()))
    yield from (f"Left alone: {left['path']}. {left['reason']}" for left in detail.get("left", ()))


def _took(run: RepositoryRun) -> dt.timedelta | None:
    if run.started_at and not run.finished_at:
        return timezone.now() - run.started_at
    return run.duration

"""A run on a repository as it happens: what it waits for, and what came of each project."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString

from connectors.admin import cells
from connectors.admin.pages.frame import draw, fragment, route, visible
from connectors.admin.repository_overview import commits_url, pull_request_line
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
    run = _run(model_admin, request, object_id)
    title = f"{run.get_kind_display()} of {run.repository}"
    context = _context(request, run)
    return draw(model_admin, request, "repository/run.html", title=title, original=run.repository, **context)


def run_state(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """The part of the page that changes."""
    run = _run(model_admin, request, object_id)
    return fragment(request, "repository/run_state.html", **_context(request, run))


def _run(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> RepositoryRun:
    rows = RepositoryRun.objects.select_related("repository", "pull_request__repository")
    return visible(model_admin, request, rows, object_id)


def _context(request: HttpRequest, run: RepositoryRun) -> dict[str, Any]:
    return {
        "run": run,
        "repository": run.repository,
        "commits_url": commits_url(run.repository),
        "took": _took(run),
        "outcomes": list(_outcomes(request, run)),
        "pull_request": pull_request_line(run.pull_request) if run.pull_request else None,
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

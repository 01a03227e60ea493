"""The command palette (Ctrl+K): pages and rows whose names hold every word that was typed.

Takes the place of Unfold's own search view, which loads every match (minutes for one letter over 100,000 rows) and
keeps a person's results in the cache for five minutes, also when access has been withdrawn meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.dataclasses import SearchResult

from connectors.models import Connector, IntegrationType, Project, Repository, Workspace
from portal.navigation import SECTIONS

ROWS_PER_MODEL = 8
MINIMUM_LETTERS = 2

Row = TypeVar("Row", bound=Model)


def palette(request: HttpRequest) -> HttpResponse:
    """The results for `?s=` as the palette's HTML fragment; empty below two letters."""
    started = time.monotonic()
    term = request.GET.get("s", "").replace("\0", "").strip()
    if len(term) < MINIMUM_LETTERS:
        return HttpResponse()
    results = Paginator(list(find(request, term.split())), per_page=100)
    context = {
        "page_obj": results,
        "results": results.page(1),
        "page_counter": 0,
        "execution_time": time.monotonic() - started,
        "command_show_history": False,
    }
    return TemplateResponse(request, "unfold/helpers/command_results.html", context)


def find(request: HttpRequest, words: list[str]) -> Iterator[SearchResult]:
    """Pages, then rows that this person may see, at most `ROWS_PER_MODEL` of each model."""
    yield from _pages(request, words)
    user = request.user
    projects = Project.objects.visible_to(user).select_related("workspace")
    for project in _rows(request, projects, words, "name", "slug", "app_id"):
        yield _result(
            "connectors.project", project.pk, project.name, f"Project in {project.workspace}", "deployed_code"
        )
    connectors = Connector.objects.visible_to(user).select_related("project", "integration_type")
    fields = ("integration_type__slug", "integration_type__display_name", "project__name")
    for connector in _rows(request, connectors, words, *fields):
        title = f"{connector.integration_type} · {connector.project}"
        yield _result("connectors.connector", connector.pk, title, "Connector", "cable")
    for workspace in _workspaces(request, words):
        yield _result("connectors.workspace", workspace.pk, workspace.name, "Workspace", "domain")
    for repository in _rows(request, Repository.objects.visible_to(user), words, "name", "url"):
        title = f"{repository.name} · {repository.branch}"
        yield _result("connectors.repository", repository.pk, title, "Repository", "source")
    for kind in _rows(request, IntegrationType.objects.visible_to(user), words, "slug", "display_name"):
        yield _result("connectors.integrationtype", kind.pk, str(kind), "Catalogue", "category")


def _pages(request: HttpRequest, words: list[str]) -> Iterator[SearchResult]:
    for section, pages in SECTIONS.items():
        for page in pages:
            if all(word.lower() in page.title.lower() for word in words) and page.is_open_to(request):
                yield SearchResult(title=page.title, description=section, link=page.url, icon=page.icon)


def _workspaces(request: HttpRequest, words: list[str]) -> list[Workspace]:
    """By name; by the id at Base44 those of which the person may see more than the name."""
    named = _rows(request, Workspace.objects.visible_to(request.user), words, "name")
    known = _rows(request, Workspace.objects.known_to(request.user), words, "name", "base44_id")
    return list({row.pk: row for row in (*named, *known)}.values())[:ROWS_PER_MODEL]


def _rows(request: HttpRequest, rows: QuerySet[Row], words: list[str], *fields: str) -> list[Row]:
    model_admin = admin.site._registry.get(rows.model)
    if model_admin is None or not model_admin.has_view_permission(request):
        return []
    for word in words:
        anywhere = Q()
        for field in fields:
            anywhere |= Q(**{f"{field}__icontains": word})
        rows = rows.filter(anywhere)
    # By key: the models' own orders would sort every match before the first eight are known.
    return list(rows.order_by("pk")[:ROWS_PER_MODEL])


def _result(model: str, pk: object, title: str, description: str, icon: str) -> SearchResult:
    link = reverse(f"admin:{model.replace('.', '_')}_change", args=[pk])
    return SearchResult(title=title, description=description, link=link, icon=icon)

"""Runs: what was done to which project, by whom, and how it went."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.paginator import InfinitePaginator

from connectors.admin import cells
from connectors.admin.base import ReadOnlyAdmin
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.models import SyncRun


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    list_display = ["head", "project_", "state_", "message_", "actor_", "asked_", "took_"]
    list_display_links = ["head"]
    list_select_related = ["project__workspace"]
    list_filter = [
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("project", VisibleAutocompleteFilter),
    ]
    search_fields = ["project__name", "project__slug"]
    search_help_text = _("Search by project")
    ordering = ["-id"]
    paginator = InfinitePaginator
    empty_icon = "sync"
    empty_title = _("Nothing has run yet")
    empty_text = _("Syncs, applied plans, pulls and imports show here with each of their steps.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        return super().get_queryset(request).defer("plan", "project__notes")

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """A run's page is the live one."""
        if not object_id.isdecimal():
            raise Http404
        return HttpResponseRedirect(reverse("admin:connectors_syncrun_live", args=[object_id]))

    @admin.display(description=_("Run"), ordering="id")
    def head(self, row: SyncRun) -> SafeString:
        return cells.two_lines(row.get_kind_display(), f"#{row.pk}")

    @admin.display(description=_("Project"), ordering="project_id")
    def project_(self, row: SyncRun) -> SafeString:
        return cells.two_lines(row.project.name, row.project.workspace.name)

    @admin.display(description=_("State"), ordering="state")
    def state_(self, row: SyncRun) -> SafeString:
        return cells.badge(row.get_state_display(), cells.RUN_TONES[SyncRun.State(row.state)])

    @admin.display(description=_("Outcome"))
    def message_(self, row: SyncRun) -> str:
        return row.message if len(row.message) < 90 else f"{row.message[:88]}…"

    @admin.display(description=_("By"), ordering="actor_label")
    def actor_(self, row: SyncRun) -> SafeString:
        return cells.two_lines(row.actor_label, row.door)

    @admin.display(description=_("Asked"), ordering="id")
    def asked_(self, row: SyncRun) -> SafeString:
        return cells.when(row.created_at)

    @admin.display(description=_("Took"))
    def took_(self, row: SyncRun) -> Any:
        return cells.duration(row.duration) or cells.NOTHING

"""Activity: who did what, and what was there before and after. Nobody edits it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from connectors.admin import cells
from connectors.admin.base import ReadOnlyAdmin
from connectors.admin.event_filters import (
    AboutFilter,
    AddressFilter,
    BetweenFilter,
    DoorFilter,
    ObjectFilter,
    PersonFilter,
    RequestFilter,
    VerbFilter,
)
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.core.trail.segment import ids_of, leaf, leaves_of
from connectors.models import Event, TrailSegment

SEARCHED = 100_000
"""The newest events, in which texts are searched: for a search in all of them there is no index. Filters know all."""


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["verb_", "target_", "project_", "actor_", "at_"]
    list_display_links = ["verb_"]
    list_select_related = ["project"]
    list_filter = [
        AboutFilter,
        VerbFilter,
        DoorFilter,
        PersonFilter,
        ("workspace", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
        ObjectFilter,
        RequestFilter,
        AddressFilter,
        ("at", BetweenFilter),
    ]
    list_before_template = "connectors/event/around.html"
    sortable_by = ["at_"]
    search_fields = ["target_label", "actor_label"]
    search_help_text = _("Search the newest 100,000 events by object or person")
    ordering = ["-id"]
    paginator = InfinitePaginator
    fields = [
        "verb_",
        "target_link_",
        "project_",
        "actor_",
        "at_",
        "changes_",
        "note",
        "reason",
        "request_",
        "address_",
        "seal_",
    ]
    empty_icon = "history"
    empty_title = _("Nothing has happened yet")
    empty_text = _("Every change that somebody makes, here or in the shell, is recorded with what was there before.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """With the project joined: a project that is gone would otherwise break the page of its event."""
        rows: QuerySet[Event] = super().get_queryset(request)
        return rows.select_related("project")

    def get_ordering(self, request: HttpRequest) -> list[str]:
        """Between two times along the index of times: events are not quite in the order of their keys."""
        return ["-at", "-id"] if any(key.startswith("at_") for key in request.GET) else ["-id"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if search_term.strip():
            newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            queryset = queryset.filter(pk__gt=newest - SEARCHED)
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("What"))
    def verb_(self, row: Event) -> str:
        return in_words(row.verb)

    @admin.display(description=_("Object"))
    def target_(self, row: Event) -> SafeString:
        return cells.two_lines(row.target_label, row.target_type)

    @admin.display(description=_("Object"))
    def target_link_(self, row: Event) -> SafeString:
        if not row.target_id:
            return self.target_(row)
        chosen = f"{row.target_type}:{row.target_id}"
        return format_html("{} {}", self.target_(row), _to_list("object", chosen, "All events about it"))

    @admin.display(description=_("Project"))
    def project_(self, row: Event) -> Any:
        return row.project.name if row.project else cells.NOTHING

    @admin.display(description=_("By"))
    def actor_(self, row: Event) -> SafeString:
        return cells.two_lines(row.actor_label, row.door)

    @admin.display(description=_("When"), ordering="id")
    def at_(self, row: Event) -> SafeString:
        return cells.when(row.at)

    @admin.display(description=_("Request"))
    def request_(self, row: Event) -> Any:
        if not row.request_id:
            return cells.NOTHING
        link = _to_list("request", row.request_id, "All events of this request")
        return format_html('<code class="pc-mono">{}</code> {}', row.request_id, link)

    @admin.display(description=_("Address"))
    def address_(self, row: Event) -> Any:
        if not row.address:
            return cells.NOTHING
        return format_html("{} {}", row.address, _to_list("address", row.address, "All events from this address"))

    @admin.display(description=_("Verified"))
    def seal_(self, row: Event) -> SafeString:
        return _seal_of(row)

    @admin.display(description=_("Before and after"))
    def changes_(self, row: Event) -> Any:
        keys = list(dict.fromkeys([*row.before, *row.after]))
        if not keys:
            return cells.NOTHING
        lines = format_html_join("", "{}", ((_line(key, row.before.get(key), row.after.get(key)),) for key in keys))
        head = format_html(
            '<tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col">{}</th></tr>', "What", "Before", "After"
        )
        return format_html(
            '<div class="pc-table-wrap" tabindex="0" role="region" aria-label="{}">'
            '<table class="pc-table pc-table--stack">'
            "<thead>{}</thead><tbody>{}</tbody></table></div>",
            "Before and after",
            head,
            lines,
        )


def _to_list(parameter: str, value: str, label: str) -> SafeString:
    address = f"{reverse('admin:connectors_event_changelist')}?{urlencode({parameter: value})}"
    return format_html('<a class="pc-link" href="{}">{}</a>', address, label)


def _seal_of(row: Event) -> SafeString:
    """Whether the event says what it said when it was written, and which segment of the trail sealed it."""
    if not row.is_genuine():
        return cells.badge(_("Not as it was written"), "danger")
    for segment in TrailSegment.objects.around(row.pk):
        leaves = dict(zip(ids_of(segment.ids), leaves_of(bytes(segment.leaves)), strict=False))
        if row.pk in leaves:
            if leaves[row.pk] != leaf(row.digest):
                return cells.badge(_("Not as it was sealed"), "danger")
            words = format_html("{} {}", _("Sealed in segment"), segment.number)
            return format_html("{} {}", cells.badge(_("As it was written"), "success"), words)
    return format_html("{} {}", cells.badge(_("As it was written"), "success"), _("Sealed within a minute"))


def in_words(verb: str) -> str:
    """`connector.declared` → `Connector declared`."""
    return verb.replace(".", " ").replace("_", " ").capitalize()


def _line(key: str, before: Any, after: Any) -> SafeString:
    """A row of the table; of two lists, such as scopes, it marks what came and what went."""
    name = key.replace("_", " ")
    if isinstance(before, list) and isinstance(after, list):
        cell = '<tr><th scope="row">{}</th><td colspan="2"><span class="pc-chips">{}</span></td></tr>'
        return format_html(
            cell, name, format_html_join("", '<span class="pc-chip{}">{}{}</span>', _chips(before, after))
        )
    return format_html('<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>', name, _text(before), _text(after))


def _chips(before: list[Any], after: list[Any]) -> Iterator[tuple[str, SafeString, str]]:
    for item in before:
        if item not in after:
            yield " pc-chip--del", format_html('<span class="pc-sr">{}</span>', "Removed: "), str(item)
    for item in after:
        if item in before:
            yield "", format_html(""), str(item)
        else:
            yield " pc-chip--add", format_html('<span class="pc-sr">{}</span>', "Added: "), str(item)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "—"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""Activity: who did what, and what was there before and after. Nobody edits it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter
from unfold.paginator import InfinitePaginator

from connectors.admin import cells
from connectors.admin.base import ReadOnlyAdmin
from connectors.core.actor import Door
from connectors.models import Event

VERB_GROUPS = {
    "connector": _("Connectors"),
    "consent": _("Consent"),
    "plan": _("Plans"),
    "step": _("Steps of plans"),
    "project": _("Projects"),
    "workspace": _("Workspaces"),
    "type": _("Catalogue"),
}


class VerbFilter(DropdownFilter):  # type: ignore[misc]
    """What an event is about: the first part of its verb."""

    title = _("what")
    parameter_name = "about"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return list(VERB_GROUPS.items())

    def queryset(self, request: Any, queryset: Any) -> Any:
        value = self.value()
        return queryset.filter(verb__startswith=f"{value}.") if value in VERB_GROUPS else queryset


class DoorFilter(DropdownFilter):  # type: ignore[misc]
    """Through which door the actor came."""

    title = _("door")
    parameter_name = "door"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [(door.value, door.value.capitalize()) for door in Door]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset.filter(door=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["verb_", "target_", "project_", "actor_", "at_"]
    list_display_links = ["verb_"]
    list_select_related = ["project"]
    list_filter = [VerbFilter, DoorFilter, ("project", AutocompleteSelectFilter)]
    search_fields = ["target_label", "actor_label"]
    search_help_text = _("Search by object or person")
    ordering = ["-id"]
    paginator = InfinitePaginator
    fields = ["verb_", "target_", "project_", "actor_", "at_", "changes_", "note"]
    empty_icon = "history"
    empty_title = _("Nothing has happened yet")
    empty_text = _("Every change that somebody makes, here or in the shell, is recorded with what was there before.")

    @admin.display(description=_("What"), ordering="verb")
    def verb_(self, row: Event) -> str:
        return in_words(row.verb)

    @admin.display(description=_("Object"))
    def target_(self, row: Event) -> SafeString:
        return cells.two_lines(row.target_label, row.target_type)

    @admin.display(description=_("Project"), ordering="project_id")
    def project_(self, row: Event) -> Any:
        return row.project.name if row.project else cells.NOTHING

    @admin.display(description=_("By"), ordering="actor_label")
    def actor_(self, row: Event) -> SafeString:
        return cells.two_lines(row.actor_label, row.door)

    @admin.display(description=_("When"), ordering="id")
    def at_(self, row: Event) -> SafeString:
        return cells.when(row.at)

    @admin.display(description=_("Before and after"))
    def changes_(self, row: Event) -> Any:
        keys = list(dict.fromkeys([*row.before, *row.after]))
        if not keys:
            return cells.NOTHING
        lines = format_html_join(
            "",
            "<tr><th scope='row'>{}</th><td>{}</td><td>{}</td></tr>",
            ((key.replace("_", " "), _text(row.before.get(key)), _text(row.after.get(key))) for key in keys),
        )
        head = format_html(
            "<tr><th scope='col'>{}</th><th scope='col'>{}</th><th scope='col'>{}</th></tr>", "", "Before", "After"
        )
        return format_html(
            '<div class="pc-table-wrap" tabindex="0" role="region" aria-label="{}"><table class="pc-table">'
            "<thead>{}</thead><tbody>{}</tbody></table></div>",
            "Before and after",
            head,
            lines,
        )


def in_words(verb: str) -> str:
    """`connector.declared` → `Connector declared`."""
    return verb.replace(".", " ").replace("_", " ").capitalize()


def _text(value: Any) -> str:
    if value is None or value == "":
        return "—"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""Activity: who did what, and what was there before and after. Nobody edits it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.paginator import InfinitePaginator

from connectors.admin import cells
from connectors.admin.base import ReadOnlyAdmin
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.core.actor import Door
from connectors.models import Event

VERB_GROUPS = {
    "connector": _("Connectors"),
    "consent": _("Consent"),
    "consent_link": _("Consent links"),
    "plan": _("Plans"),
    "import": _("Imports"),
    "project": _("Projects"),
    "repository": _("Repositories"),
    "placement": _("Projects in repositories"),
    "pull_request": _("Pull requests"),
    "workspace": _("Workspaces"),
    "credential": _("Credentials"),
    "oauth_client": _("OAuth clients"),
    "token": _("Tokens"),
    "catalogue": _("Catalogue"),
    "policy": _("Policies"),
    "policy_exception": _("Policy exceptions"),
    "review": _("Access reviews"),
    "report": _("Reports"),
    "incident": _("Incidents"),
    "alert_route": _("Alert routes"),
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
    list_filter = [VerbFilter, DoorFilter, ("project", VisibleAutocompleteFilter)]
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

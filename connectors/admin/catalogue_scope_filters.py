"""Filters of the list of scopes, and the words for what the catalogue says of one."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import providers
from connectors.models import CatalogueScope, LedgerEntry, Sensitivity

Scopes = QuerySet[CatalogueScope]
Choices = list[tuple[str, Any]]

ACCESS = {
    "identity": _("Who the person is"),
    "read": _("Read"),
    "write": _("Create and change"),
    "admin": _("Administer"),
    "offline": _("Stay connected"),
}
CONFIDENCE = {
    "high": _("High: the provider publishes it"),
    "medium": _("Medium: from copies of its pages"),
    "low": _("Low: from other people's code and general knowledge"),
}
CLASSES = {"restricted": _("Restricted"), "sensitive": _("Sensitive"), "non-sensitive": _("Not sensitive")}


class _Column(DropdownFilter):  # type: ignore[misc]
    """A column that holds one of a few fixed words: reading which are there would scan the table."""

    words: dict[str, Any] = {}

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return list(self.words.items())

    def queryset(self, request: HttpRequest, queryset: Scopes) -> Scopes:
        return queryset.filter(**{self.parameter_name: self.value()}) if self.value() else queryset


class ScopeProviderFilter(_Column):
    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [(found.id, found.name) for found in providers()]


class AccessFilter(_Column):
    title = _("access")
    parameter_name = "access"
    words = ACCESS


class ClassFilter(_Column):
    title = _("Google's class")
    parameter_name = "provider_class"
    words = CLASSES


class ConfidenceFilter(_Column):
    title = _("confidence")
    parameter_name = "confidence"
    words = CONFIDENCE


class ScopeTypeFilter(DropdownFilter):  # type: ignore[misc]
    """Scopes made for one integration type, by the catalogue."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        types = sorted(load_catalog().types.values(), key=lambda info: info.display_name.lower())
        return [(info.slug, info.display_name) for info in types]

    def queryset(self, request: HttpRequest, queryset: Scopes) -> Scopes:
        value = self.value()
        if not value:
            return queryset
        info = load_catalog().types.get(value)
        # By name, because SQLite cannot look into a list.
        names = [scope.name for scope in load_catalog().scopes_for(value)]
        return queryset.filter(provider=info.provider, name__in=names) if info else queryset.none()


class HarmFilter(DropdownFilter):  # type: ignore[misc]
    """The sensitivity that counts: the team's, else the shipped one."""

    title = _("sensitivity")
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        levels = [(level.name.lower(), level.label) for level in reversed(Sensitivity)]
        return [*levels, ("unknown", _("Not judged"))]

    def queryset(self, request: HttpRequest, queryset: Scopes) -> Scopes:
        value = (self.value() or "").upper()
        judged = queryset.alias(counts=Coalesce("team_sensitivity", "sensitivity"))
        if value == "UNKNOWN":
            return judged.filter(counts=None)
        return judged.filter(counts=Sensitivity[value]) if value in Sensitivity.names else queryset


class TeamFilter(DropdownFilter):  # type: ignore[misc]
    """Scopes of which the team says something."""

    title = _("your team")
    parameter_name = "team"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [
            ("graver", _("Judges it graver")),
            ("milder", _("Judges it milder")),
            ("judged", _("Judges it itself")),
            ("noted", _("Has a note on it")),
            ("added", _("Added it: not in the catalogue")),
        ]

    def queryset(self, request: HttpRequest, queryset: Scopes) -> Scopes:
        value = self.value()
        if value == "judged":
            return queryset.exclude(team_sensitivity=None)
        if value == "noted":
            return queryset.exclude(team_note="")
        if value == "added":
            return queryset.filter(is_shipped=False)
        sides = {"graver": "team_sensitivity__gt", "milder": "team_sensitivity__lt"}
        return queryset.filter(**{sides[value]: F("sensitivity")}) if value in sides else queryset


class UsedFilter(DropdownFilter):  # type: ignore[misc]
    """Scopes that some connector asks for or has, or that none does."""

    title = _("in use")
    parameter_name = "used"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Choices:
        return [("yes", _("In use")), ("no", _("Not in use"))]

    def queryset(self, request: HttpRequest, queryset: Scopes) -> Scopes:
        mine = LedgerEntry.objects.visible_to(request.user).order_by()
        uses = Exists(mine.filter(scope=OuterRef("name"), provider=OuterRef("provider")))
        if self.value() == "yes":
            return queryset.filter(uses)
        return queryset.filter(~uses) if self.value() == "no" else queryset

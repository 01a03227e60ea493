"""Filters that ask the questions people have of the lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter

from connectors.core.catalog import load_catalog
from connectors.models import Connector, Project, Token
from connectors.models.visibility import VisibleQuerySet


class VisibleAutocompleteFilter(AutocompleteSelectFilter):  # type: ignore[misc]
    """Unfold's filter, which would name the row of any key that an address holds, for rows one may know of."""

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        for choice in super().choices(changelist):
            for field in choice["form"].fields.values():
                rows = field.queryset.all()
                if isinstance(rows, VisibleQuerySet):
                    field.queryset = rows.visible_to(self.request.user)
            yield choice


class StatusFilter(DropdownFilter):  # type: ignore[misc]
    """Base44's word on a connector. The choices are fixed: reading all values would scan the table."""

    title = _("status at Base44")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [
            ("active", _("Active")),
            ("expired", _("Expired")),
            ("disconnected", _("Disconnected")),
            ("none", _("Not listed")),
            ("other", _("Another word")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connector]) -> QuerySet[Connector]:
        value = self.value()
        if value == "none":
            return queryset.filter(registered_status="")
        if value == "other":
            return queryset.exclude(registered_status__in=["", "active", "expired", "disconnected"])
        return queryset.filter(registered_status=value) if value else queryset


class AgreementFilter(DropdownFilter):  # type: ignore[misc]
    """In sync or not, in one question."""

    title = _("in sync")
    parameter_name = "agrees"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("yes", _("In sync")), ("no", _("Differs from Base44")), ("unknown", _("Not compared yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        states = {
            "yes": [Connector.SyncState.IN_SYNC],
            "no": Connector.DRIFT_STATES,
            "unknown": [Connector.SyncState.UNKNOWN],
        }.get(self.value() or "")
        if states is None:
            return queryset
        if queryset.model is Connector:
            return queryset.filter(sync_state__in=states)
        return self._projects(queryset, states)

    def _projects(self, projects: QuerySet[Project], states: list[Connector.SyncState]) -> QuerySet[Project]:
        theirs = Connector.objects.filter(project=OuterRef("pk"))
        if self.value() == "unknown":
            return projects.filter(Q(synced_at=None) | Exists(theirs.filter(sync_state__in=states)))
        if self.value() == "no":
            return projects.filter(Exists(theirs.filter(sync_state__in=states)))
        compared = projects.filter(sync_error="").exclude(synced_at=None)
        return compared.exclude(Exists(theirs.exclude(sync_state__in=states)))


class SyncFailedFilter(DropdownFilter):  # type: ignore[misc]
    """Projects whose last sync failed."""

    title = _("last sync")
    parameter_name = "sync"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("failed", _("Failed")), ("ok", _("Succeeded")), ("never", _("Never"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Project]) -> QuerySet[Project]:
        if self.value() == "failed":
            return queryset.exclude(sync_error="")
        if self.value() == "ok":
            return queryset.filter(sync_error="").exclude(synced_at=None)
        return queryset.filter(synced_at=None) if self.value() == "never" else queryset


class AttentionFilter(DropdownFilter):  # type: ignore[misc]
    """Connectors for which somebody has to do something."""

    title = _("needs attention")
    parameter_name = "attention"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("yes", _("Needs attention")), ("consent", _("Needs consent"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connector]) -> QuerySet[Connector]:
        if self.value() == "yes":
            return queryset.filter(needs_attention=True)
        return queryset.exclude(consent="") if self.value() == "consent" else queryset


class TokenFilter(DropdownFilter):  # type: ignore[misc]
    """Connectors by the token that the portal holds for them."""

    title = _("token")
    parameter_name = "token"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("none", _("None held")), *Token.State.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connector]) -> QuerySet[Connector]:
        value, held = self.value(), Token.objects.filter(connector=OuterRef("pk"))
        if value == "none":
            return queryset.filter(~Exists(held))
        return queryset.filter(Exists(held.filter(state=value))) if value in Token.State.values else queryset


class ConditionFilter(DropdownFilter):  # type: ignore[misc]
    """Tokens by how they stand now, which the time and the OAuth client decide together with the stored state."""

    title = _("state")
    parameter_name = "condition"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("attention", _("Needs attention")), *Token.Condition.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value == "attention":
            return queryset.needing_attention(timezone.now())
        return queryset.in_condition(value, timezone.now()) if value in Token.Condition.values else queryset


class ProviderFilter(DropdownFilter):  # type: ignore[misc]
    """Tokens by the provider that issued them. The choices come from the catalogue: reading all clients costs more."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        found = {info.provider for info in load_catalog().types.values()}
        return [(provider, provider.replace("_", " ").capitalize()) for provider in sorted(found)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Token]) -> QuerySet[Token]:
        return queryset.filter(oauth_client__provider=self.value()) if self.value() else queryset

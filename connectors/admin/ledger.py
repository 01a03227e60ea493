"""The scope ledger over all projects: every scope of every connector, and how its four sides compare."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.views import ChangeList

from connectors.admin import cells
from connectors.admin.base import KeysFirst, ReadOnlyAdmin
from connectors.admin.filter_words import filters_in_words
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.ledger_filters import (
    AccountFilter,
    AgeFilter,
    LedgerProviderFilter,
    PersonFilter,
    PolicyFilter,
    ScopeFilter,
    SensitivityFilter,
    VerdictFilter,
)
from connectors.admin.ledger_list import COUNTED, GroupList, LedgerList
from connectors.admin.pages.download import answer, asked_for
from connectors.admin.pages.frame import has_nul
from connectors.admin.pages.saved_views import around
from connectors.flows.reports import ledger_table
from connectors.models import LedgerEntry, SavedView
from connectors.models.ledger import LedgerEntryQuerySet


class Capped(KeysFirst):
    """Counts no further than `COUNTED`: counting 400,000 entries takes longer than finding a page of them."""

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNTED + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._found, COUNTED)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than were counted."""
        return self._found > COUNTED


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    paginator = Capped
    list_display = [
        "head",
        "connector_",
        "declared_",
        "repository_",
        "registered_",
        "granted_",
        "verdict_",
        "sensitivity_",
        "account_",
        "since_",
    ]
    list_display_links = ["head"]
    list_filter = [
        VerdictFilter,
        SensitivityFilter,
        PolicyFilter,
        AgeFilter,
        ("environment", ChoicesDropdownFilter),
        LedgerProviderFilter,
        ("project__workspace", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
        ("integration_type", VisibleAutocompleteFilter),
        ScopeFilter,
        AccountFilter,
        PersonFilter,
    ]
    list_filter_sheet = True
    search_fields = ["scope", "project__name", "integration_type__display_name"]
    search_help_text = _("Search: “send mail”, a scope, project, type")
    list_before_template = "connectors/ledger/around.html"
    sortable_by: list[str] = []
    empty_icon = "account_tree"
    empty_title = _("Nothing is in the ledger yet")
    empty_text = _(
        "When a connector is declared, imported, synced or authorised, each of its scopes gets a line here. "
        "Connectors from before are taken in by themselves within some minutes."
    )

    class Media:
        css = {"all": ["portal/ledger.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        rows = super().get_queryset(request)
        assert isinstance(rows, LedgerEntryQuerySet)  # noqa: S101 - the manager's
        return rows.with_names()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[LedgerEntry], search_term: str
    ) -> tuple[QuerySet[LedgerEntry], bool]:
        """By `matching`; `search_fields` only tells Django that there is a search."""
        assert isinstance(queryset, LedgerEntryQuerySet)  # noqa: S101 - the manager's
        return queryset.matching(search_term.replace("\0", "")), False

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["project_id", "integration_type_id", "scope"]  # an index has this order: nothing is sorted

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LedgerList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with the ways to its groups and to the views that somebody has saved; or all of it as a file."""
        kind = asked_for(request)
        if kind and self.has_view_permission(request) and not has_nul(request):
            try:
                changes = GroupList.of(self, request)
            except IncorrectLookupParameters:
                return HttpResponseRedirect(request.path)
            return answer(request, ledger_table(changes.queryset, filters_in_words(changes, request.user)), kind)
        context = {**(extra_context or {}), **around(request, SavedView.Page.LIST)}
        return super().changelist_view(request, context)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """An entry's page is its connector's ledger."""
        rows = self.get_queryset(request)
        entry = rows.filter(pk=object_id).first() if object_id.isdecimal() and len(object_id) < 19 else None
        if entry is None:
            raise Http404
        return HttpResponseRedirect(reverse("admin:connectors_connector_ledger", args=[entry.connector_id]))

    @admin.display(description=_("Scope"))
    def head(self, row: Any) -> SafeString:
        return cells.two_lines(row.scope_title or row.scope, row.scope if row.scope_title else "")

    @admin.display(description=_("Connector"))
    def connector_(self, row: LedgerEntry) -> SafeString:
        place = f"{row.project.name} · {row.get_environment_display()}"
        return cells.two_lines(row.integration_type.display_name, place)

    @admin.display(description=_("Declared"))
    def declared_(self, row: LedgerEntry) -> SafeString:
        return cells.mark(row.declared)

    @admin.display(description=_("File"))
    def repository_(self, row: LedgerEntry) -> SafeString:
        return cells.mark(row.repository)

    @admin.display(description=_("Base44"))
    def registered_(self, row: LedgerEntry) -> SafeString:
        return cells.mark(row.registered)

    @admin.display(description=_("Granted"))
    def granted_(self, row: LedgerEntry) -> SafeString:
        return cells.mark(row.granted)

    @admin.display(description=_("Verdict, policy"))
    def verdict_(self, row: LedgerEntry) -> SafeString:
        verdict = cells.verdict_of(row)
        if not row.policy:
            return verdict
        return format_html('<span class="ledger-badges">{}{}</span>', verdict, cells.policy(row.policy))

    @admin.display(description=_("Sensitivity"))
    def sensitivity_(self, row: LedgerEntry) -> SafeString:
        return cells.harm(row.sensitivity)

    @admin.display(description=_("Account"))
    def account_(self, row: LedgerEntry) -> SafeString:
        return cells.two_lines(row.account or _("Not known"), f"by {row.person}" if row.person else "")

    @admin.display(description=_("Since"))
    def since_(self, row: LedgerEntry) -> SafeString:
        return cells.when(row.since)

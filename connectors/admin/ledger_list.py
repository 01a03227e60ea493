"""The ledger's list and its groups as Django's change list draws them: the same filters, different rows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from unfold.views import ChangeList

from connectors.flows.scope_facts import ScopeFacts

COUNTED = 10_000
"""Rows that are counted and can be paged to. Whoever needs another one filters: nobody turns 8,000 pages."""
NO_FILTERS = ("download",)
"""What addresses of the ledger say beside filters."""


class LedgerList(ChangeList):  # type: ignore[misc]
    """Entries with their scopes' titles, of which each row's admin methods know nothing by themselves."""

    result_list: list[Any]

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {key: value for key, value in found.items() if key not in NO_FILTERS}

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        facts = ScopeFacts()
        self.result_list = list(self.result_list)
        for row in self.result_list:
            row.scope_title = facts.title(row.integration_type_id, row.scope)

    def url_for_result(self, result: Any) -> str:
        return reverse("admin:connectors_connector_ledger", args=[result.connector_id])

    @property
    def count_in_words(self) -> str:
        """Below the list: how many entries match, as far as they are counted."""
        if self.paginator.is_capped:
            return f"More than {COUNTED:,} scopes of connectors match; the first {COUNTED:,} can be paged through"
        return f"{self.result_count:,} scope{'' if self.result_count == 1 else 's'} of connectors"


class GroupList(LedgerList):
    """The filters and the search of the list without its rows: what the pages of groups are made from."""

    @classmethod
    def of(cls, model_admin: Any, request: HttpRequest) -> GroupList:
        """For this request; raises IncorrectLookupParameters for filters that cannot be."""
        return cls(
            request,
            model_admin.model,
            model_admin.list_display,
            model_admin.list_display_links,
            model_admin.list_filter,
            None,
            model_admin.search_fields,
            False,
            model_admin.list_per_page,
            model_admin.list_max_show_all,
            (),
            model_admin,
            model_admin.sortable_by,
            model_admin.search_help_text,
        )

    def get_results(self, request: HttpRequest) -> None:
        self.result_list = []
        self.result_count = self.full_result_count = None  # 0 would be told in the page's head
        self.show_full_result_count = self.show_admin_actions = self.multi_page = self.can_show_all = False

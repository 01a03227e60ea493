"""The catalogue of scopes: what is shipped, read only, and what the team says of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.db.models.functions import Coalesce
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.catalogue_scope_filters import (
    ACCESS,
    CLASSES,
    AccessFilter,
    ClassFilter,
    ConfidenceFilter,
    HarmFilter,
    ScopeProviderFilter,
    ScopeTypeFilter,
    TeamFilter,
    UsedFilter,
)
from connectors.admin.catalogue_scope_form import AddScopeForm, JudgeScopeForm
from connectors.admin.pages.scope_facts import ledger_address, overview, uses_of
from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import provider_name, providers
from connectors.flows.judge_scope import add_scope, forget_scope, judge_scope
from connectors.models import CatalogueScope, Sensitivity
from connectors.models.visibility import may_everywhere

if TYPE_CHECKING:
    from connectors.admin.base import Sentences


class ScopeList(ChangeList):  # type: ignore[misc]
    """Rows that know how many connectors use their scope, counted for the whole page at once."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        uses = uses_of(request.user, self.result_list)
        for row in self.result_list:
            row.use_count = uses.get((row.provider, row.name), 0)


@admin.register(CatalogueScope)
class CatalogueScopeAdmin(OverviewMixin, PortalAdmin):
    form = JudgeScopeForm
    list_display = ["head", "provider_", "access_", "sensitivity_", "class_", "used_"]
    list_display_links = ["head"]
    list_filter = [
        ScopeProviderFilter,
        ScopeTypeFilter,
        HarmFilter,
        AccessFilter,
        ClassFilter,
        ConfidenceFilter,
        TeamFilter,
        UsedFilter,
    ]
    list_filter_sheet = True
    search_fields = ["title", "name", "team_note"]
    search_help_text = _("Search: “send mail”, a scope, a word of a note")
    ordering = ["provider", "name"]
    change_form_outer_before_template = "connectors/catalogue_scope/overview.html"
    empty_icon = "menu_book"
    empty_title = _("No scope is here yet")
    empty_text = _("The catalogue is loaded when the first workspace is added, or by the command load_catalogue.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CatalogueScope]:
        rows: QuerySet[CatalogueScope] = super().get_queryset(request)
        return rows.annotate(level=Coalesce("team_sensitivity", "sensitivity"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ScopeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[CatalogueScope], search_term: str
    ) -> tuple[QuerySet[CatalogueScope], bool]:
        """By title, name and note; a name that is another spelling of a scope finds that scope."""
        found, repeats = super().get_search_results(request, queryset, search_term)
        for owner, name in _spelled(search_term.strip()):
            found = found | queryset.filter(provider=owner, name=name)
        return found, repeats

    def get_form(
        self, request: HttpRequest, obj: CatalogueScope | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return super().get_form(request, obj, change, **({"form": AddScopeForm} if obj is None else {}), **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: CatalogueScope | None = None) -> list[Any]:
        if obj is None:
            return [(None, {"fields": ["provider", "name", "title", "team_sensitivity", "team_note"]})]
        own = [] if obj.is_shipped else ["title"]
        return [(_("What your team says"), {"fields": [*own, "team_sensitivity", "team_note", "version"]})]

    @admin.display(description=_("Scope"), ordering="title")
    def head(self, row: CatalogueScope) -> SafeString:
        return cells.two_lines(row.title or row.name, row.name if row.title else "")

    @admin.display(description=_("Provider"), ordering="provider")
    def provider_(self, row: CatalogueScope) -> str:
        return provider_name(row.provider)

    @admin.display(description=_("Access"), ordering="access")
    def access_(self, row: CatalogueScope) -> Any:
        return ACCESS.get(row.access, cells.NOTHING)

    @admin.display(description=_("Sensitivity"), ordering="level")
    def sensitivity_(self, row: CatalogueScope) -> SafeString:
        level = cells.harm(row.effective_sensitivity)
        if row.team_sensitivity is None:
            return level
        shipped = Sensitivity(row.sensitivity).label.lower() if row.sensitivity is not None else ""
        return cells.two_lines(level, f"your team's; shipped: {shipped}" if shipped else "your team's")

    @admin.display(description=_("Google's class"), ordering="provider_class")
    def class_(self, row: CatalogueScope) -> Any:
        return CLASSES.get(row.provider_class, cells.NOTHING)

    @admin.display(description=_("In use"))
    def used_(self, row: Any) -> Any:
        if not row.use_count:
            return cells.NOTHING
        words = f"{row.use_count} connector{'' if row.use_count == 1 else 's'}"
        address = ledger_address(row)
        return format_html('<a href="{}">{}</a>', address, words) if address else words

    def overview_of(self, request: HttpRequest, row: CatalogueScope | None) -> dict[str, Any]:
        return overview(row, request) if row is not None else {}

    def save_model(
        self, request: HttpRequest, obj: CatalogueScope, form: ModelForm[CatalogueScope], change: bool
    ) -> None:
        if not change:
            add_scope(obj, actor_of(request))
            return
        data = form.cleaned_data
        judge_scope(
            obj,
            actor_of(request),
            sensitivity=data["team_sensitivity"],
            note=data["team_note"],
            title=data.get("title"),
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The catalogue is everybody's, so only those add to it who may do so everywhere."""
        return may_everywhere(request.user, "add_cataloguescope")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What the catalogue ships cannot be deleted, only set back."""
        if isinstance(obj, CatalogueScope) and obj.is_shipped:
            return False
        return bool(super().has_delete_permission(request, obj))

    def effects_of_deleting(self, row: CatalogueScope) -> Sentences:
        return [
            _("The portal forgets what your team says of this scope: how much harm it can do is then not known."),
            _("Connectors that use it keep it. Policies that look at sensitivity no longer find it."),
        ]

    def delete_model(self, request: HttpRequest, obj: CatalogueScope) -> None:
        forget_scope(obj, actor_of(request))


def _spelled(text: str) -> list[tuple[str, str]]:
    """The scopes of which `text` is another spelling, as provider and main name."""
    if not text or " " in text:
        return []
    catalog = load_catalog()
    from_catalogue = ((found.id, catalog.canonical(found.types[0].slug, text)) for found in providers())
    return [(owner, name) for owner, name in from_catalogue if name != text]

"""The catalogue of types: it comes from the shipped data and from Base44; only the team's notes are written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Count, IntegerField, Model, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.widgets import UnfoldAdminTextareaWidget

from connectors.admin import cells
from connectors.admin.base import PortalAdmin, actor_of
from connectors.admin.catalogue_scope_filters import CLASSES
from connectors.admin.forms import NoticesChanges
from connectors.admin.pages.oauth_support import support_badge
from connectors.core.catalog import ScopeInfo, load_catalog
from connectors.core.oauth.support import support_of
from connectors.flows.catalogue import note_type
from connectors.models import CatalogueScope, Connector, IntegrationType, Sensitivity

MAX_USES = 50
"""How many projects a type's page lists; the rest is one click away."""


@dataclass(frozen=True, slots=True)
class ScopeLine:
    """One scope on its type's page. `row` None: the catalogue was not loaded since the scope came to it."""

    name: str
    title: str
    level: SafeString
    rank: int
    provider_class: Any
    note: str
    remarks: str
    row: CatalogueScope | None


class TypeNoteForm(NoticesChanges):
    """The team's note alone: the rest is the catalogue's and Base44's."""

    watched = ["team_note"]

    class Meta:
        model = IntegrationType
        fields = ["team_note"]
        widgets = {"team_note": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


@admin.register(IntegrationType)
class IntegrationTypeAdmin(PortalAdmin):
    form = TypeNoteForm
    list_display = ["head", "scopes_", "used_", "known_", "offered_"]
    list_display_links = ["head"]
    list_filter = [("is_known", BooleanRadioFilter)]
    list_before_template = "connectors/integration_type/above.html"
    search_fields = ["slug", "display_name"]
    search_help_text = _("Search by name")
    ordering = ["display_name"]
    fields = ["display_name", "slug", "description", "offered_at", "team_note", "version"]
    readonly_fields = ["display_name", "slug", "description", "offered_at"]
    change_form_outer_before_template = "connectors/integration_type/overview.html"
    empty_icon = "category"
    empty_title = _("The catalogue is empty")
    empty_text = _("It is filled when the first workspace is added, or by the command load_catalogue.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[IntegrationType]:
        seen = Connector.objects.visible_to(request.user).declared()
        rows_of_type = seen.filter(integration_type=OuterRef("pk")).order_by()
        uses = rows_of_type.values("integration_type").annotate(n=Count("pk")).values("n")
        rows: QuerySet[IntegrationType] = super().get_queryset(request)
        return rows.annotate(use_count=Coalesce(Subquery(uses, output_field=IntegerField()), 0))

    @admin.display(description=_("Type"), ordering="display_name")
    def head(self, row: IntegrationType) -> SafeString:
        return cells.two_lines(
            row.display_name or row.slug, row.slug, avatar=cells.initials(row.display_name or row.slug)
        )

    @admin.display(description=_("Known scopes"))
    def scopes_(self, row: IntegrationType) -> Any:
        count = len(load_catalog().scopes_for(row.slug))
        if not count:
            return cells.NOTHING
        link = f"{reverse('admin:connectors_cataloguescope_changelist')}?type={row.slug}"
        return format_html('<a href="{}">{}</a>', link, count)

    @admin.display(description=_("Used by"), ordering="use_count")
    def used_(self, row: Any) -> Any:
        if not row.use_count:
            return cells.NOTHING
        link = f"{reverse('admin:connectors_connector_changelist')}?integration_type__slug__exact={row.slug}"
        return format_html('<a href="{}">{} connector{}</a>', link, row.use_count, "" if row.use_count == 1 else "s")

    @admin.display(description=_("Catalogue"))
    def known_(self, row: IntegrationType) -> SafeString:
        return cells.badge(_("Known"), "success") if row.is_known else cells.badge(_("Unknown"), "warning")

    @admin.display(description=_("Offered by Base44"), ordering="offered_at")
    def offered_(self, row: IntegrationType) -> SafeString:
        return cells.when(row.offered_at, never="not asked yet")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: IntegrationType, form: ModelForm[IntegrationType], change: bool
    ) -> None:
        note_type(obj, form.cleaned_data["team_note"], actor_of(request))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        info = load_catalog().types.get(object_id or "")
        uses = (
            Connector.objects.visible_to(request.user)
            .declared()
            .filter(integration_type=object_id)
            .select_related("project__workspace")
            .defer("source")
            .order_by("project__name")[: MAX_USES + 1]
        )
        support = support_of(info) if info else None
        lines = scope_lines(object_id or "", request.user)
        context = {
            "lines": lines,
            "has_classes": any(line.provider_class for line in lines),
            "catalogue_info": info,
            "uses": uses,
            "max_uses": MAX_USES,
            "oauth_support": support,
            "support_badge": support_badge(support) if support else "",
        }
        response: HttpResponse = super().changeform_view(
            request, object_id, form_url, {**(extra_context or {}), **context}
        )
        return response


def scope_lines(type_: str, user: AbstractBaseUser | AnonymousUser) -> list[ScopeLine]:
    """The scopes of a type, the gravest first, with what the team says of them; last those that the team added."""
    info, shipped = load_catalog().types.get(type_), load_catalog().scopes_for(type_)
    if info is None:
        return []
    of_type = Q(name__in=[scope.name for scope in shipped]) | Q(is_shipped=False)
    rows = CatalogueScope.objects.visible_to(user).filter(of_type, provider=info.provider)
    by_name = {row.name: row for row in rows}
    lines = [_shipped_line(scope, by_name.pop(scope.name, None)) for scope in shipped]
    lines += [
        _line(row.name, row.title, row.effective_sensitivity, "", "added by your team", row)
        for row in rows
        if row.name in by_name
    ]
    return sorted(lines, key=lambda line: -line.rank)


def _shipped_line(scope: ScopeInfo, row: CatalogueScope | None) -> ScopeLine:
    level = row.effective_sensitivity if row else Sensitivity(scope.sensitivity.rank)
    remarks = {"added by itself": scope.auto_added, "deprecated": scope.deprecated}
    said = " · ".join(text for text, holds in remarks.items() if holds)
    return _line(scope.name, scope.title, level, scope.provider_class or "", said, row)


def _line(
    name: str, title: str, level: Sensitivity | None, class_: str, remarks: str, row: CatalogueScope | None
) -> ScopeLine:
    return ScopeLine(
        name=name,
        title=title,
        level=cells.harm(level),
        rank=-1 if level is None else int(level),
        provider_class=CLASSES.get(class_, ""),
        note=row.team_note if row else "",
        remarks=remarks,
        row=row,
    )

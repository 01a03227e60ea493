"""The catalogue: read-mostly, for it comes from the shipped data and from Base44."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter

from connectors.admin import cells
from connectors.admin.base import ReadOnlyAdmin
from connectors.admin.pages.oauth_support import support_badge
from connectors.core.catalog import load_catalog
from connectors.core.oauth.support import support_of
from connectors.models import Connector, IntegrationType

MAX_USES = 50
"""How many projects a type's page lists; the rest is one click away."""


@admin.register(IntegrationType)
class IntegrationTypeAdmin(ReadOnlyAdmin):
    list_display = ["head", "scopes_", "used_", "known_", "offered_"]
    list_display_links = ["head"]
    list_filter = [("is_known", BooleanRadioFilter)]
    list_before_template = "connectors/integration_type/support_link.html"
    search_fields = ["slug", "display_name"]
    search_help_text = _("Search by name")
    ordering = ["display_name"]
    fields = ["display_name", "slug", "description", "offered_at"]
    change_form_outer_before_template = "connectors/integration_type/overview.html"
    empty_icon = "category"
    empty_title = _("The catalogue is empty")
    empty_text = _("It is filled when the first workspace is added, or by the command load_catalogue.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[IntegrationType]:
        rows_of_type = Connector.objects.filter(integration_type=OuterRef("pk"), is_declared=True).order_by()
        uses = rows_of_type.values("integration_type").annotate(n=Count("pk")).values("n")
        rows: QuerySet[IntegrationType] = super().get_queryset(request)
        return rows.annotate(use_count=Coalesce(Subquery(uses, output_field=IntegerField()), 0))

    @admin.display(description=_("Type"), ordering="display_name")
    def head(self, row: IntegrationType) -> SafeString:
        return cells.two_lines(
            row.display_name or row.slug, row.slug, avatar=cells.initials(row.display_name or row.slug)
        )

    @admin.display(description=_("Known scopes"))
    def scopes_(self, row: IntegrationType) -> int:
        return len(load_catalog().scopes_for(row.slug))

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

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        scopes = sorted(load_catalog().scopes_for(object_id or ""), key=lambda scope: -scope.sensitivity.rank)
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
        context = {
            "catalogue_scopes": scopes,
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

"""Consent links: who was asked for what, by whom, and what came of it. The links themselves are kept nowhere."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.paginator import InfinitePaginator

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, ReadOnlyAdmin
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.pages.frame import CHANGE_CONNECTOR, actor_of, require, route, visible
from connectors.flows.consent_links import withdraw
from connectors.models import ConsentLink
from connectors.models.visibility import may

STATES = {
    "open": (_("Not opened"), "neutral"),
    "opened": (_("Opened"), "info"),
    "used": (_("Used"), "success"),
    "withdrawn": (_("Withdrawn"), "neutral"),
    "expired": (_("Expired"), "warning"),
}
"""Words and tone of each state that a link can be in."""


def state_of(link: ConsentLink, now: dt.datetime) -> str:
    """Which of STATES the link is in."""
    if link.used_at is not None:
        return "used"
    if link.revoked_at is not None:
        return "withdrawn"
    if link.expires_at <= now:
        return "expired"
    return "opened" if link.claimed_at is not None else "open"


class LinkStateFilter(DropdownFilter):  # type: ignore[misc]
    """Links by their state, which the time decides as well."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(state, words) for state, (words, _tone) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        match self.value():
            case "open":
                return queryset.open(now).filter(claimed_at=None)
            case "opened":
                return queryset.open(now).exclude(claimed_at=None)
            case "used":
                return queryset.exclude(used_at=None)
            case "withdrawn":
                return queryset.filter(used_at=None).exclude(revoked_at=None)
            case "expired":
                return queryset.filter(used_at=None, revoked_at=None, expires_at__lte=now)
        return queryset


@admin.register(ConsentLink)
class ConsentLinkAdmin(OverviewMixin, ReadOnlyAdmin):
    list_display = ["head", "project_", "way_", "note", "state_", "opened_", "made_", "ends_"]
    list_display_links = ["head"]
    list_select_related = [
        "connector__integration_type",
        "connector__project__workspace",
        "created_by",
        "claimed_by",
        "oauth_client",
    ]
    list_filter = [
        LinkStateFilter,
        ("kind", ChoicesDropdownFilter),
        ("connector__project", VisibleAutocompleteFilter),
    ]
    search_fields = ["note", "connector__project__name", "connector__integration_type__display_name"]
    search_help_text = _("Search by note, project or type")
    ordering = ["-id"]
    paginator = InfinitePaginator
    change_form_outer_before_template = "connectors/consent_link/overview.html"
    fields = ["head", "project_", "way_", "client_", "note", "state_", "message", "made_", "opened_", "ends_"]
    empty_icon = "forward_to_inbox"
    empty_title = _("No links yet")
    empty_text = _("The consent desk makes links that ask a colleague for consent. Who used them shows here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentLink]:
        rows = super().get_queryset(request)
        return rows.defer("connector__source", "connector__project__notes", "oauth_client__client_secret")

    def get_urls(self) -> list[URLPattern]:
        return [route(self, "<int:object_id>/withdraw/", withdraw_view, "withdraw"), *super().get_urls()]

    def overview_of(self, request: HttpRequest, row: ConsentLink | None) -> dict[str, Any]:
        is_open = row is not None and row.is_open(timezone.now())
        return {"may_withdraw": is_open and may(request.user, CHANGE_CONNECTOR, row)}

    @admin.display(description=_("Asks for"), ordering="connector__integration_type_id")
    def head(self, row: ConsentLink) -> SafeString:
        name = row.connector.integration_type.display_name
        return cells.two_lines(name, f"#{row.pk}", avatar=cells.initials(name))

    @admin.display(description=_("Project"), ordering="connector__project_id")
    def project_(self, row: ConsentLink) -> SafeString:
        project = row.connector.project
        return cells.two_lines(project.name, f"{project.workspace.name} · {project.get_environment_display()}")

    @admin.display(description=_("Way"), ordering="kind")
    def way_(self, row: ConsentLink) -> str:
        return row.get_kind_display()

    @admin.display(description=_("OAuth client"))
    def client_(self, row: ConsentLink) -> Any:
        return row.oauth_client.name if row.oauth_client else cells.NOTHING

    @admin.display(description=_("State"))
    def state_(self, row: ConsentLink) -> SafeString:
        words, tone = STATES[state_of(row, timezone.now())]
        return cells.badge(words, tone, title=row.message)

    @admin.display(description=_("Opened"), ordering="claimed_at")
    def opened_(self, row: ConsentLink) -> Any:
        if row.claimed_at is None:
            return cells.NOTHING
        return cells.two_lines(row.claimed_by or _("somebody who is gone"), cells.when(row.claimed_at))

    @admin.display(description=_("Made"), ordering="id")
    def made_(self, row: ConsentLink) -> SafeString:
        return cells.two_lines(row.created_by or _("nobody in particular"), cells.when(row.created_at))

    @admin.display(description=_("Ends"), ordering="expires_at")
    def ends_(self, row: ConsentLink) -> SafeString:
        return cells.when(row.expires_at)


def withdraw_view(model_admin: ModelAdmin[Any], request: HttpRequest, object_id: int) -> HttpResponse:
    """Ends a link, and leads back to where the button was."""
    link = visible(model_admin, request, ConsentLink.objects.select_related("connector__project"), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, CHANGE_CONNECTOR, link)
    if withdraw(link, actor_of(request)):
        messages.success(request, f"The link for {link.connector} in {link.connector.project} opens nothing any more.")
    else:
        messages.info(request, "The link had ended before.")
    if request.POST.get("back") == "desk":
        return HttpResponseRedirect(reverse("admin:connectors_connector_desk"))
    return HttpResponseRedirect(reverse("admin:connectors_consentlink_change", args=[link.pk]))

"""Incidents and alert routes: what is wrong now, who hears of it, and whether the messages get through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import ManyToManyField, Q, QuerySet
from django.forms import ModelForm, ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from pydantic import SecretStr
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from connectors.admin import cells
from connectors.admin.alert_route_form import AlertRouteForm
from connectors.admin.base import (
    ForgivingAutocompletes,
    KeysFirst,
    OverviewMixin,
    PortalAdmin,
    ReadOnlyAdmin,
    actor_of,
)
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.pages.alert_route import secret_page
from connectors.flows.alert_routes import delete_route, save_route
from connectors.flows.alert_words import advice_of, way_of
from connectors.models import AlertDelivery, AlertRoute, Incident, Severity
from connectors.models.visibility import VisibleQuerySet, may_everywhere

if TYPE_CHECKING:
    from connectors.admin.base import Sentences

CHANGE_ROUTE = "change_alertroute"
MAX_DELIVERIES = 50
"""How many of its newest messages a route's page lists."""

SEVERITY_TONES = {Severity.NOTICE: "info", Severity.WARNING: "warning", Severity.CRITICAL: "danger"}
DELIVERY_TONES = {
    AlertDelivery.State.QUEUED: "info",
    AlertDelivery.State.SENT: "success",
    AlertDelivery.State.DIGESTED: "success",
    AlertDelivery.State.GIVEN_UP: "danger",
    AlertDelivery.State.DROPPED: "neutral",
}


class OpenFilter(DropdownFilter):  # type: ignore[misc]
    """Whether it still is so."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("open", _("Open")), ("over", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        if self.value() in ("open", "over"):
            return queryset.filter(is_open=self.value() == "open")
        return queryset


@admin.register(Incident)
class IncidentAdmin(OverviewMixin, ReadOnlyAdmin):
    list_display = ["head", "severity_", "place_", "since_", "over_"]
    list_display_links = ["head"]
    list_select_related = ["workspace", "project"]
    list_filter = [
        OpenFilter,
        ("kind", ChoicesDropdownFilter),
        ("severity", ChoicesDropdownFilter),
        ("workspace", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
    ]
    list_before_template = "connectors/alert/no_route.html"
    search_fields = ["title"]
    search_help_text = _("Search by what it says")
    ordering = ["-is_open", "-opened_at", "-id"]
    paginator = KeysFirst
    change_form_outer_before_template = "connectors/alert/incident.html"
    empty_icon = "notifications_active"
    empty_title = _("Nothing is wrong")
    empty_text = _(
        "When scopes differ, a token fails or a rule is broken, it shows here, and whoever should know is told."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        rows: QuerySet[Incident] = super().get_queryset(request)
        return rows.defer("workspace__credential", "workspace__credential_refresh", "project__notes")

    def get_fieldsets(self, request: HttpRequest, obj: Incident | None = None) -> list[Any]:
        return []  # the page is the overview

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Routes for everything tell of these incidents too, though not everybody may see them.
        telling = AlertRoute.objects.visible_to(request.user) | AlertRoute.objects.filter(is_local=False)
        context = {**(extra_context or {}), "has_route": telling.in_use().exists()}
        return super().changelist_view(request, context)

    def overview_of(self, request: HttpRequest, row: Incident | None) -> dict[str, Any]:
        return incident_overview(row, request) if row is not None else {}

    @admin.display(description=_("What"), ordering="title")
    def head(self, row: Incident) -> SafeString:
        return cells.two_lines(row.title, Incident.Kind(row.kind).label)

    @admin.display(description=_("Severity"), ordering="severity")
    def severity_(self, row: Incident) -> SafeString:
        return severity_badge(row)

    @admin.display(description=_("Where"), ordering="project_id")
    def place_(self, row: Incident) -> SafeString:
        if row.project is None:
            return cells.two_lines(row.workspace or _("Every workspace"))
        return cells.two_lines(row.project.name, row.workspace or "")

    @admin.display(description=_("Since"), ordering="opened_at")
    def since_(self, row: Incident) -> SafeString:
        return cells.when(row.opened_at)

    @admin.display(description=_("Over"), ordering="closed_at")
    def over_(self, row: Incident) -> SafeString:
        return cells.when(row.closed_at, never="still open")


@admin.register(AlertRoute)
class AlertRouteAdmin(OverviewMixin, PortalAdmin):
    form = AlertRouteForm
    list_display = ["head", "hears_", "where_", "state_", "sent_"]
    list_display_links = ["head"]
    list_filter = [("channel", ChoicesDropdownFilter), "is_enabled", "is_failing"]
    search_fields = ["name", "url_host"]
    search_help_text = _("Search by name or host")
    ordering = ["name"]
    filter_horizontal = ()
    autocomplete_fields = ["workspaces", "projects"]
    change_form_outer_before_template = "connectors/alert/route.html"
    empty_icon = "alt_route"
    empty_title = _("No alert route yet")
    empty_text = _(
        "A route sends incidents to people by e-mail, or to another service by webhook. Without one nobody is told."
    )
    fieldsets = [
        (None, {"fields": ["name", "is_enabled", "channel", "emails", "address"]}),
        (_("Which incidents"), {"fields": ["kinds", "min_severity", "workspaces", "projects", "environments"]}),
        (
            _("When"),
            {
                "fields": [
                    "quiet_from",
                    "quiet_until",
                    "quiet_timezone",
                    "critical_breaks_quiet",
                    "says_recovery",
                    "version",
                ]
            },
        ),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: AlertRoute | None = None) -> Any:
        """Whoever may only look sees the host of the webhook's address, which is all that is not secret about it."""
        found = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return found
        hidden = {"address": "url_host"}
        return [
            (title, {**options, "fields": [hidden.get(name, name) for name in options["fields"] if name != "version"]})
            for title, options in found
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRoute]:
        rows: QuerySet[AlertRoute] = super().get_queryset(request)
        return rows.prefetch_related("workspaces", "projects")

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Only places where this person may have routes can be chosen, by a forged POST neither."""
        rows = db_field.remote_field.model._default_manager.all()
        if isinstance(rows, VisibleQuerySet):
            kwargs["queryset"] = rows.visible_to(request.user).permitted(request.user, CHANGE_ROUTE)
            kwargs.setdefault("widget", ForgivingAutocompletes(db_field, self.admin_site, CHANGE_ROUTE))
        field: ModelMultipleChoiceField[Any] | None = super().formfield_for_manytomany(db_field, request, **kwargs)
        return field

    def get_form(self, request: HttpRequest, obj: AlertRoute | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Whoever may not see everything must say of which places the route hears."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.must_name_places = not may_everywhere(request.user, CHANGE_ROUTE)
        return form

    def overview_of(self, request: HttpRequest, row: AlertRoute | None) -> dict[str, Any]:
        return route_overview(row, request) if row is not None else {}

    @admin.display(description=_("Route"), ordering="name")
    def head(self, row: AlertRoute) -> SafeString:
        return cells.two_lines(row.name, target_of(row))

    @admin.display(description=_("Hears of"), ordering="min_severity")
    def hears_(self, row: AlertRoute) -> SafeString:
        kinds = ", ".join(str(Incident.Kind(kind).label) for kind in row.kinds if kind in Incident.Kind.values)
        return cells.two_lines(kinds or _("All kinds"), f"from {Severity(row.min_severity).label.lower()}")

    @admin.display(description=_("Where"))
    def where_(self, row: AlertRoute) -> SafeString:
        return cells.two_lines(*places_of(row))

    @admin.display(description=_("State"), ordering="is_failing")
    def state_(self, row: AlertRoute) -> SafeString:
        return route_badge(row)

    @admin.display(description=_("Last sent"), ordering="last_sent_at")
    def sent_(self, row: AlertRoute) -> SafeString:
        return cells.when(row.last_sent_at)

    def save_model(self, request: HttpRequest, obj: AlertRoute, form: ModelForm[AlertRoute], change: bool) -> None:
        url, cleaned = form.cleaned_data.get("address"), form.cleaned_data
        secret = save_route(
            obj,
            actor_of(request),
            url=SecretStr(url) if url else None,
            workspaces=list(cleaned.get("workspaces") or ()),
            projects=list(cleaned.get("projects") or ()),
        )
        request.made_secret = secret  # type: ignore[attr-defined]  # for the one answer that shows it

    def response_add(self, request: HttpRequest, obj: AlertRoute, post_url_continue: str | None = None) -> HttpResponse:
        return self._with_secret(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: AlertRoute) -> HttpResponse:
        return self._with_secret(request, obj) or super().response_change(request, obj)

    def _with_secret(self, request: HttpRequest, obj: AlertRoute) -> HttpResponse | None:
        """The page with the secret that was just made; None when there is none."""
        secret: SecretStr | None = getattr(request, "made_secret", None)
        if secret is None:
            return None
        messages.success(request, _("%(name)s was saved.") % {"name": obj})
        return secret_page(self, request, obj, secret)

    def effects_of_deleting(self, row: AlertRoute) -> Sentences:
        return [
            _("Nobody is told through this route any more. What was sent on it is forgotten, and so is its secret.")
        ]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Its messages go with it; they are no news."""
        return [str(row) for row in objs], {AlertRoute._meta.verbose_name_plural: len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: AlertRoute) -> None:
        delete_route(obj, actor_of(request))


def severity_badge(row: Incident) -> SafeString:
    """How grave it is, in the list's colours."""
    severity = Severity(row.severity)
    return cells.badge(severity.label, SEVERITY_TONES[severity])


def target_of(row: AlertRoute) -> str:
    """Where the route leads, without what is secret about it."""
    if row.channel == AlertRoute.Channel.WEBHOOK:
        return f"Webhook at {row.url_host}"
    shown = ", ".join(row.emails[:2])
    return f"{shown} and {len(row.emails) - 2} more" if len(row.emails) > 2 else shown


def places_of(row: AlertRoute) -> tuple[str, str]:
    """Which workspaces and projects, and which environments, in words."""
    names = [str(place) for places in (row.workspaces.all(), row.projects.all()) for place in places]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    nothing = "Its places are gone" if row.is_local else "Everywhere"
    return shown or nothing, ", ".join(row.environments)


def route_badge(row: AlertRoute) -> SafeString:
    """Whether messages get through, with the last error on hover."""
    if not row.is_enabled:
        return cells.badge(_("Off"), "neutral", title=row.last_error)
    if row.is_failing:
        return cells.badge(_("Failing"), "danger", title=row.last_error)
    if row.failures:
        return cells.badge(_("Trying again"), "warning", title=row.last_error)
    return cells.badge(_("Working"), "success") if row.last_sent_at else cells.badge(_("Nothing sent yet"), "neutral")


def incident_overview(row: Incident, request: HttpRequest) -> dict[str, Any]:
    """What an incident's page shows, in a fixed number of queries."""
    rows = AlertDelivery.objects.visible_to(request.user).filter(incident=row)
    sent = rows.select_related("route", "digest").defer("route__url", "route__secret", "route__old_secret")
    return {
        "incident": row,
        "kind": Incident.Kind(row.kind),
        "severity_badge": severity_badge(row),
        "advice": advice_of(row),
        "way": way_of(row),
        "deliveries": [_line(delivery) for delivery in sent.order_by("created_at", "pk")],
        "sees_every_route": may_everywhere(request.user, "view_alertroute"),
    }


def route_overview(row: AlertRoute, request: HttpRequest) -> dict[str, Any]:
    """What stands above a route's form, in a fixed number of queries."""
    # A route that was for everything once has told of what its people today may not see.
    told = Q(incident=None) | Q(incident__in=Incident.objects.visible_to(request.user).order_by().values("pk"))
    rows = AlertDelivery.objects.visible_to(request.user).filter(told, route=row).select_related("incident")
    return {
        "alert_route": row,
        "route_badge": route_badge(row),
        "target": target_of(row),
        "is_webhook": row.channel == AlertRoute.Channel.WEBHOOK,
        "max_deliveries": MAX_DELIVERIES,
        "deliveries": [
            _line(delivery) for delivery in rows.exclude(state=AlertDelivery.State.DIGESTED)[:MAX_DELIVERIES]
        ],
    }


def _line(row: AlertDelivery) -> dict[str, Any]:
    state = AlertDelivery.State(row.state)
    if state == AlertDelivery.State.DIGESTED and row.digest is not None:
        sent_at, error = row.digest.sent_at, row.digest.error
    else:
        sent_at, error = row.sent_at, row.error
    badge = cells.badge(state.label, DELIVERY_TONES[state], title=error)
    what = (
        row.incident.title if row.incident else _("Test") if row.phase == AlertDelivery.Phase.TEST else _("A summary")
    )
    return {"row": row, "badge": badge, "sent_at": sent_at, "error": error, "what": what}

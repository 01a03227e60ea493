"""Connectors: the list over all apps, and the form that edits one declaration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.views import ChangeList

from connectors.admin import cells
from connectors.admin.base import KeysFirst, OverviewMixin, actor_of
from connectors.admin.bulk import BulkAdmin
from connectors.admin.filters import (
    AgreementFilter,
    AttentionFilter,
    StatusFilter,
    TokenFilter,
    VisibleAutocompleteFilter,
)
from connectors.admin.forms import ConnectorForm
from connectors.admin.pages.frame import DELETE_TOKEN
from connectors.admin.pages.scopes import chips
from connectors.admin.token import SECRETS, condition_badge, granted_in_words
from connectors.admin.widgets import catalogue_of
from connectors.flows.compare import rules_of
from connectors.flows.declare import declare, undeclare
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import Connector, IntegrationType, Token
from connectors.models.connector import ConnectorQuerySet
from connectors.models.visibility import may

if TYPE_CHECKING:
    from connectors.admin.base import Sentences

VIEW_TOKEN = "connectors.view_token"  # noqa: S105 - the name of a permission


class JudgedList(ChangeList):  # type: ignore[misc]
    """Connectors with the gravest sensitivity of their scopes, for which the team's words are read once."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list, facts = list(self.result_list), ScopeFacts()
        for row in self.result_list:
            row.level = facts.highest(row.integration_type_id, [*row.scopes, *(row.registered_scopes or [])])


@admin.register(Connector)
class ConnectorAdmin(OverviewMixin, BulkAdmin):
    form = ConnectorForm
    paginator = KeysFirst
    list_display = ["head", "project_", "sync_", "status_", "sensitivity_", "account_", "seen_"]
    list_display_links = ["head"]
    list_select_related = ["project__workspace", "integration_type"]
    list_filter = [
        AgreementFilter,
        AttentionFilter,
        ("sync_state", ChoicesDropdownFilter),
        StatusFilter,
        TokenFilter,
        ("project__environment", ChoicesDropdownFilter),
        ("project__workspace", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
        ("integration_type", VisibleAutocompleteFilter),
    ]
    search_fields = ["project__name", "project__slug", "integration_type__slug", "integration_type__display_name"]
    search_help_text = _("Search by project or type")
    autocomplete_fields = ["project", "integration_type"]
    choices_need = {"project": "add_connector"}
    change_form_outer_before_template = "connectors/connector/overview.html"
    change_form_outer_after_template = "connectors/connector/source.html"
    fieldsets = [
        (None, {"fields": ["project", "integration_type"]}),
        (_("What the portal asks for"), {"fields": ["scopes", "connection_config", "version"]}),
    ]
    empty_icon = "cable"
    empty_title = _("No connectors yet")
    empty_text = _("Import a project's connector files, sync a project with Base44, or add a connector by hand.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connector]:
        return super().get_queryset(request).defer("source", "project__notes", "integration_type__description")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Connector], search_term: str
    ) -> tuple[QuerySet[Connector], bool]:
        """By `matching`; `search_fields` only tells Django that there is a search."""
        assert isinstance(queryset, ConnectorQuerySet)  # noqa: S101 - the manager's
        return queryset.matching(search_term), False

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["project_id", "integration_type_id"]  # an index has this order: nothing is sorted, however many rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JudgedList

    def get_urls(self) -> list[URLPattern]:
        offers = self.admin_site.admin_view(self.catalogue_view)
        return [path("catalogue/", offers, name="connectors_connector_catalogue"), *super().get_urls()]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["project", "integration_type"] if obj else []

    def overview_of(self, request: HttpRequest, row: Connector | None) -> dict[str, Any]:
        return overview(row, request) if row is not None else {}

    @admin.display(description=_("Connector"), ordering="integration_type_id")
    def head(self, row: Connector) -> SafeString:
        kind = row.integration_type
        count = len(row.scopes if row.is_declared else row.registered_scopes or [])
        scopes = f"{count} scope{'' if count == 1 else 's'}"
        return cells.two_lines(kind.display_name, scopes, avatar=cells.initials(kind.display_name))

    @admin.display(description=_("Project"), ordering="project_id")
    def project_(self, row: Connector) -> SafeString:
        project = row.project
        return cells.two_lines(project.name, f"{project.workspace.name} · {project.get_environment_display()}")

    @admin.display(description=_("Sync"), ordering="sync_state")
    def sync_(self, row: Connector) -> SafeString:
        if row.consent and row.sync_state != Connector.SyncState.IN_SYNC:
            consent = Connector.Consent(row.consent)
            return cells.badge(f"Consent: {consent.label.lower()}", cells.CONSENT_TONES[consent], title=row.sync_note)
        state = Connector.SyncState(row.sync_state)
        return cells.badge(state.label, cells.SYNC_TONES[state], title=row.sync_note)

    @admin.display(description=_("At Base44"), ordering="registered_status")
    def status_(self, row: Connector) -> SafeString:
        if row.registered_at is None:
            return cells.NOTHING
        status = row.registered_status
        if not status:
            return cells.badge(_("Not listed"), "neutral")
        return cells.badge(status.capitalize(), cells.STATUS_TONES.get(status, "warning"))

    @admin.display(description=_("Sensitivity"))
    def sensitivity_(self, row: Any) -> SafeString:
        return cells.pip(row.level.name.lower()) if row.level is not None else cells.NOTHING

    @admin.display(description=_("Account"), ordering="registered_account")
    def account_(self, row: Connector) -> Any:
        return row.registered_account or cells.NOTHING

    @admin.display(description=_("Last seen"), ordering="registered_at")
    def seen_(self, row: Connector) -> SafeString:
        return cells.when(row.registered_at)

    def catalogue_view(self, request: HttpRequest) -> JsonResponse:
        """The scopes of `?type=`, for the picker on the add form."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        known = IntegrationType.objects.visible_to(request.user).filter(pk=request.GET.get("type", "")).first()
        return JsonResponse({"catalogue": catalogue_of(known.slug) if known else []})

    def save_model(self, request: HttpRequest, obj: Connector, form: ModelForm[Connector], change: bool) -> None:
        data = form.cleaned_data
        saved = declare(
            obj.project, obj.integration_type_id, data["scopes"], data["connection_config"], actor_of(request)
        )
        obj.pk = saved.pk
        obj.refresh_from_db()
        unknown = ScopeFacts().unknown(obj.integration_type_id, obj.scopes)
        if unknown:
            text = _("Not in the catalogue, saved as typed: %(scopes)s. Check the spelling.")
            messages.warning(request, text % {"scopes": ", ".join(unknown)})
        for warning in getattr(form, "warnings", ()):
            messages.warning(request, warning)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """What only Base44 has cannot be deleted here: a plan removes it there."""
        if isinstance(obj, Connector) and not obj.is_declared:
            return False
        return bool(super().has_delete_permission(request, obj))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Counts what goes with a connector: Django would stop at its token, which only flows delete."""
        tokens = Token.objects.filter(connector__in=objs).count()
        name = Token._meta.verbose_name_plural
        counts = {Connector._meta.verbose_name_plural: len(objs)} | ({name: tokens} if tokens else {})
        allowed = all(may(request.user, DELETE_TOKEN, row) for row in objs)
        lacking = {name} if tokens and not allowed else set()
        return [str(row) for row in objs], counts, lacking, []

    def effects_of_deleting(self, row: Connector) -> Sentences:
        effects: Sentences = [_("The portal no longer asks for it, and the next export leaves its file out.")]
        if row.registered_scopes is None:
            if Token.objects.filter(connector=row).alive().exists():
                effects.append(_("The portal forgets its token, which stays valid at the provider: revoke it first."))
            return [*effects, _("Base44 does not list it, so nothing has to be done there.")]
        text = _("Base44 still has it, and keeps it until you apply a plan that says “remove”.")
        return [*effects, text, _("Until then it stays in the list as “Only at Base44”.")]

    def delete_model(self, request: HttpRequest, obj: Connector) -> None:
        undeclare(obj, actor_of(request))

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        row = self.get_queryset(request).filter(pk=obj_id).select_related("integration_type", "project").first()
        if row is None:
            response: HttpResponse = super().response_delete(request, obj_display, obj_id)
            return response
        text = _("%(type)s is no longer asked for. Base44 still has it: apply this plan to remove it there.")
        messages.warning(request, text % {"type": row.integration_type})
        return HttpResponseRedirect(reverse("admin:connectors_project_plan", args=[row.project_id]))


def overview(row: Connector, request: HttpRequest) -> dict[str, Any]:
    """What the connector's page shows above the form: both sides, how they compare, and the file."""
    state = Connector.SyncState(row.sync_state)
    registered = row.registered_scopes or []
    difference = rules_of(row.project.workspace).compare(row.integration_type_id, row.scopes, registered)
    kept = [scope for scope in row.scopes if scope not in difference.added]
    seen = row.registered_scopes is not None
    return {
        "connector": row,
        "sync_badge": cells.badge(state.label, cells.SYNC_TONES[state]),
        "status_badge": cells.badge(
            row.registered_status.capitalize(), cells.STATUS_TONES.get(row.registered_status, "warning")
        )
        if row.registered_status
        else "",
        "scope_chips": chips(
            ScopeFacts(),
            row.integration_type_id,
            added=difference.added if seen else (),
            removed=difference.removed if seen else (),
            kept=kept if seen else row.scopes,
        ),
        "explained": difference.explained if seen else (),
        "has_differences": seen and row.is_declared and bool(difference),
        **token_panel(row, may_see=may(request.user, VIEW_TOKEN, row)),
    }


def token_panel(row: Connector, *, may_see: bool) -> dict[str, Any]:
    """The token that the portal holds for the connector, as its page shows it to those who may see tokens there."""
    if not may_see:
        return {"token": None, "may_see_token": False}
    token = Token.objects.filter(connector=row).select_related("oauth_client").defer(*SECRETS).first()
    if token is None:
        return {"token": None, "may_see_token": True}
    badge = condition_badge(token, timezone.now())
    return {"token": token, "may_see_token": True, "token_badge": badge, "token_granted": granted_in_words(token)}

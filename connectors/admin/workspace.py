"""Workspaces: address, plan and credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.forms import WorkspaceForm
from connectors.admin.pages.frame import ADD_PROJECT
from connectors.flows.access_words import may_see_people
from connectors.flows.catalogue import fill_empty_catalogue
from connectors.flows.credentials import clear_credential, set_token
from connectors.flows.events import changes, record_event
from connectors.flows.forget import forget_workspace
from connectors.models import OAuthClient, Project, Workspace
from connectors.models.grants import grants_of
from connectors.models.visibility import may, may_everywhere
from connectors.models.workspace import WorkspaceQuerySet

FIELDS = ["name", "base44_id", "api_url", "plan", "allowed_account_domains"]

if TYPE_CHECKING:
    from connectors.admin.base import Sentences


@admin.register(Workspace)
class WorkspaceAdmin(OverviewMixin, PortalAdmin):
    form = WorkspaceForm
    list_display = ["head", "credential_badge", "projects_", "plan_", "api_url_"]
    list_display_links = ["head"]
    list_filter = [("credential_state", ChoicesDropdownFilter), ("plan", ChoicesDropdownFilter)]
    search_fields = ["name", "base44_id"]
    search_help_text = _("Search by name or Base44 id")
    ordering = ["name"]
    readonly_fields = ["credential_summary", "credential_badge"]
    change_form_outer_before_template = "connectors/workspace/overview.html"
    fieldsets = [
        (None, {"fields": ["name", "base44_id", "plan", "api_url", "version"]}),
        (_("Who can authorise connectors"), {"fields": ["allowed_account_domains"]}),
        (_("Credential"), {"fields": ["credential_summary", "token", "forget_credential"]}),
    ]
    empty_icon = "domain"
    empty_title = _("No workspace yet")
    empty_text = _("A workspace holds the credential with which the portal talks to Base44 about all its apps.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        """With what the columns need: of a workspace that somebody does not know, its name and state alone."""
        rows: WorkspaceQuerySet = super().get_queryset(request)  # type: ignore[assignment]
        known = Workspace.objects.known_to(request.user).order_by().values("pk")
        return rows.with_project_counts(request.user).annotate(is_known=Exists(known.filter(pk=OuterRef("pk"))))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By what is shown: the id of a workspace that is not known finds nothing."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if knows_all(request) or not search_term.strip():
            return found, may_repeat
        named = [Q(name__icontains=word) for word in search_term.replace("\0", "").split()]
        return found.filter(Q(*named) | Q(pk__in=Workspace.objects.known_to(request.user).values("pk"))), may_repeat

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """No address finds out by what it filters what the list does not show."""
        is_shown = lookup.partition("__")[0] in ("id", "pk", "name", "credential_state")
        return (is_shown or (request is not None and knows_all(request))) and super().lookup_allowed(
            lookup, value, request
        )

    def get_list_filter(self, request: HttpRequest) -> Any:
        """The plan is told of workspaces that one knows."""
        return self.list_filter if knows_all(request) else self.list_filter[:1]

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """By what every row shows."""
        return super().get_sortable_by(request) if knows_all(request) else ["head", "projects_"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A workspace belongs to nothing above it: adding one takes the permission for the whole portal."""
        return may_everywhere(request.user, "connectors.add_workspace")

    def overview_of(self, request: HttpRequest, row: Workspace | None) -> dict[str, Any]:
        return {
            "may_discover": row is not None and may(request.user, ADD_PROJECT, row),
            "may_see_people": row is not None and may_see_people(request.user, row),
            "is_known": row is not None and row.is_known_to(request.user),
        }

    def get_fieldsets(self, request: HttpRequest, obj: Workspace | None = None) -> Any:
        if obj is not None:
            return (
                self.fieldsets if obj.is_known_to(request.user) else [(None, {"fields": ["name", "credential_badge"]})]
            )
        return [*self.fieldsets[:2], (_("Credential"), {"fields": ["token"]})]

    @admin.display(description=_("Workspace"), ordering="name")
    def head(self, row: Any) -> SafeString:
        return cells.two_lines(row.name, row.base44_id if row.is_known else "", avatar=cells.initials(row.name))

    @admin.display(description=_("Credential"), ordering="credential_state")
    def credential_badge(self, row: Any) -> SafeString:
        state = Workspace.CredentialState(row.credential_state)
        account = row.credential_account if row.is_known else ""
        return cells.badge(state.label, cells.CREDENTIAL_TONES[state], title=account)

    @admin.display(description=_("Projects"), ordering="project_count")
    def projects_(self, row: Any) -> SafeString:
        link = f"{reverse('admin:connectors_project_changelist')}?workspace__id__exact={row.pk}"
        failing = cells.badge(f"{row.failing_count} failing", "danger") if row.failing_count else ""
        return format_html('<a href="{}">{}</a> {}', link, row.project_count, failing)

    @admin.display(description=_("Plan"), ordering="plan")
    def plan_(self, row: Any) -> Any:
        return row.get_plan_display() if row.is_known else cells.NOTHING

    @admin.display(description=_("API URL"), ordering="api_url")
    def api_url_(self, row: Any) -> Any:
        return row.api_url if row.is_known else cells.NOTHING

    @admin.display(description=_("Status"))
    def credential_summary(self, row: Workspace) -> SafeString:
        parts = [self.credential_badge(row)]
        if row.credential_account:
            parts.append(format_html("{}", row.credential_account))
        if row.credential_set_at:
            parts.append(format_html("set {}", cells.when(row.credential_set_at)))
        if row.credential_checked_at:
            parts.append(format_html("checked {}", cells.when(row.credential_checked_at)))
        return format_html(" · ".join("{}" for _ in parts), *parts)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Workspace, form: ModelForm[Workspace], change: bool) -> None:
        actor = actor_of(request)
        if change:
            before = Workspace.objects.values(*FIELDS).get(pk=obj.pk)
            obj.save(update_fields=FIELDS)
            old, new = changes(before, {name: getattr(obj, name) for name in FIELDS})
            if new:
                record_event(actor, "workspace.changed", obj, before=old, after=new)
        else:
            obj.save()
            fill_empty_catalogue(actor)
            record_event(actor, "workspace.added", obj, after={name: getattr(obj, name) for name in FIELDS})
        if form.cleaned_data.get("forget_credential"):
            clear_credential(obj, actor)
        elif token := form.cleaned_data.get("token"):
            set_token(obj, token, actor)
            messages.info(request, _("The token is stored. Verify it to see whether Base44 accepts it."))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """What belongs to the workspace stands in the way. Of that, only what this person may see is named."""
        held: list[str] = []
        for rows in (Project.objects.filter(workspace__in=objs), OAuthClient.objects.filter(workspace__in=objs)):
            seen = list(rows.visible_to(request.user).only("name"))
            held += [f"{rows.model._meta.verbose_name}: {row}" for row in seen]
            if rows.exclude(pk__in=[row.pk for row in seen]).exists():
                held.append(str(_("%(nouns)s that you can't see") % {"nouns": rows.model._meta.verbose_name_plural}))
        counts = {Workspace._meta.verbose_name_plural: len(objs)}
        return [str(workspace) for workspace in objs], counts, set(), held

    def effects_of_deleting(self, row: Workspace) -> Sentences:
        return [_("The portal forgets the workspace and its credential. At Base44 nothing changes.")]

    def delete_model(self, request: HttpRequest, obj: Workspace) -> None:
        forget_workspace(obj, actor_of(request))


def knows_all(request: HttpRequest) -> bool:
    """Whether somebody knows all of every workspace that they see: no role of theirs is at a project alone."""
    reach = grants_of(request.user).reach("view_workspace")
    return reach.everywhere or not reach.projects

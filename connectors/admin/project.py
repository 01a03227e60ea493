"""Projects: the list, the form, and the page where one sees connectors, plan, runs and files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, F, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.bulk import BulkAdmin
from connectors.admin.filters import AgreementFilter, SyncFailedFilter, VisibleAutocompleteFilter
from connectors.admin.forms import ProjectForm
from connectors.admin.pages.frame import ADD_PROJECT, CHANGE_PROJECT, DELETE_TOKEN, require, route, visible
from connectors.admin.repository_overview import in_git
from connectors.admin.token import SECRETS
from connectors.flows import ledger
from connectors.flows.access_words import may_see_people
from connectors.flows.approval_rules import refuse_forgetting
from connectors.flows.events import changes, record_event
from connectors.flows.forget import forget_project
from connectors.flows.plan import stored_plan
from connectors.models import Connector, Project, SyncRun, Token
from connectors.models.visibility import may, may_in_a_workspace
from connectors.tasks import start_sync

RECENT_RUNS = 6
VIEW_TOKEN = "connectors.view_token"  # noqa: S105 - the name of a permission
FIELDS = ["workspace_id", "name", "slug", "app_id", "environment", "tags", "owner_id", "connectors_dir", "notes"]
JUDGED_BY = {"environment", "tags"}
"""What policies look at: when one of these changes, all that the ledger says of the project is made anew."""

if TYPE_CHECKING:
    from connectors.admin.base import Sentences


def counted(**conditions: Any) -> Coalesce:
    """How many connectors of the project meet the conditions: a subquery per row of the page, not a join over all."""
    rows = Connector.objects.filter(project=OuterRef("pk"), **conditions).order_by().values("project")
    return Coalesce(Subquery(rows.annotate(n=Count("pk")).values("n"), output_field=IntegerField()), 0)


@admin.register(Project)
class ProjectAdmin(OverviewMixin, BulkAdmin):
    form = ProjectForm
    list_display = ["head", "workspace_", "environment_", "sync_", "connectors_", "synced_"]
    list_display_links = ["head"]
    list_select_related = ["workspace"]
    list_filter = [
        AgreementFilter,
        SyncFailedFilter,
        ("environment", ChoicesDropdownFilter),
        ("workspace", VisibleAutocompleteFilter),
    ]
    search_fields = ["name", "slug", "app_id"]
    search_help_text = _("Search by name, slug or app id")
    autocomplete_fields = ["workspace"]
    choices_need = {"workspace": "add_project"}
    prepopulated_fields = {"slug": ["name"]}
    change_form_outer_before_template = "connectors/project/overview.html"
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "name",
                    "slug",
                    "workspace",
                    "app_id",
                    "environment",
                    "tags",
                    "owner",
                    "connectors_dir",
                    "notes",
                    "version",
                ]
            },
        ),
    ]
    empty_icon = "deployed_code"
    empty_title = _("No projects yet")
    empty_text = _(
        "A project is one Base44 app. Discover a workspace's apps on the workspace's page, or add one by hand."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        # Django leaves annotations out of the page's COUNT, so these are computed for the rows of the page alone.
        rows: QuerySet[Project] = super().get_queryset(request)
        return rows.annotate(
            connector_count=counted(is_declared=True),
            drift_count=counted(sync_state__in=Connector.DRIFT_STATES),
            unknown_count=counted(sync_state=Connector.SyncState.UNKNOWN),
        )

    def get_urls(self) -> list[URLPattern]:
        return [route(self, "<int:object_id>/sync/", sync_page, "sync"), *super().get_urls()]

    def overview_of(self, request: HttpRequest, row: Project | None) -> dict[str, Any]:
        return overview(row, request) if row is not None else {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A project belongs to a workspace: whoever has the permission at projects alone has nowhere to add one."""
        return may_in_a_workspace(request.user, ADD_PROJECT)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """A form that knows who fills it in: not everybody may take a project away from its approval rules."""
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"person": request.user})

    @admin.display(description=_("Project"), ordering="name")
    def head(self, row: Project) -> SafeString:
        return cells.two_lines(row.name, row.slug, avatar=cells.initials(row.name))

    @admin.display(description=_("Workspace"), ordering="workspace__name")
    def workspace_(self, row: Project) -> str:
        return row.workspace.name

    @admin.display(description=_("Environment"), ordering="environment")
    def environment_(self, row: Project) -> SafeString:
        return cells.badge(row.get_environment_display(), cells.ENVIRONMENT_TONES[row.environment])

    @admin.display(description=_("Sync"))
    def sync_(self, row: Any) -> SafeString:
        return sync_badge(row, row.drift_count, row.unknown_count)

    @admin.display(description=_("Connectors"))
    def connectors_(self, row: Any) -> int:
        return int(row.connector_count)

    @admin.display(description=_("Last sync"), ordering=F("synced_at").desc(nulls_last=True))
    def synced_(self, row: Project) -> SafeString:
        return cells.when(row.synced_at)

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Project, form: ModelForm[Project], change: bool) -> None:
        actor = actor_of(request)
        if not change:
            obj.save()
            record_event(actor, "project.added", obj, after={name: getattr(obj, name) for name in FIELDS})
            return
        before = Project.objects.values(*FIELDS).get(pk=obj.pk)
        obj.save(update_fields=FIELDS)
        old, new = changes(before, {name: getattr(obj, name) for name in FIELDS})
        if new:
            record_event(actor, "project.changed", obj, before=old, after=new)
        if JUDGED_BY & new.keys():
            ledger.note(obj.connectors.values_list("pk", flat=True), actor, "project.changed")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Counts what goes with a project, instead of loading it all and stopping at its protected connectors."""
        connectors = Connector.objects.filter(project__in=objs)
        counts = {
            Project._meta.verbose_name_plural: len(objs),
            Connector._meta.verbose_name_plural: connectors.count(),
            SyncRun._meta.verbose_name_plural: SyncRun.objects.filter(project__in=objs).count(),
        }
        allowed = _may_with_all(request, "connectors.delete_connector", objs) or not connectors.declared().exists()
        lacking = set() if allowed else {Connector._meta.verbose_name_plural}
        tokens = Token.objects.filter(connector__project__in=objs).count()
        if tokens:
            counts[Token._meta.verbose_name_plural] = tokens
            allowed = _may_with_all(request, DELETE_TOKEN, objs)
            lacking |= set() if allowed else {Token._meta.verbose_name_plural}
        return [str(project) for project in objs], counts, lacking, []

    def effects_of_deleting(self, row: Project) -> Sentences:
        tokens = Token.objects.filter(connector__project=row).alive().count()
        held = [_("Its %(count)d token(s) stay valid at their providers: revoke them first.") % {"count": tokens}]
        return [
            *(held if tokens else ()),
            _("The portal forgets the project, what it declares for its connectors, and its runs."),
            _("At Base44 nothing changes: the app keeps its connectors and what they may do."),
            _("Export its files first if they are not in a repository."),
        ]

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        refuse_forgetting(obj, request.user)
        forget_project(obj, actor_of(request))


def _may_with_all(request: HttpRequest, permission: str, projects: Iterable[Project]) -> bool:
    return all(may(request.user, permission, project) for project in projects)


def sync_badge(project: Project, drift_count: int, unknown_count: int) -> SafeString:
    """One word on a whole project. Nothing is called in sync that was not compared."""
    if project.sync_error:
        return cells.badge(_("Sync failed"), "danger", title=project.sync_error)
    if project.synced_at is None:
        return cells.badge(_("Not compared yet"), "neutral")
    if drift_count:
        return cells.badge(_("%(count)d differ") % {"count": drift_count}, "warning")
    if unknown_count:
        return cells.badge(_("%(count)d not compared yet") % {"count": unknown_count}, "neutral")
    return cells.badge(_("In sync"), "success")


def overview(project: Project, request: HttpRequest) -> dict[str, Any]:
    """What the project's page shows above the form, in a fixed number of queries."""
    user = request.user
    tokens = [f"token__{name}" for name in SECRETS]
    found = project.connectors.select_related("integration_type", "token__oauth_client")
    rows, now = list(found.defer("source", "integration_type__description", *tokens)), timezone.now()
    drift = sum(row.sync_state in Connector.DRIFT_STATES for row in rows)
    unknown = sum(row.sync_state == Connector.SyncState.UNKNOWN for row in rows)
    for row in rows:
        row.project = project
    return {
        "project": project,
        "sync_badge": sync_badge(project, drift, unknown),
        "connector_rows": [_connector_row(row) for row in rows],
        "plan": stored_plan(project, rows),
        "runs": [
            {
                "run": run,
                "badge": cells.badge(run.get_state_display(), cells.RUN_TONES[SyncRun.State(run.state)]),
                "took": cells.duration(run.duration),
            }
            for run in project.runs.defer("plan")[:RECENT_RUNS]
        ],
        "files": [row for row in rows if row.source_path],
        "in_git": in_git(project),
        "consents_waiting": sum(bool(row.consent) for row in rows),
        "tokens_waiting": sum(_token_waits(row, now) for row in rows) if may(user, VIEW_TOKEN, project) else 0,
        "may_add_connector": may(user, "connectors.add_connector", project),
        "may_see_people": may_see_people(user, project),
    }


def _token_waits(row: Connector, now: dt.datetime) -> bool:
    token: Token | None = getattr(row, "token", None)
    return token is not None and token.condition(now) in Token.NEED_ATTENTION


def _connector_row(row: Connector) -> dict[str, Any]:
    state = Connector.SyncState(row.sync_state)
    return {
        "connector": row,
        "initials": cells.initials(row.integration_type.display_name),
        "badge": cells.badge(state.label, cells.SYNC_TONES[state]),
        "status": row.registered_status,
        "count": len(row.scopes if row.is_declared else row.registered_scopes or []),
    }


def sync_page(model_admin: PortalAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """POST: queues a sync of one project."""
    project = visible(model_admin, request, Project.objects.all(), object_id)
    require(request, CHANGE_PROJECT, project)
    if request.method == "POST":
        if start_sync([project], actor_of(request)):
            messages.success(request, _("A sync is queued. This page shows the result when you reload it."))
        else:
            messages.info(request, _("A sync of this project is under way already."))
    return HttpResponseRedirect(reverse("admin:connectors_project_change", args=[project.pk]))

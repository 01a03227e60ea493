"""Repositories: the list, the form, and the places of projects in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, F, IntegerField, Model, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.forms import BaseModelFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from pydantic import SecretStr
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from connectors.admin import cells
from connectors.admin.base import OffersVisible, OverviewMixin, PortalAdmin, actor_of
from connectors.admin.pages.frame import CHANGE_REPOSITORY
from connectors.admin.repository_form import PlacementForm, RepositoryForm
from connectors.admin.repository_overview import overview_of
from connectors.core.errors import PortalError
from connectors.core.git import fingerprint
from connectors.flows.placements import save_placements
from connectors.flows.repositories import delete_repository, save_repository
from connectors.flows.repository_words import is_ssh, place_of
from connectors.flows.try_repository import main_branch
from connectors.models import Placement, Repository, Workspace
from connectors.models.visibility import may, may_everywhere, may_in_a_workspace
from connectors.tasks import start_repository_read

if TYPE_CHECKING:
    from connectors.admin.base import Sentences

CHANGE = CHANGE_REPOSITORY.partition(".")[2]


def _over_places(function: Any, places: QuerySet[Placement]) -> Coalesce:
    """One figure over a repository's places: a subquery per row of the page, not a join over all."""
    rows = places.filter(repository=OuterRef("pk")).order_by().values("repository")
    return Coalesce(Subquery(rows.annotate(n=function).values("n"), output_field=IntegerField()), 0)


class _PlacementInline(OffersVisible, TabularInline):  # type: ignore[misc]
    """What both tables of places share: whoever may change the repository may change what of theirs lies in it.

    Projects where they may not are in the overview above, as far as they may be seen.
    """

    model = Placement
    form = PlacementForm
    extra = 0
    hide_title = True
    choices_need = {"project": CHANGE}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        rows = Placement.objects.permitted(request.user, CHANGE)
        return rows.select_related("project").defer("project__notes")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return may(request.user, CHANGE_REPOSITORY, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_change_permission(request, obj)


class PlacementsInline(_PlacementInline):
    """The places that there are. Their projects stay what they are: 200 selects would be 200 queries."""

    fields = ["project_", "path", "auto_import", "writes_lock_file"]
    readonly_fields = ["project_"]
    verbose_name_plural = _("projects in it")
    per_page = 100

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    @admin.display(description=_("Project"))
    def project_(self, row: Placement) -> SafeString:
        href = reverse("admin:connectors_project_change", args=[row.project_id])
        return format_html('<a class="pc-link" href="{}">{}</a>', href, row.project.name)


class NewPlacementsInline(_PlacementInline):
    """Projects that get a place."""

    fields = ["project", "path", "auto_import", "writes_lock_file"]
    autocomplete_fields = ["project"]
    verbose_name = _("project")
    verbose_name_plural = _("put projects into it")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Placement]:
        return super().get_queryset(request).none()


@admin.register(Repository)
class RepositoryAdmin(OverviewMixin, PortalAdmin):
    form = RepositoryForm
    list_display = ["repository_", "branch_", "projects_", "state_", "waiting_", "read_"]
    list_display_links = ["repository_"]
    list_filter = [("state", ChoicesDropdownFilter), ("host", ChoicesDropdownFilter), ("mode", ChoicesDropdownFilter)]
    search_fields = ["name", "url"]
    search_help_text = _("Search by name or URL")
    ordering = ["name"]
    autocomplete_fields = ["workspace"]
    choices_need = {"workspace": "add_repository"}
    change_form_outer_before_template = "connectors/repository/overview.html"
    empty_icon = "source"
    empty_title = _("No repository yet")
    empty_text = _(
        "With a repository the portal reads connector files from git by itself, and writes its changes there as "
        "commits or pull requests."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Repository]:
        rows: QuerySet[Repository] = super().get_queryset(request)
        places = Placement.objects.visible_to(request.user)
        return rows.annotate(
            project_count=_over_places(Count("pk"), places),
            incoming_count=_over_places(Sum("incoming"), places),
            outgoing_count=_over_places(Sum("outgoing"), places),
            conflict_count=_over_places(Sum("conflicts"), places),
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """One that is added is somebody's workspace's, or everybody's: a role at one project is not enough."""
        return may_in_a_workspace(request.user, "add_repository")

    def get_form(self, request: HttpRequest, obj: Repository | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Whoever may not manage all repositories must say whose this one is."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.must_name_workspace = not may_everywhere(request.user, "add_repository")
        return form

    def overview_of(self, request: HttpRequest, row: Repository | None) -> dict[str, Any]:
        return overview_of(row, request)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page; what a flow refuses that the form could not know of is said, and nothing of it was saved."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except PortalError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.path)

    def get_inlines(self, request: HttpRequest, obj: Repository | None) -> list[Any]:
        return [PlacementsInline, NewPlacementsInline] if obj is not None else []

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["token_", "key_", "host_keys_", "webhook_"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: Repository | None = None) -> Any:
        may_change = obj is None or self.has_change_permission(request, obj)
        where = ["name", "url", "branch", "host", "api_url", "is_enabled"]
        if _may_know_workspace(obj, request):
            where.insert(1, "workspace")
        enter = [
            "token_",
            *(["access_token", "forget_token"] if may_change else []),
            "token_user",
            "key_",
            "host_keys_",
        ]
        writing = ["mode", "export_when", "export_hours", "on_drift", "author_name", "author_email", "message_template"]
        return [
            (_("Where"), {"fields": [*where, "version"] if obj and may_change else where}),
            (_("How to get in"), {"fields": [*enter, "known_hosts"] if obj else ["access_token", "token_user"]}),
            (_("Writing"), {"fields": writing}),
            (_("Reading"), {"fields": ["read_minutes", "webhook_"] if obj else ["read_minutes"]}),
        ]

    @admin.display(description=_("Repository"), ordering="name")
    def repository_(self, row: Repository) -> SafeString:
        return cells.two_lines(row.name, place_of(row), avatar=cells.initials(row.name))

    @admin.display(description=_("Branch"), ordering="branch")
    def branch_(self, row: Repository) -> SafeString:
        return format_html('<span class="pc-mono">{}</span>', row.branch)

    @admin.display(description=_("Projects"), ordering="project_count")
    def projects_(self, row: Any) -> Any:
        return row.project_count or cells.NOTHING

    @admin.display(description=_("State"), ordering="state")
    def state_(self, row: Repository) -> SafeString:
        return cells.repository_state(row)

    @admin.display(description=_("Waiting"), ordering="conflict_count")
    def waiting_(self, row: Any) -> SafeString:
        """How many files wait for somebody, each kind with the page where that is done."""
        return waiting(row, row.conflict_count, row.incoming_count, row.outgoing_count)

    @admin.display(description=_("Last read"), ordering=F("read_at").desc(nulls_last=True))
    def read_(self, row: Repository) -> SafeString:
        return cells.when(row.read_at)

    @admin.display(description=_("Token"))
    def token_(self, row: Repository) -> SafeString:
        if not row.token:
            return cells.badge(_("Not set"), "neutral")
        return format_html("{} {}", cells.badge(_("Set"), "success"), cells.when(row.token_set_at, never=""))

    @admin.display(description=_("Deploy key"))
    def key_(self, row: Repository) -> SafeString:
        """For ssh: whether there is one, and the page that makes it."""
        if row.deploy_key:
            state = format_html(
                '{} <span class="pc-mono">{}</span>',
                cells.badge(_("Set"), "success"),
                fingerprint(row.deploy_public_key),
            )
            return _with_link(state, "key", row, _("Show or replace it"))
        tone = "warning" if is_ssh(row) else "neutral"
        return _with_link(cells.badge(_("Not set"), tone), "key", row, _("Make a deploy key"))

    @admin.display(description=_("Host keys"))
    def host_keys_(self, row: Repository) -> SafeString:
        """For ssh: how many are known beside those that are published, and the page that looks one up."""
        count = sum(bool(line.strip()) and not line.startswith("#") for line in row.known_hosts.splitlines())
        text = _("None of its own") if not count else _("%(count)d known") % {"count": count}
        return _with_link(
            cells.badge(text, "success" if count else "neutral"), "hostkeys", row, _("Look up the host's key")
        )

    @admin.display(description=_("Webhook"))
    def webhook_(self, row: Repository) -> SafeString:
        """Whether the host tells of changes, and the page that says how to make it do so."""
        if not row.webhook_secret:
            return _with_link(cells.badge(_("Not set up"), "neutral"), "webhook", row, _("Set it up"))
        tone = "warning" if row.webhook_note or not row.webhook_at else "success"
        text = _("Nothing has come yet") if not row.webhook_at else _("Set up")
        state = format_html(
            "{} {}", cells.badge(text, tone, title=row.webhook_note), cells.when(row.webhook_at, never="")
        )
        return _with_link(state, "webhook", row, _("Show it"))

    def save_model(self, request: HttpRequest, obj: Repository, form: ModelForm[Repository], change: bool) -> None:
        typed, actor = form.cleaned_data.get("access_token"), actor_of(request)
        forget = bool(form.cleaned_data.get("forget_token"))
        save_repository(obj, actor, token=SecretStr(typed) if typed else None, forget_token=forget)
        if isinstance(form, RepositoryForm) and form.finds_branch:
            # Not before: SQLite lets nobody else write for as long as the server would take its time.
            transaction.on_commit(lambda: self._take_branch(request, obj))

    def _take_branch(self, request: HttpRequest, obj: Repository) -> None:
        """The main branch as the server names it, unless this repository is in the portal with that one already."""
        branch = main_branch(obj)
        if branch == obj.branch:
            return
        taken = Repository.objects.filter(url=obj.url, branch=branch).exists()
        if branch and not taken:
            obj.branch = branch
            save_repository(obj, actor_of(request))
            messages.info(request, _("The repository's main branch is %(branch)s.") % {"branch": branch})
        elif not branch:
            messages.warning(
                request,
                _("The server could not be asked for its main branch, so it is taken to be %(branch)s.")
                % {"branch": obj.branch},
            )

    def save_formset(self, request: HttpRequest, form: Any, formset: BaseModelFormSet[Any, Any], change: bool) -> None:
        rows, actor = formset.save(commit=False), actor_of(request)
        if save_placements(form.instance, rows, actor, removed=formset.deleted_objects):
            start_repository_read(form.instance, actor, "Projects were added or moved")

    def response_add(self, request: HttpRequest, obj: Repository, post_url_continue: str | None = None) -> HttpResponse:
        """Leads on to what is to be done next: with ssh to its key, else to the test."""
        needs_key = is_ssh(obj) and not obj.deploy_key
        said = _("Make its deploy key next.") if needs_key else _("Test the connection next.")
        messages.success(request, _("%(name)s was added.") % {"name": obj} + " " + said)
        page = "key" if needs_key else "test"
        return HttpResponseRedirect(reverse(f"admin:connectors_repository_{page}", args=[obj.pk]))

    def effects_of_deleting(self, row: Repository) -> Sentences:
        return [
            _("Nothing happens in git: the files, the commits and open pull requests stay as they are."),
            _("The portal forgets the repository, its secrets, what it read there, and its runs; the record stays."),
            _("The ledger no longer shows what the files say."),
            _("At the host, remove the token, the deploy key and the webhook."),
        ]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """What goes with it is no row that anybody edits; how many projects lose their place is worth a number."""
        count = Placement.objects.visible_to(request.user).filter(repository__in=objs).count()
        counts = {Repository._meta.verbose_name_plural: len(objs)}
        if count:
            counts[Placement._meta.verbose_name_plural] = count
        return [str(row) for row in objs], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Repository) -> None:
        delete_repository(obj, actor_of(request))


def _may_know_workspace(row: Repository | None, request: HttpRequest) -> bool:
    """Whether the form may name its workspace: one of others can have a project of theirs in it."""
    if row is None or row.workspace_id is None:
        return True
    return Workspace.objects.visible_to(request.user).filter(pk=row.workspace_id).exists()


def waiting(row: Repository, conflicts: int, incoming: int, outgoing: int) -> SafeString:
    """Badges for files in conflict, to import and to export; what is none is left out."""
    found = [
        (conflicts, _("in conflict"), "warning", "export"),
        (incoming, _("to import"), "info", "import"),
        (outgoing, _("to export"), "info", "export"),
    ]
    shown = [
        format_html('<a href="{}">{}</a> ', reverse(f"admin:connectors_repository_{page}", args=[row.pk]), badge)
        for count, text, tone, page in found
        if count
        for badge in [cells.badge(f"{count} {text}", tone)]
    ]
    return format_html("{}" * len(shown), *shown) if shown else cells.NOTHING


def _with_link(state: SafeString, page: str, row: Repository, text: Any) -> SafeString:
    href = reverse(f"admin:connectors_repository_{page}", args=[row.pk])
    return format_html('{} · <a class="pc-link" href="{}">{}</a>', state, href, text)

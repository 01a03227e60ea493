"""Approvals: what somebody wants to do and another person has to agree to, and the rules that demand it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from connectors.admin import cells
from connectors.admin.approval_form import ApprovalDemandForm
from connectors.admin.base import OverviewMixin, PortalAdmin, ReadOnlyAdmin, actor_of
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.pages.plan import shown
from connectors.core.plan import Plan
from connectors.flows.approval_changes import changed_since
from connectors.flows.approval_decisions import may_withdraw, why_not_decide
from connectors.flows.approval_rules import delete_demand, save_demand
from connectors.models import Approval, ApprovalDemand
from connectors.models.approval import Subject
from connectors.models.grants import grants_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from connectors.admin.base import Sentences

State = Approval.State
TONES = {
    State.OPEN: "warning",
    State.APPROVED: "success",
    State.DECLINED: "danger",
    State.WITHDRAWN: "neutral",
    State.USED: "neutral",
    State.EXPIRED: "neutral",
}


class WaitingFilter(DropdownFilter):  # type: ignore[misc]
    """What waits for the person who looks."""

    title = _("waiting")
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("me", _("For me to decide")), ("others", _("Asked by me"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "me":
            return queryset.to_decide_by(request.user, timezone.now())
        if self.value() == "others":
            return queryset.waiting(timezone.now()).filter(asked_by=request.user.pk)
        return queryset


@admin.register(Approval)
class ApprovalAdmin(OverviewMixin, ReadOnlyAdmin):
    list_display = ["head", "state_", "project_", "asked_", "decided_", "expires_"]
    list_display_links = ["head"]
    list_select_related = ["project__workspace"]
    list_filter = [
        WaitingFilter,
        ("state", ChoicesDropdownFilter),
        ("subject", ChoicesDropdownFilter),
        ("project", VisibleAutocompleteFilter),
    ]
    search_fields = ["title", "reason", "asked_by_label", "decided_by_label"]
    search_help_text = _("Search by title, reason or person")
    ordering = ["-id"]
    change_form_outer_before_template = "connectors/approval/overview.html"
    empty_icon = "group"
    empty_title = _("No approvals")
    empty_text = _(
        "Where an approval rule demands it, a plan, the end of a token or an export needs another person. What people "
        "ask for stands here."
    )

    class Media:
        css = {"all": ["portal/pages.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        rows: QuerySet[Approval] = super().get_queryset(request)
        return rows.defer("project__notes")

    def get_fieldsets(self, request: HttpRequest, obj: Approval | None = None) -> Any:
        """None: the overview shows what was asked for as a plan, or files, and not as values of columns."""
        return [(None, {"fields": []})]

    def overview_of(self, request: HttpRequest, row: Approval | None) -> dict[str, Any]:
        return overview(row, cast("User", request.user)) if row is not None else {}

    @admin.display(description=_("What"), ordering="title")
    def head(self, row: Approval) -> SafeString:
        return cells.two_lines(row.title, f"#{row.pk} · {row.get_subject_display()}")

    @admin.display(description=_("State"), ordering="state")
    def state_(self, row: Approval) -> SafeString:
        return state_badge(row)

    @admin.display(description=_("Project"), ordering="project_id")
    def project_(self, row: Approval) -> SafeString:
        project = row.project
        return cells.two_lines(project.name, f"{project.workspace.name} · {project.get_environment_display()}")

    @admin.display(description=_("Asked"), ordering="id")
    def asked_(self, row: Approval) -> SafeString:
        return cells.two_lines(row.asked_by_label, cells.when(row.asked_at))

    @admin.display(description=_("Decided"), ordering="decided_at")
    def decided_(self, row: Approval) -> Any:
        if row.decided_at is None:
            return cells.NOTHING
        return cells.two_lines(row.decided_by_label, cells.when(row.decided_at))

    @admin.display(description=_("Ends"), ordering="expires_at")
    def expires_(self, row: Approval) -> Any:
        return cells.when(row.expires_at) if row.state in (State.OPEN, State.APPROVED) else cells.NOTHING


@admin.register(ApprovalDemand)
class ApprovalDemandAdmin(PortalAdmin):
    form = ApprovalDemandForm
    list_display = ["head", "subjects_", "created_"]
    list_display_links = ["head"]
    list_select_related = ["workspace"]
    ordering = ["id"]
    fields = ["workspace", "environment", "subjects"]
    empty_icon = "verified_user"
    empty_title = _("Everybody may act alone")
    empty_text = _("An approval rule says what needs a second person in one environment: a plan in production, say.")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """A form that offers the places where this person may say what needs approval."""
        made: Any = super().get_form(request, obj, change=change, **kwargs)
        reach = grants_of(request.user).reach(f"{'change' if obj else 'add'}_approvaldemand")
        return type(made.__name__, (made,), {"reach": reach})

    @admin.display(description=_("Where"), ordering="environment")
    def head(self, row: ApprovalDemand) -> SafeString:
        place = row.workspace.name if row.workspace else _("All workspaces")
        return cells.two_lines(row.get_environment_display(), place)

    @admin.display(description=_("Needs another person"))
    def subjects_(self, row: ApprovalDemand) -> str:
        return ", ".join(str(subject.label) for subject in Subject if subject.value in row.subjects)

    @admin.display(description=_("Added"), ordering="created_at")
    def created_(self, row: ApprovalDemand) -> SafeString:
        return cells.when(row.created_at)

    def save_model(self, request: HttpRequest, obj: ApprovalDemand, form: ModelForm[Any], change: bool) -> None:
        save_demand(obj, actor_of(request))
        messages.info(request, _("It counts from now on. What is under way already is not stopped."))

    def effects_of_deleting(self, row: ApprovalDemand) -> Sentences:
        return [
            _("One person alone can do these things again, at once."),
            _("The activity keeps who deleted the rule."),
        ]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        return [str(row) for row in objs], {ApprovalDemand._meta.verbose_name_plural: len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: ApprovalDemand) -> None:
        delete_demand(obj, actor_of(request))


def state_badge(row: Approval) -> SafeString:
    """How it stands; what is over is said to be, though nobody has noticed yet."""
    state = State(row.state)
    if state in (State.OPEN, State.APPROVED) and row.expires_at <= timezone.now():
        state = State.EXPIRED
    return cells.badge(state.label, TONES[state], title=row.decision_note)


def overview(row: Approval, user: User) -> dict[str, Any]:
    """What was asked for, as it was shown, what has changed since, and what this person may do about it."""
    now = timezone.now()
    is_alive = row.state in (State.OPEN, State.APPROVED) and row.expires_at > now
    plan = Plan.from_json(row.proposal["plan"]) if "plan" in row.proposal else None
    removals = row.proposal.get("removals", [])
    rows = shown(row.project, plan, connectors=(), runs={}).rows if plan else []
    return {
        "approval": row,
        "approval_state": state_badge(row),
        "plan": plan,
        "plan_rows": [one for one in rows if not one.action.destructive or one.action.type in removals],
        "left_out": [one.action.type for one in rows if one.action.destructive and one.action.type not in removals],
        "changed": changed_since(row) if is_alive else None,
        "is_waiting": row.state == State.OPEN and is_alive,
        "why_not_decide": why_not_decide(row, user, now),
        "may_withdraw": is_alive and may_withdraw(row, user),
    }

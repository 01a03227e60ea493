"""Policies: the team's rules in words and what breaks them, and the exceptions from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin, messages
from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.pages.policy_exception import may_withdraw
from connectors.admin.policy_form import PolicyExceptionForm, PolicyRuleForm
from connectors.core import policy_words
from connectors.flows.policy_exceptions import CHANGE_RULE, request_exception, why_not_decide
from connectors.flows.policy_rules import delete_rule, save_rule
from connectors.flows.policy_uses import rule_of
from connectors.models import PolicyException, PolicyFinding, PolicyRule
from connectors.models.visibility import may, may_everywhere
from connectors.tasks import start_policy_recheck

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from connectors.admin.base import Sentences

EFFECT_TONES = {
    PolicyRule.Effect.WARN: "warning",
    PolicyRule.Effect.APPROVAL: "warning",
    PolicyRule.Effect.BLOCK: "danger",
}
STATE_TONES = {
    PolicyException.State.REQUESTED: "warning",
    PolicyException.State.GRANTED: "success",
    PolicyException.State.DECLINED: "danger",
    PolicyException.State.WITHDRAWN: "neutral",
    PolicyException.State.ENDED: "neutral",
}
MAX_SHOWN = 20
"""Findings and exceptions on a policy's page; the ledger and the list of exceptions have all."""


@admin.register(PolicyRule)
class PolicyRuleAdmin(OverviewMixin, PortalAdmin):
    form = PolicyRuleForm
    list_display = ["head", "effect_", "state_", "findings_", "changed_"]
    list_display_links = ["head"]
    list_filter = [("effect", ChoicesDropdownFilter), ("is_enabled", ChoicesDropdownFilter)]
    search_fields = ["name", "explanation"]
    search_help_text = _("Search by name or explanation")
    ordering = ["name"]
    change_form_outer_before_template = "connectors/policy/rule.html"
    fieldsets = [
        (None, {"fields": ["name", "explanation", "effect"]}),
        (_("Which scopes"), {"fields": ["min_sensitivity", "scope_patterns", "types"]}),
        (_("Where"), {"fields": ["environments", "tags"]}),
        (_("Broken only if"), {"fields": ["account_domains", "never_with", "version"]}),
    ]
    empty_icon = "gavel"
    empty_title = _("No policies yet")
    empty_text = _(
        "A policy says which scopes must not be where: critical ones in production, say. It can warn, ask for approval "
        "or block, and you see what it would find before you switch it on."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyRule]:
        found = PolicyFinding.objects.visible_to(request.user).counting().filter(rule=OuterRef("pk"))
        counts = found.order_by().values("rule").annotate(n=Count("pk")).values("n")
        rows: QuerySet[PolicyRule] = super().get_queryset(request)
        return rows.annotate(finding_count=Coalesce(Subquery(counts, output_field=IntegerField()), 0))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A policy holds for every project, so only those add one who may do so everywhere."""
        return may_everywhere(request.user, "add_policyrule")

    def overview_of(self, request: HttpRequest, row: PolicyRule | None) -> dict[str, Any]:
        return rule_overview(row, request) if row is not None else {}

    @admin.display(description=_("Policy"), ordering="name")
    def head(self, row: PolicyRule) -> SafeString:
        return cells.two_lines(row.name, policy_words.rule(rule_of(row)))

    @admin.display(description=_("Effect"), ordering="effect")
    def effect_(self, row: PolicyRule) -> SafeString:
        return cells.badge(row.get_effect_display(), EFFECT_TONES[PolicyRule.Effect(row.effect)])

    @admin.display(description=_("State"), ordering="is_enabled")
    def state_(self, row: PolicyRule) -> SafeString:
        return enabled_badge(row)

    @admin.display(description=_("Broken by"))
    def findings_(self, row: Any) -> Any:
        if not row.is_enabled:
            return cells.NOTHING
        count = row.finding_count
        return f"{count} connector{'' if count == 1 else 's'}" if count else _("nothing")

    @admin.display(description=_("Changed"), ordering="updated_at")
    def changed_(self, row: PolicyRule) -> SafeString:
        return cells.when(row.updated_at)

    def save_model(self, request: HttpRequest, obj: PolicyRule, form: ModelForm[PolicyRule], change: bool) -> None:
        save_rule(obj, actor_of(request))
        if obj.is_enabled:
            recheck(request)

    def response_add(self, request: HttpRequest, obj: PolicyRule, post_url_continue: str | None = None) -> HttpResponse:
        """Leads to the rehearsal: a new policy is off until somebody has seen what it finds."""
        messages.success(request, _("“%(name)s” was added. It is off until you switch it on here.") % {"name": obj})
        return HttpResponseRedirect(reverse("admin:connectors_policyrule_rehearsal", args=[obj.pk]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Its exceptions go with it; they are history by then, for it has to be off."""
        exceptions = PolicyException.objects.filter(rule__in=objs).count()
        counts = {PolicyRule._meta.verbose_name_plural: len(objs)}
        counts |= {PolicyException._meta.verbose_name_plural: exceptions} if exceptions else {}
        return [str(row) for row in objs], counts, set(), []

    def effects_of_deleting(self, row: PolicyRule) -> Sentences:
        if row.is_enabled:
            return [_("It is in force: switch it off first.")]
        return [
            _("The portal forgets the policy and every exception from it. The activity keeps that they were there.")
        ]

    def delete_model(self, request: HttpRequest, obj: PolicyRule) -> None:
        delete_rule(obj, actor_of(request))


@admin.register(PolicyException)
class PolicyExceptionAdmin(OverviewMixin, PortalAdmin):
    form = PolicyExceptionForm
    list_display = ["head", "project_", "what_", "state_", "owner_label", "asked_", "expires_"]
    list_display_links = ["head"]
    list_select_related = ["rule", "project__workspace"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("rule", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
    ]
    search_fields = ["reason", "owner_label", "rule__name", "project__name", "scope"]
    search_help_text = _("Search by policy, project, scope, owner or reason")
    ordering = ["-id"]
    autocomplete_fields = ["rule", "project"]
    choices_need = {"project": "add_policyexception"}
    change_form_outer_before_template = "connectors/policy/exception.html"
    empty_icon = "rule"
    empty_title = _("No exceptions")
    empty_text = _("Where a policy stops a change, an exception can be asked for. Somebody else then decides on it.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyException]:
        return super().get_queryset(request).defer("project__notes")

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        asked = ["rule", "project", "type_slug", "scope", "reason", "owner", "until"]
        return asked if obj is None else []

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [(None, {"fields": self.get_fields(request, obj)})]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the link beside a refusal fills in; whoever asks answers for it unless they name somebody else."""
        return {"owner": request.user.pk, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A request is decided on and never rewritten: what was granted has to be what was asked for."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def overview_of(self, request: HttpRequest, row: PolicyException | None) -> dict[str, Any]:
        return exception_overview(row, request) if row is not None else {"asks": True}

    @admin.display(description=_("Policy"), ordering="rule__name")
    def head(self, row: PolicyException) -> SafeString:
        return cells.two_lines(row.rule.name, f"#{row.pk}")

    @admin.display(description=_("Project"), ordering="project_id")
    def project_(self, row: PolicyException) -> SafeString:
        project = row.project
        return cells.two_lines(project.name, f"{project.workspace.name} · {project.get_environment_display()}")

    @admin.display(description=_("Allows"))
    def what_(self, row: PolicyException) -> SafeString:
        return cells.two_lines(row.type_slug or _("All types"), row.scope or _("all that the policy means"))

    @admin.display(description=_("State"), ordering="state")
    def state_(self, row: PolicyException) -> SafeString:
        return exception_badge(row)

    @admin.display(description=_("Asked for"), ordering="id")
    def asked_(self, row: PolicyException) -> SafeString:
        return cells.two_lines(row.requested_by_label, cells.when(row.requested_at))

    @admin.display(description=_("Ends"), ordering="expires_at")
    def expires_(self, row: PolicyException) -> SafeString:
        return cells.when(row.expires_at)

    def save_model(self, request: HttpRequest, obj: PolicyException, form: Any, change: bool) -> None:
        obj.pk = request_exception(form.wish(), actor_of(request)).pk
        obj.refresh_from_db()

    def response_add(
        self, request: HttpRequest, obj: PolicyException, post_url_continue: str | None = None
    ) -> HttpResponse:
        messages.success(request, _("The exception was asked for. Somebody else has to decide on it."))
        return HttpResponseRedirect(reverse("admin:connectors_policyexception_change", args=[obj.pk]))


def recheck(request: HttpRequest) -> None:
    """Judges the fleet anew, and says so where that takes a while."""
    if not start_policy_recheck():
        messages.info(request, _("A worker judges all projects by it now; the ledger shows the result soon."))


def enabled_badge(row: PolicyRule) -> SafeString:
    """Whether a policy counts."""
    return cells.badge(_("In force"), "success") if row.is_enabled else cells.badge(_("Off"), "neutral")


def exception_badge(row: PolicyException) -> SafeString:
    """How an exception stands; one that is over is said to be, though nobody has noticed yet."""
    if row.state == PolicyException.State.GRANTED and row.expires_at <= timezone.now():
        return cells.badge(PolicyException.State.ENDED.label, "neutral")
    return cells.badge(row.get_state_display(), STATE_TONES[PolicyException.State(row.state)], title=row.decision_note)


def rule_overview(row: PolicyRule, request: HttpRequest) -> dict[str, Any]:
    """What stands above a policy's form, in a fixed number of queries."""
    found = PolicyFinding.objects.visible_to(request.user).filter(rule=row)
    shown = found.select_related("project__workspace", "connector__integration_type", "exception")
    exceptions = PolicyException.objects.visible_to(request.user).filter(rule=row).select_related("project__workspace")
    return {
        "rule": row,
        "rule_sentence": policy_words.rule(rule_of(row)),
        "rule_badges": format_html(
            "{} {}",
            enabled_badge(row),
            cells.badge(row.get_effect_display(), EFFECT_TONES[PolicyRule.Effect(row.effect)]),
        ),
        "findings": list(
            shown.defer("connector__source", "project__notes").order_by("project_id", "connector_id")[: MAX_SHOWN + 1]
        ),
        "exceptions": [(one, exception_badge(one)) for one in exceptions.order_by("-id")[: MAX_SHOWN + 1]],
        "max_shown": MAX_SHOWN,
        "may_switch": may(request.user, CHANGE_RULE, row),
    }


def exception_overview(row: PolicyException, request: HttpRequest) -> dict[str, Any]:
    """A request as its page shows it, and what this person may do about it."""
    return {
        "exception": row,
        "exception_state": exception_badge(row),
        "rule_sentence": policy_words.rule(rule_of(row.rule)),
        "is_waiting": row.state == PolicyException.State.REQUESTED,
        "why_not_decide": why_not_decide(row, cast("User", request.user)),
        "may_withdraw": may_withdraw(row, request),
    }

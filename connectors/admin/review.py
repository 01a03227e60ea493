"""Access reviews: the list with how far each is, the form, and the page from which a review is run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.views import ChangeList

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.forms import NoticesChanges, StaffField
from connectors.flows.events import changes, record_event
from connectors.flows.review_mail import mails
from connectors.flows.review_plan import plans_of
from connectors.flows.reviews import CHANGE_REVIEW, by_owner, by_project, delete_draft, items_to_decide
from connectors.models import ReviewCampaign, ReviewItem, ReviewNotice, Workspace
from connectors.models.visibility import Person, may, may_everywhere, may_in_a_workspace

if TYPE_CHECKING:
    from connectors.admin.base import Sentences

LINES = 50
"""Owners and projects that a review's page lists; the rest is one click away."""
CHOSEN = ["workspace", "environment", "min_sensitivity"]
"""What a review is about: fixed once it has frozen it."""
FIELDS = ["name", "instructions", *CHOSEN, "due_at", "remind_every_days", "escalate_to"]
_STORED = [f"{name}_id" if name in ("workspace", "escalate_to") else name for name in FIELDS]

STATE_TONES = {
    ReviewCampaign.State.DRAFT: "neutral",
    ReviewCampaign.State.OPEN: "info",
    ReviewCampaign.State.CLOSED: "success",
}


class CampaignList(ChangeList):  # type: ignore[misc]
    """Reviews that know how far those of their scopes are that this person may see."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        progress = progress_of(self.result_list, request.user)
        for row in self.result_list:
            row.progress = progress[row.pk]


class ReviewCampaignForm(NoticesChanges):
    """What is reviewed, by when, and who is told."""

    watched = _STORED
    must_name_workspace: ClassVar[bool] = False
    """Whether this person may only review workspaces that they name."""

    escalate_to = StaffField(
        label=_("Escalate to"),
        required=False,
        empty_label=_("Nobody"),
        help_text=_("Hears what is undecided on the due day, and decides where a project has no owner."),
    )

    class Meta:
        model = ReviewCampaign
        fields = FIELDS

    def clean_workspace(self) -> Workspace | None:
        workspace: Workspace | None = self.cleaned_data["workspace"]
        if workspace is None and self.must_name_workspace:
            raise ValidationError(_("Choose a workspace: you may not review all of them."))
        return workspace

    def clean_due_at(self) -> dt.datetime:
        due_at: dt.datetime = self.cleaned_data["due_at"]
        if "due_at" in self.changed_data and due_at <= timezone.now():
            raise ValidationError(_("Choose a time to come."))
        return due_at


@admin.register(ReviewCampaign)
class ReviewCampaignAdmin(OverviewMixin, PortalAdmin):
    form = ReviewCampaignForm
    list_display = ["head", "about_", "state_", "progress_", "due_"]
    list_display_links = ["head"]
    list_select_related = ["workspace"]
    list_filter = [("state", ChoicesDropdownFilter)]
    search_fields = ["name"]
    search_help_text = _("Search by name")
    autocomplete_fields = ["workspace"]
    choices_need = {"workspace": "add_reviewcampaign"}
    change_form_outer_before_template = "connectors/review/overview.html"
    empty_icon = "fact_check"
    empty_title = _("No access reviews yet")
    empty_text = _(
        "A review records what every connector may do today and asks the owner of each project to keep, narrow or "
        "remove it, with a reason. What they answer is kept as evidence."
    )

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return [
            (None, {"fields": ["name", "instructions"]}),
            (_("What is reviewed"), {"fields": CHOSEN}),
            (_("Until when, and who is told"), {"fields": ["due_at", "remind_every_days", "escalate_to", "version"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return CHOSEN if obj is not None and obj.state != ReviewCampaign.State.DRAFT else []

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CampaignList

    def get_form(
        self, request: HttpRequest, obj: ReviewCampaign | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Whoever may not review everything must say which workspace is reviewed."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.must_name_workspace = not may_everywhere(request.user, "add_reviewcampaign")
        return form

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever is only asked to decide sees their list, and not how the review is run."""
        return may(request.user, "connectors.view_reviewcampaign") and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_in_a_workspace(request.user, "add_reviewcampaign")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        closed = obj is not None and obj.state == ReviewCampaign.State.CLOSED
        return not closed and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        evidence = obj is not None and obj.state != ReviewCampaign.State.DRAFT
        return not evidence and bool(super().has_delete_permission(request, obj))

    def overview_of(self, request: HttpRequest, row: Any | None) -> dict[str, Any]:
        return overview(row, request) if row is not None else {}

    @admin.display(description=_("Access review"), ordering="name")
    def head(self, row: ReviewCampaign) -> SafeString:
        return cells.two_lines(row.name, row.opened_by_label and f"opened by {row.opened_by_label}")

    @admin.display(description=_("What is reviewed"))
    def about_(self, row: ReviewCampaign) -> str:
        return row.about[:1].upper() + row.about[1:]

    @admin.display(description=_("State"), ordering="state")
    def state_(self, row: Any) -> SafeString:
        return state_badge(row, timezone.now(), row.progress)

    @admin.display(description=_("Decided"))
    def progress_(self, row: Any) -> SafeString:
        total, decided = row.progress
        return progress_bar(decided, total, row.name) if total else cells.NOTHING

    @admin.display(description=_("Due"), ordering="due_at")
    def due_(self, row: ReviewCampaign) -> SafeString:
        return cells.when(row.due_at)

    @transaction.atomic
    def save_model(
        self, request: HttpRequest, obj: ReviewCampaign, form: ModelForm[ReviewCampaign], change: bool
    ) -> None:
        actor = actor_of(request)
        if not change:
            obj.save()
            record_event(actor, "review.added", obj, after=_values(obj))
            return
        before = _values(ReviewCampaign.objects.get(pk=obj.pk))
        obj.save(update_fields=FIELDS)
        old, new = changes(before, _values(obj))
        if new:
            record_event(actor, "review.changed", obj, before=old, after=new)

    def response_add(
        self, request: HttpRequest, obj: ReviewCampaign, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Leads to where the review is opened."""
        messages.success(request, _("%(name)s is a draft. Look at what it covers, and open it.") % {"name": obj})
        return HttpResponseRedirect(reverse("admin:connectors_reviewcampaign_open", args=[obj.pk]))

    def effects_of_deleting(self, row: ReviewCampaign) -> Sentences:
        return [_("The draft goes. Nothing was frozen and nobody was asked, so nothing else is lost.")]

    def delete_model(self, request: HttpRequest, obj: ReviewCampaign) -> None:
        delete_draft(obj, actor_of(request))


def overview(row: ReviewCampaign, request: HttpRequest) -> dict[str, Any]:
    """What the page shows above the form: how far the review is, by owner and project, and what can be done now."""
    total, decided = progress_of([row], request.user)[row.pk]
    found: dict[str, Any] = {
        "campaign": row,
        "about": row.about,
        "state_badge": state_badge(row, timezone.now(), (total, decided)),
        "mails": mails(),
    }
    if row.state == ReviewCampaign.State.DRAFT:
        return found
    items = ReviewItem.objects.visible_to(request.user).filter(campaign=row)
    owners, projects = by_owner(items), by_project(items)
    runs = may(request.user, CHANGE_REVIEW, row)
    return {
        **found,
        "bar": progress_bar(decided, total, row.name),
        "left": total - decided,
        "is_part": total < row.item_count,
        "runs": runs,
        "owners": owners[:LINES],
        "more_owners": max(0, len(owners) - LINES),
        "projects": projects[:LINES],
        "more_projects": max(0, len(projects) - LINES),
        "mine": items_to_decide(row, request.user).filter(owner=request.user.pk, decision="").count(),
        "to_plan": sum(one.waiting + one.failed for one in plans_of(items)),
        "notices": _notices(row, None if total == row.item_count else {one.key for one in owners}),
    }


def progress_of(rows: Iterable[ReviewCampaign], user: Person) -> dict[int, tuple[int, int]]:
    """By key, how many scopes of each review this person may see, and how many of them are decided."""
    rows = list(rows)
    if may_everywhere(user, "view_reviewcampaign"):
        return {row.pk: (row.item_count, row.decided_count) for row in rows}  # as they were counted before
    seen = ReviewItem.objects.visible_to(user).filter(campaign__in=[row.pk for row in rows]).progress()
    return {row.pk: seen.get(row.pk, (0, 0)) for row in rows}


def _notices(row: ReviewCampaign, owners: set[int | None] | None) -> list[ReviewNotice]:
    """Who was told: all, or those of these owners who were asked to decide."""
    sent = row.notices.select_related("user").exclude(mailed_at=None)
    if owners is not None:
        sent = sent.filter(user__in=[key for key in owners if key is not None], kind=ReviewNotice.Kind.REMINDER)
    return list(sent[:LINES])


def state_badge(row: ReviewCampaign, now: dt.datetime, progress: tuple[int, int]) -> SafeString:
    """The state, and that the day has passed while something is undecided."""
    state, (total, decided) = ReviewCampaign.State(row.state), progress
    if row.is_overdue(now) and decided < total:
        return format_html("{} {}", cells.badge(state.label, STATE_TONES[state]), cells.badge(_("Overdue"), "danger"))
    return cells.badge(state.label, STATE_TONES[state])


def progress_bar(done: int, total: int, name: str) -> SafeString:
    """A bar with its figures: `40 of 120`."""
    tone = " pc-progress--success" if done >= total else ""
    bar = format_html(
        '<progress class="pc-progress{}" max="{}" value="{}" aria-label="{}"></progress>',
        tone,
        total or 1,
        done,
        f"{name}: {done} of {total} decided",
    )
    return cells.two_lines(format_html("{} of {}", done, total), bar)


def _values(row: ReviewCampaign) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in _STORED}
    return {name: value.isoformat() if isinstance(value, dt.datetime) else value for name, value in found.items()}

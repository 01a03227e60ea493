"""Invitations: who was asked to join with which role, and what came of it. The links themselves are kept nowhere."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.pages.frame import draw, outside_address, require, route, visible
from connectors.core.errors import Refused
from connectors.flows.invitations import invite, mails, refuse_invitation, withdraw
from connectors.models import Invitation
from connectors.models.visibility import may

DELETE = "connectors.delete_invitation"
STATES = {
    "open": (_("Waiting"), "info"),
    "joined": (_("Joined"), "success"),
    "withdrawn": (_("Withdrawn"), "neutral"),
    "expired": (_("Expired"), "warning"),
}
"""Words and tone of each state that an invitation can be in."""


def state_of(row: Invitation, now: dt.datetime) -> str:
    """Which of STATES the invitation is in."""
    if row.accepted_at is not None:
        return "joined"
    if row.withdrawn_at is not None:
        return "withdrawn"
    return "open" if row.expires_at > now else "expired"


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom to invite, with which role, where. The flow says whether whoever is logged in may."""

    inviter: ClassVar[User]

    class Meta:
        model = Invitation
        fields = ["email", "role", "workspace", "project"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        place = cleaned.get("workspace"), cleaned.get("project")
        try:
            refuse_invitation(self.inviter, cleaned["email"], cleaned["role"], *place)
        except Refused as error:
            raise ValidationError(str(error)) from None
        return cleaned


class InvitationStateFilter(DropdownFilter):  # type: ignore[misc]
    """Invitations by their state, which the time decides as well."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(state, words) for state, (words, _tone) in STATES.items()]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        now = timezone.now()
        match self.value():
            case "open":
                return queryset.open(now)
            case "joined":
                return queryset.exclude(accepted_at=None)
            case "withdrawn":
                return queryset.filter(accepted_at=None).exclude(withdrawn_at=None)
            case "expired":
                return queryset.filter(accepted_at=None, withdrawn_at=None, expires_at__lte=now)
        return queryset


@admin.register(Invitation)
class InvitationAdmin(OverviewMixin, PortalAdmin):
    form = InvitationForm
    list_display = ["head", "role_", "place_", "state_", "invited_", "ends_"]
    list_display_links = ["head"]
    list_select_related = ["workspace", "project__workspace", "accepted_by"]
    list_filter = [
        InvitationStateFilter,
        ("role", ChoicesDropdownFilter),
        ("workspace", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
    ]
    search_fields = ["email", "workspace__name", "project__name", "invited_by_label"]
    search_help_text = _("Search by address, place or who invited")
    ordering = ["-pk"]
    autocomplete_fields = ["workspace", "project"]
    choices_need: ClassVar[dict[str, str]] = {"workspace": "add_membership", "project": "add_membership"}
    change_form_outer_before_template = "connectors/people/invitation_overview.html"
    empty_icon = "mail"
    empty_title = _("Nobody was invited yet")
    empty_text = _(
        "An invitation is a link for one person: whoever opens it gets a login, and the role that you choose."
    )

    def get_urls(self) -> list[URLPattern]:
        return [route(self, "<int:object_id>/withdraw/", withdraw_view, "withdraw"), *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was sent stays as it was sent; it can be withdrawn."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Invitation | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": ["head", "role_", "place_", "state_", "invited_", "ends_"]})]
        where = _("One project, or one workspace with all its projects. Neither: everywhere in the portal.")
        return [
            (None, {"fields": ["email", "role"]}),
            (_("Where"), {"fields": ["workspace", "project"], "description": where}),
        ]

    def get_form(self, request: HttpRequest, obj: Any | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.inviter = request.user
        return form

    def overview_of(self, request: HttpRequest, row: Invitation | None) -> dict[str, Any]:
        if row is None:
            return {"mails": mails()}
        is_open = state_of(row, timezone.now()) == "open"
        again = {"email": row.email, "role": row.role, "workspace": row.workspace_id, "project": row.project_id}
        address = urlencode({key: value for key, value in again.items() if value})
        return {
            "may_withdraw": is_open and may(request.user, DELETE, row),
            "again": f"{reverse('admin:connectors_invitation_add')}?{address}",
            "may_invite": self.has_add_permission(request) and row.accepted_at is None,
        }

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form; outside a transaction when it is sent, because a mail server may take its time."""
        if request.method == "POST":
            if not self.has_add_permission(request):
                raise PermissionDenied
            form = self.get_form(request)(request.POST)
            if form.is_valid():
                return self._invite(request, form.cleaned_data)
        shown: HttpResponse = super().add_view(request, form_url, extra_context)
        return shown

    @sensitive_variables("link")
    def _invite(self, request: HttpRequest, cleaned: dict[str, Any]) -> HttpResponse:
        place = cleaned["workspace"], cleaned["project"]
        inviter, actor = cast("User", request.user), actor_of(request)
        try:
            row, link = invite(
                actor,
                inviter,
                cleaned["email"],
                cleaned["role"],
                *place,
                lambda token: outside_address(request, "join", token),
            )
        except Refused as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())
        if link is None:
            messages.success(request, _("The invitation is on its way to %s.") % row.email)
            return HttpResponseRedirect(reverse("admin:connectors_invitation_changelist"))
        answer = draw(self, request, "people/invited.html", title=f"{row.email} is invited", invitation=row, link=link)
        answer["Cache-Control"] = "no-store"
        return answer

    @admin.display(description=_("Whom"), ordering="email")
    def head(self, row: Invitation) -> SafeString:
        joined = _("as %s") % row.accepted_by.get_username() if row.accepted_by else ""
        return cells.two_lines(row.email, joined, avatar=cells.initials(row.email))

    @admin.display(description=_("Role"), ordering="role")
    def role_(self, row: Invitation) -> str:
        return row.get_role_display()

    @admin.display(description=_("Where"))
    def place_(self, row: Invitation) -> SafeString:
        return cells.place(row.project, row.workspace)

    @admin.display(description=_("State"))
    def state_(self, row: Invitation) -> SafeString:
        words, tone = STATES[state_of(row, timezone.now())]
        return cells.badge(words, tone)

    @admin.display(description=_("Invited"), ordering="pk")
    def invited_(self, row: Invitation) -> SafeString:
        return cells.two_lines(row.invited_by_label or _("nobody in particular"), cells.when(row.invited_at))

    @admin.display(description=_("Link ends"), ordering="expires_at")
    def ends_(self, row: Invitation) -> SafeString:
        is_over = row.accepted_at is not None or row.withdrawn_at is not None
        return cells.NOTHING if is_over else cells.when(row.expires_at)


def withdraw_view(model_admin: InvitationAdmin, request: HttpRequest, object_id: int) -> HttpResponse:
    """POST: ends an invitation."""
    row = visible(model_admin, request, Invitation.objects.all(), object_id)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    require(request, DELETE, row)
    if withdraw(actor_of(request), row):
        messages.success(request, _("The link for %s opens nothing any more.") % row.email)
    else:
        messages.info(request, _("The invitation was over before."))
    return HttpResponseRedirect(reverse("admin:connectors_invitation_change", args=[row.pk]))

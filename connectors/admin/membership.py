"""Roles: who has which at what place, given and taken through flows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from connectors.admin import cells
from connectors.admin.base import PortalAdmin, actor_of
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.forms import NoticesChanges
from connectors.admin.pages.frame import route
from connectors.admin.people_choice import PeopleChoices, PeopleField, PeopleSelect, people_offered
from connectors.core.errors import Refused
from connectors.flows.memberships import change_role, grant, refuse_change, refuse_grant, withdraw
from connectors.models import Membership
from connectors.models.membership import RoleChoices

if TYPE_CHECKING:
    from connectors.admin.base import Sentences

ROLE_TONES = {
    RoleChoices.VIEWER: "neutral",
    RoleChoices.AUDITOR: "neutral",
    RoleChoices.EDITOR: "info",
    RoleChoices.APPROVER: "info",
    RoleChoices.OWNER: "warning",
}
PEOPLE, PLACES = ("user", "group"), ("workspace", "project")
MOST_PEOPLE = 200
"""People that the filter lists; others are found by the search."""


class MembershipForm(forms.ModelForm):  # type: ignore[type-arg]
    """Who gets which role where. The flow says whether whoever is logged in may give it."""

    giver: ClassVar[User]

    user = PeopleField(queryset=people_offered(), required=False, label=_("Person"))
    group = PeopleField(
        queryset=Group.objects.all(),
        required=False,
        label=_("Group"),
        help_text=_("Instead of a person: everybody in the group has the role, whoever joins it too."),
    )

    class Meta:
        model = Membership
        fields = ["user", "group", "role", "workspace", "project"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in PEOPLE:
            select = PeopleSelect(Membership._meta.get_field(name), admin.site)
            select.choices = cast("PeopleField", self.fields[name]).choices
            self.fields[name].widget = select

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            chosen = {name: cleaned.get(name) for name in (*PEOPLE, *PLACES)}
            saying_why(lambda: refuse_grant(self.giver, role=cleaned["role"], **chosen))
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        """Without the constraints: the flow says in words what they would."""
        return {*super()._get_validation_exclusions(), *PEOPLE, *PLACES}  # type: ignore[misc]


class RoleForm(NoticesChanges):
    """Another role for the same person or group at the same place."""

    watched = ["role"]
    giver: ClassVar[User]

    class Meta:
        model = Membership
        fields = ["role"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors:
            saying_why(lambda: refuse_change(self.giver, self.instance, cleaned["role"]))
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        return {*super()._get_validation_exclusions(), *PEOPLE, *PLACES}  # type: ignore[misc]


def saying_why(check: Callable[[], None]) -> None:
    """What a flow refuses, as an error of a form."""
    try:
        check()
    except Refused as error:
        raise ValidationError(str(error)) from None


class PersonFilter(DropdownFilter):  # type: ignore[misc]
    """Memberships of one person, in person; only people of memberships that one may see are named."""

    title = _("person")
    parameter_name = "person"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = Membership.objects.visible_to(request.user).exclude(user=None).order_by().values("user")
        people = User.objects.filter(pk__in=seen).order_by("username")[:MOST_PEOPLE]
        return [(str(person.pk), person.get_username()) for person in people]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> QuerySet[Membership]:
        known = [key for key, _name in self.lookup_choices]
        return queryset.filter(user=self.value()) if self.value() in known else queryset


class WhereFilter(DropdownFilter):  # type: ignore[misc]
    """Roles at projects, at workspaces, or for everything."""

    title = _("place")
    parameter_name = "where"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("project", _("One project")), ("workspace", _("A workspace")), ("everywhere", _("Everywhere"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Membership]) -> QuerySet[Membership]:
        conditions = {
            "project": Q(project__isnull=False),
            "workspace": Q(workspace__isnull=False),
            "everywhere": Q(project=None, workspace=None),
        }
        condition = conditions.get(self.value() or "")
        return queryset.filter(condition) if condition is not None else queryset


@admin.register(Membership)
class MembershipAdmin(PortalAdmin):
    list_display = ["head", "role_", "place_", "given_"]
    list_display_links = ["head"]
    list_select_related = ["user", "group", "workspace", "project__workspace"]
    list_filter = [
        ("role", ChoicesDropdownFilter),
        WhereFilter,
        ("workspace", VisibleAutocompleteFilter),
        ("project", VisibleAutocompleteFilter),
        PersonFilter,
    ]
    search_fields = [
        "user__username",
        "user__first_name",
        "user__last_name",
        "user__email",
        "group__name",
        "workspace__name",
        "project__name",
    ]
    search_help_text = _("Search by person, group or place")
    ordering = ["-pk"]
    autocomplete_fields = ["workspace", "project"]
    choices_need: ClassVar[dict[str, str]] = {"workspace": "add_membership", "project": "add_membership"}
    empty_icon = "group_add"
    empty_title = _("Nobody has a role yet")
    empty_text = _("A role says what a person or a group may do: at one project, one workspace, or everywhere.")

    def get_urls(self) -> list[URLPattern]:
        return [route(self, "people/", people_choices, "people"), *super().get_urls()]

    def get_fieldsets(self, request: HttpRequest, obj: Membership | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": ["head", "place_", "role", "given_", "version"]})]
        where = _("One project, or one workspace with all its projects. Neither: everywhere in the portal.")
        return [
            (_("Who"), {"fields": ["user", "group"]}),
            (_("What"), {"fields": ["role"]}),
            (_("Where"), {"fields": ["workspace", "project"], "description": where}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["head", "place_", "given_"] if obj is not None else []

    def get_form(self, request: HttpRequest, obj: Any | None = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = MembershipForm if obj is None else RoleForm
        form = super().get_form(request, obj, change=change, **kwargs)
        form.giver = request.user
        return form

    @admin.display(description=_("Who"), ordering="user__username")
    def head(self, row: Membership) -> SafeString:
        if row.group is not None:
            return cells.two_lines(row.group.name, _("Group"), avatar=cells.initials(row.group.name))
        user = cast("User", row.user)
        name = user.get_full_name() or user.get_username()
        off = "" if user.is_active and user.is_staff else cells.badge(_("Can't log in here"), "warning")
        below = format_html("{} {}", user.email or user.get_username(), off)
        return cells.two_lines(name, below, avatar=cells.initials(name))

    @admin.display(description=_("Role"), ordering="role")
    def role_(self, row: Membership) -> SafeString:
        return cells.badge(row.get_role_display(), ROLE_TONES[RoleChoices(row.role)])

    @admin.display(description=_("Where"))
    def place_(self, row: Membership) -> SafeString:
        return cells.place(row.project, row.workspace)

    @admin.display(description=_("Given"), ordering="pk")
    def given_(self, row: Membership) -> SafeString:
        return cells.two_lines(row.added_by_label or _("nobody in particular"), cells.when(row.added_at))

    def save_model(self, request: HttpRequest, obj: Membership, form: ModelForm[Membership], change: bool) -> None:
        giver, actor = cast("User", request.user), actor_of(request)
        if change:
            change_role(actor, giver, obj, obj.role)
            return
        made = grant(
            actor, giver, user=obj.user, group=obj.group, role=obj.role, workspace=obj.workspace, project=obj.project
        )
        obj.pk, obj.added_at, obj._state = made.pk, made.added_at, made._state

    def effects_of_deleting(self, row: Membership) -> Sentences:
        if row.group is not None:
            return [_("Everybody in the group loses the role here. Roles that they have otherwise stay.")]
        return [_("They lose the role here at once. Roles that they have otherwise, or through a group, stay.")]

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        withdraw(actor_of(request), cast("User", request.user), obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Nothing hangs on a role."""
        return [str(row) for row in objs], {Membership._meta.verbose_name_plural: len(objs)}, set(), []


def people_choices(model_admin: MembershipAdmin, request: HttpRequest) -> HttpResponse:
    """People and groups for the form's fields, as they are typed."""
    return cast("HttpResponse", PeopleChoices.as_view(admin_site=model_admin.admin_site)(request))

"""Users and groups, in the portal's look; what is changed goes through flows, which put it on record."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from connectors.admin import cells
from connectors.admin.pages import urls_for
from connectors.admin.pages.frame import actor_of
from connectors.flows.sign_in import end_sessions
from connectors.flows.sign_in_record import password_changed
from connectors.flows.users import (
    delete_group,
    delete_user,
    may_become,
    note_group_saved,
    note_user_added,
    note_user_changed,
    state_of,
    state_of_group,
)
from connectors.models import Membership

admin.site.unregister(User)
admin.site.unregister(Group)


POWERS = ["is_staff", "is_superuser", "groups", "user_permissions"]
LOGIN = ["username", "email"]
"""What one logs in with, beside the password, which has a page of its own."""


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Only a superuser gives permissions and touches superusers: else whoever may edit users could become one."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["head", "email", "powers_", "roles_", "last_login_"]
    list_display_links = ["head"]
    list_filter = ["is_staff", "is_superuser", "is_active", "groups"]
    change_form_outer_before_template = "connectors/people/user_overview.html"
    empty_icon = "group"
    show_facets = ShowFacets.NEVER
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        own = Membership.objects.filter(user=OuterRef("pk")).order_by().values("user").annotate(n=Count("pk"))
        by_group = Membership.objects.filter(group__user=OuterRef("pk")).order_by().values("group__user")
        counts = [Coalesce(Subquery(rows.values("n")), 0) for rows in (own, by_group.annotate(n=Count("pk")))]
        rows: QuerySet[User] = super().get_queryset(request)
        return rows.annotate(role_count=counts[0] + counts[1])

    def get_urls(self) -> list[URLPattern]:
        return [*urls_for(self), *super().get_urls()]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's page, which looks for the row before it asks who wants to know whether there is one."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        answer: HttpResponse = super().history_view(request, object_id, extra_context)
        return answer

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = list(super().get_readonly_fields(request, obj))
        if request.user.is_superuser:
            return fields
        kept = LOGIN if obj is not None and not may_become(cast("User", request.user), obj) else []
        return [*fields, *POWERS, *kept]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _may_touch(request, obj) and bool(super().has_delete_permission(request, obj))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the bulk delete, which asks for no permission row by row."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.display(description=_("User"), ordering="username")
    def head(self, row: User) -> SafeString:
        name = row.get_full_name() or row.get_username()
        return cells.two_lines(name, row.get_username(), avatar=cells.initials(name))

    @admin.display(description=_("Access"))
    def powers_(self, row: User) -> SafeString:
        if not row.is_active:
            return cells.badge(_("Switched off"), "neutral")
        if row.is_superuser:
            return cells.badge(_("Superuser"), "warning")
        return cells.badge(_("Staff"), "info") if row.is_staff else cells.badge(_("Not staff"), "neutral")

    @admin.display(description=_("Roles"))
    def roles_(self, row: Any) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("admin:auth_user_access", args=[row.pk]), row.role_count)

    @admin.display(description=_("Last login"), ordering="last_login")
    def last_login_(self, row: User) -> SafeString:
        return cells.when(row.last_login)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Groups and permissions follow in `save_related`; what there was before is noted while it still is."""
        form.before = state_of(User.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if form.before is None:
            note_user_added(actor_of(request), form.instance)
        else:
            note_user_changed(actor_of(request), form.instance, form.before)

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        delete_user(actor_of(request), obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's page. A password that somebody else has set ends the person's sessions, on record.

        One's own is changed where the old one is asked for, and where the session stays one that can be ended.
        """
        # Looked up as Django's page does: any other way would know fewer ways to write a key.
        before = self.get_object(request, unquote(id))
        if before is not None and not may_become(cast("User", request.user), before):
            raise PermissionDenied
        if before is not None and before.pk == request.user.pk:
            return HttpResponseRedirect(reverse("account_change_password"))
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        user = User.objects.filter(pk=before.pk).first() if before is not None else None
        if before is not None and user is not None and user.password != before.password:
            actor = actor_of(request)
            password_changed(user, actor)
            end_sessions(user, actor)
        return answer


def _may_touch(request: HttpRequest, user: Any) -> bool:
    return bool(request.user.is_superuser) or not getattr(user, "is_superuser", False)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Groups hand out permissions, so they are for superusers."""

    empty_icon = "shield_person"
    empty_title = "No groups yet"
    empty_text = "A group gives the same permissions to several people."
    show_facets = ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without the bulk delete, which would leave no trace."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def save_model(self, request: HttpRequest, obj: Group, form: Any, change: bool) -> None:
        form.before = state_of_group(Group.objects.get(pk=obj.pk)) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        note_group_saved(actor_of(request), form.instance, form.before)

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        delete_group(actor_of(request), obj)

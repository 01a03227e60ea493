"""What every admin of the portal shares: whose rows it shows and offers, and that deleting goes through a flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin import AdminSite, ShowFacets
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.db.models import Field, ForeignKey, Model, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from unfold.admin import ModelAdmin

from connectors.admin.forms import StaffField, offering_colleagues
from connectors.admin.pages import urls_for
from connectors.admin.pages.frame import CHANGE_PROJECT, actor_of, has_nul
from connectors.core.errors import PortalError
from connectors.models.visibility import VisibleQuerySet, may

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    Sentences = list[StrOrPromise]

__all__ = ["OffersVisible", "OverviewMixin", "PortalAdmin", "ReadOnlyAdmin", "actor_of"]


class KeysFirst(Paginator):  # type: ignore[type-arg]
    """Lets the database find the keys of a page by the list's index, and read only these rows with what they refer to.

    Otherwise SQLite joins all of 100,000 rows before it sorts them and takes 50, and both databases join every row that
    an offset skips.
    """

    def page(self, number: int | str) -> Page[Any]:
        page: Page[Any] = super().page(number)
        rows: Any = self.object_list
        page.object_list = rows.filter(pk__in=page.object_list.values("pk"))  # type: ignore[attr-defined]
        return page


CHOSEN_WITH = "with"
"""In an autocompletion's address: the permission that saving the choice needs. It narrows what one may see anyway."""


class ForgivingAutocomplete(AutocompleteSelect):
    """Draws a form again that came with a key which cannot be one; Django's own looks it up and breaks the page.

    `needs` is the permission that a row must give to be offered, "" for every row that one may see.
    """

    needs = ""

    def get_url(self) -> str:
        address = str(super().get_url())
        return f"{address}?{urlencode({CHOSEN_WITH: self.needs})}" if self.needs else address

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> Any:
        key = self.field.target_field
        return super().optgroups(name, [text for text in value if _could_be(key, text)], attr)


class ForgivingAutocompletes(AutocompleteSelectMultiple):
    """The same for a choice of many rows; `needs` as above."""

    def __init__(self, field: Any, admin_site: AdminSite, needs: str = "", **kwargs: Any) -> None:
        self.needs = needs
        super().__init__(field, admin_site, **kwargs)

    def get_url(self) -> str:
        address = str(super().get_url())
        return f"{address}?{urlencode({CHOSEN_WITH: self.needs})}" if self.needs else address

    def optgroups(self, name: str, value: Sequence[str], attr: dict[str, Any] | None = None) -> Any:
        key = self.field.remote_field.model._meta.pk
        return super().optgroups(name, [text for text in value if _could_be(key, text)], attr)


def _could_be(key: Field[Any, Any], text: str) -> bool:
    try:
        key.run_validators(key.to_python(text))
    except ValidationError:
        return False
    return True


def _is_autocompletion(request: HttpRequest) -> bool:
    return request.path == reverse("admin:autocomplete")


class OffersVisible:
    """For admins and inlines: a choice of rows offers those that this person may see.

    `choices_need` names, by field, the permission that saving the choice needs: then only rows where the person has it.
    """

    admin_site: AdminSite
    choices_need: ClassVar[dict[str, str]] = {}

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Model]:
        """Only rows that this person may see can be chosen, by a forged POST neither."""
        rows, needs = db_field.remote_field.model._default_manager.all(), self.choices_need.get(db_field.name, "")
        if isinstance(rows, VisibleQuerySet):
            seen = rows.visible_to(request.user)
            kwargs["queryset"] = seen.permitted(request.user, needs) if needs else seen
        if db_field.name in self.get_autocomplete_fields(request):  # type: ignore[attr-defined]
            widget = ForgivingAutocomplete(db_field, self.admin_site)
            widget.needs = needs
            kwargs.setdefault("widget", widget)
        field: ModelChoiceField[Model] = super().formfield_for_foreignkey(  # type: ignore[misc]
            db_field, request, **kwargs
        )
        return field


class PortalAdmin(OffersVisible, ModelAdmin):  # type: ignore[misc]
    """Shows and offers only rows that `visible_to(request.user)` gives; the portal's own pages hang below it."""

    list_per_page = 50
    list_max_show_all = 50
    list_filter_submit = True
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # counting each choice of each filter costs more than the page
    warn_unsaved_form = True
    save_on_top = False
    delete_confirmation_template = "connectors/delete_confirmation.html"

    empty_icon = "inbox"
    empty_title: StrOrPromise = ""
    empty_text: StrOrPromise = ""

    def get_form(self, request: HttpRequest, obj: Any | None = None, change: bool = False, **kwargs: Any) -> Any:
        """Where the form offers people, it offers those whom this person may know of."""
        form = super().get_form(request, obj, change, **kwargs)
        offers = any(isinstance(field, StaffField) for field in form.base_fields.values())
        return offering_colleagues(form, request.user) if offers else form

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: VisibleQuerySet[Any] = super().get_queryset(request)
        needs = request.GET.get(CHOSEN_WITH, "")
        seen = rows.visible_to(request.user)
        return seen.permitted(request.user, needs) if needs and _is_autocompletion(request) else seen

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Django's own; a key with a NUL is no row's, and PostgreSQL would answer it with an error."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def get_urls(self) -> list[URLPattern]:
        return [*urls_for(self), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; addresses that scanners make up lead to it without their filters."""
        if has_nul(request):
            return HttpResponseRedirect(request.path)
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term.replace("\0", ""))
        return found

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may change a row may see it, as in Django's admin."""
        return self._may(request, "view", obj) or self._may(request, "change", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self._may(request, "delete", obj)

    def _may(self, request: HttpRequest, verb: str, row: Model | None = None) -> bool:
        """For a row: by the roles at its place. Without one: whether there is any place where they may."""
        return may(request.user, f"{self.opts.app_label}.{get_permission_codename(verb, self.opts)}", row)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Whoever may change projects may sync and plan them, from whatever list."""
        return request.user.has_perm(CHANGE_PROJECT)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without Django's own bulk delete, which would go round the flows and their events."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def effects_of_deleting(self, row: Any) -> Sentences:
        """What the page that asks for confirmation says will happen, in sentences."""
        return []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Django's page, with what deleting means; what a flow refuses is said and leaves everything as it was."""
        row = self.get_object(request, object_id)
        effects = self.effects_of_deleting(row) if row is not None else []
        context = {**(extra_context or {}), "effects": effects}
        try:
            response: HttpResponse = super().delete_view(request, object_id, context)
        except PortalError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect("../change/")
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        context.update(show_save_and_add_another=False)
        return super().render_change_form(request, context, *args, **kwargs)


class OverviewMixin:
    """For admins whose row's page shows more than its form: `overview_of` gives the templates what they need."""

    def overview_of(self, request: HttpRequest, row: Any | None) -> dict[str, Any]:
        """What the templates above and below the form show; `row` None: of the form for a new one."""
        raise NotImplementedError

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Django's page, with the overview of the row, if this person may see it."""
        row = self.get_object(request, object_id) if object_id else None  # type: ignore[attr-defined]
        context = {**(extra_context or {}), **self.overview_of(request, row)}
        response: HttpResponse = super().changeform_view(request, object_id, form_url, context)  # type: ignore[misc]
        return response


class ReadOnlyAdmin(PortalAdmin):
    """For rows that only flows write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

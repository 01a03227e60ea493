"""Sign-in providers: with whose accounts people log in. For superusers: who says who comes in can let in anybody."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.db.models import Model
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from pydantic import SecretStr
from unfold.admin import ModelAdmin, TabularInline

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, actor_of
from connectors.admin.pages import sign_in_provider as pages
from connectors.admin.pages.frame import outside_address
from connectors.admin.sign_in_provider_form import GroupMappingForm, SignInProviderForm
from connectors.flows.sign_in_providers import delete_provider, issuer_of, mappings_of, record_mappings, save_provider
from connectors.models import GroupMapping, SignInProvider


class _ForSuperusers:
    """Whoever decides by whom people are let in could let themselves in as anybody."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_superuser(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_superuser(request)


class GroupMappingInline(_ForSuperusers, TabularInline):  # type: ignore[misc]
    model = GroupMapping
    form = GroupMappingForm
    extra = 0
    hide_title = True
    verbose_name_plural = _("groups")


@admin.register(SignInProvider)
class SignInProviderAdmin(_ForSuperusers, OverviewMixin, ModelAdmin):  # type: ignore[misc]
    form = SignInProviderForm
    inlines = [GroupMappingInline]
    list_display = ["head", "kind", "domains_", "admits", "state_"]
    list_display_links = ["head"]
    search_fields = ["name", "slug"]
    show_facets = ShowFacets.NEVER
    warn_unsaved_form = True
    change_form_outer_before_template = "connectors/sign_in_provider/overview.html"
    delete_confirmation_template = "connectors/delete_confirmation.html"
    empty_icon = "login"
    empty_title = _("No sign-in provider yet")
    empty_text = _("With one, people log in with the accounts that they have at work, and groups follow them.")

    def get_fieldsets(self, request: HttpRequest, obj: SignInProvider | None = None) -> Any:
        secret = ["secret_summary", "secret"] if obj else ["secret"]
        return [
            (None, {"fields": ["name", "slug", "kind", "is_enabled"]}),
            (_("From the provider"), {"fields": ["server_url", "client_id", *secret]}),
            (
                _("Whom it lets in"),
                {"fields": ["allowed_domains", "admits", "groups_claim", "counts_as_second_factor"]},
            ),
            (None, {"fields": ["version"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["slug", "secret_summary"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Model | None = None) -> dict[str, list[str]]:
        return {} if obj else {"slug": ["name"]}

    def get_urls(self) -> list[URLPattern]:
        return [*pages.urls(self), *super().get_urls()]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Without Django's own bulk delete, which would go round the flow and its event."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.display(description=_("Provider"), ordering="name")
    def head(self, row: SignInProvider) -> SafeString:
        return cells.two_lines(row.name, row.slug, avatar=cells.initials(row.name))

    @admin.display(description=_("Domains"))
    def domains_(self, row: SignInProvider) -> Any:
        return ", ".join(row.allowed_domains) or _("Any")

    @admin.display(description=_("State"), ordering="is_enabled")
    def state_(self, row: SignInProvider) -> SafeString:
        return cells.badge(_("In use"), "success") if row.is_enabled else cells.badge(_("Not in use"), "neutral")

    @admin.display(description=_("Secret"))
    def secret_summary(self, row: SignInProvider) -> SafeString:
        return cells.badge(_("Set"), "success") if row.client_secret else cells.badge(_("Not set"), "neutral")

    def overview_of(self, request: HttpRequest, row: SignInProvider | None) -> dict[str, Any]:
        slug = row.slug if row else "SHORT-NAME"
        return {
            "provider": row,
            "redirect_uri": outside_address(request, "sign_in_callback", slug),
            "can_test": bool(row and issuer_of(row)),
        }

    def save_model(self, request: HttpRequest, obj: SignInProvider, form: ModelForm[Any], change: bool) -> None:
        typed = form.cleaned_data.get("secret")
        save_provider(obj, actor_of(request), secret=SecretStr(typed) if typed else None)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = mappings_of(form.instance)
        super().save_related(request, form, formsets, change)
        record_mappings(form.instance, before, actor_of(request))

    def response_add(
        self, request: HttpRequest, obj: SignInProvider, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Leads to the provider's page, where its redirect URI is and the test."""
        messages.success(request, _("%(name)s was added. Register its redirect URI at the provider.") % {"name": obj})
        return HttpResponseRedirect(reverse("admin:connectors_signinprovider_change", args=[obj.pk]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """Its mappings go with it, which needs no permission of their own."""
        return [str(row) for row in objs], {SignInProvider._meta.verbose_name_plural: len(objs)}, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        effects = [
            _("Nobody can log in through it any more. People who did keep their logins, but those without a password "
              "need another provider or a new password."),
            _("It is forgotten who was linked: another provider of the same short name begins anew."),
        ]  # fmt: skip
        answer: HttpResponse = super().delete_view(request, object_id, {**(extra_context or {}), "effects": effects})
        return answer

    def delete_model(self, request: HttpRequest, obj: SignInProvider) -> None:
        delete_provider(obj, actor_of(request))


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)

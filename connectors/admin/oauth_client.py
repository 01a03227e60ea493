"""OAuth clients: the team's own apps at providers, whether they work, and what hangs on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db.models import F, ForeignKey, Model, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from pydantic import SecretStr
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.filters import VisibleAutocompleteFilter
from connectors.admin.oauth_client_form import GUIDE, OAuthClientForm
from connectors.admin.pages.oauth_client import redirect_uri
from connectors.admin.pages.oauth_support import support_badge
from connectors.admin.pages.own_client import ADD_CLIENT
from connectors.core.catalog.providers import Provider, provider, provider_name, providers
from connectors.core.oauth.support import support_of
from connectors.flows.oauth_clients import delete_client, save_client, users_of
from connectors.models import OAuthClient, Token
from connectors.models.visibility import may_everywhere, may_in_a_workspace

if TYPE_CHECKING:
    from connectors.admin.base import Sentences

MAX_TOKENS = 20
"""How many connectors a client's page lists; the rest is one click away."""

STATE_TONES = {
    OAuthClient.State.UNCHECKED: "warning",
    OAuthClient.State.USABLE: "success",
    OAuthClient.State.MISCONFIGURED: "danger",
}


class ClientProviderFilter(DropdownFilter):  # type: ignore[misc]
    """Clients by the company at which they are registered."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(found.id, found.name) for found in providers()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OAuthClient]) -> QuerySet[OAuthClient]:
        return queryset.filter(provider=self.value()) if self.value() else queryset


@admin.register(OAuthClient)
class OAuthClientAdmin(OverviewMixin, PortalAdmin):
    form = OAuthClientForm
    list_display = ["head", "provider_", "workspace_", "state_", "tokens_", "checked_"]
    list_display_links = ["head"]
    list_select_related = ["workspace"]
    list_filter = [("state", ChoicesDropdownFilter), ClientProviderFilter, ("workspace", VisibleAutocompleteFilter)]
    list_before_template = "connectors/integration_type/support_link.html"
    search_fields = ["name", "slug", "provider", "client_id"]
    search_help_text = _("Search by name, provider or client id")
    ordering = ["name"]
    autocomplete_fields = ["workspace"]
    choices_need = {"workspace": "add_oauthclient"}
    change_form_outer_before_template = "connectors/oauth_client/overview.html"
    empty_icon = "key"
    empty_title = _("No OAuth client yet")
    empty_text = _("An OAuth client is your team's own app at a provider. With one the portal can hold tokens itself.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OAuthClient]:
        rows = super().get_queryset(request)
        return rows.with_token_counts(request.user)  # type: ignore[attr-defined, no-any-return]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A client belongs to a workspace, or to all: a role at projects alone gives nowhere to add one."""
        return may_in_a_workspace(request.user, ADD_CLIENT)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Model]:
        """A client for every workspace is made by those who may do so everywhere."""
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "workspace":
            field.required = not may_everywhere(request.user, ADD_CLIENT)
        return field

    def get_fieldsets(self, request: HttpRequest, obj: OAuthClient | None = None) -> Any:
        secret = ["secret_summary", "secret", "forget_secret"] if obj else ["secret"]
        return [
            (None, {"fields": ["provider", "name", "slug", "workspace"]}),
            (_("From the provider"), {"fields": ["client_id", *secret, "is_testing"]}),
            (_("Settings"), {"fields": ["settings", "version"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return ["slug", "secret_summary"] if obj else []

    def get_prepopulated_fields(self, request: HttpRequest, obj: Model | None = None) -> dict[str, list[str]]:
        return {} if obj else {"slug": ["name"]}

    @admin.display(description=_("OAuth client"), ordering="name")
    def head(self, row: OAuthClient) -> SafeString:
        return cells.two_lines(row.name, row.slug, avatar=cells.initials(provider_name(row.provider)))

    @admin.display(description=_("Provider"), ordering="provider")
    def provider_(self, row: OAuthClient) -> str:
        return provider_name(row.provider)

    @admin.display(description=_("Workspace"), ordering="workspace__name")
    def workspace_(self, row: OAuthClient) -> Any:
        return row.workspace.name if row.workspace else format_html('<span class="pc-muted">{}</span>', _("All"))

    @admin.display(description=_("State"), ordering="state")
    def state_(self, row: OAuthClient) -> SafeString:
        return state_badge(row)

    @admin.display(description=_("Tokens"), ordering="token_count")
    def tokens_(self, row: Any) -> Any:
        if not row.token_count:
            return cells.NOTHING
        return format_html('<a href="{}">{}</a>', tokens_address(row), row.token_count)

    @admin.display(description=_("Checked"), ordering=F("checked_at").desc(nulls_last=True))
    def checked_(self, row: OAuthClient) -> SafeString:
        return cells.when(row.checked_at)

    @admin.display(description=_("Secret"))
    def secret_summary(self, row: OAuthClient) -> SafeString:
        if not row.client_secret:
            return cells.badge(_("Not set"), "neutral")
        return format_html("{} {}", cells.badge(_("Set"), "success"), cells.when(row.secret_set_at, never=""))

    def overview_of(self, request: HttpRequest, row: OAuthClient | None) -> dict[str, Any]:
        if row is not None:
            return overview(row, request)
        return guide(request, str(request.POST.get("provider") or request.GET.get("provider") or ""))

    def save_model(self, request: HttpRequest, obj: OAuthClient, form: ModelForm[OAuthClient], change: bool) -> None:
        typed = form.cleaned_data.get("secret")
        save_client(
            obj,
            actor_of(request),
            secret=SecretStr(typed) if typed else None,
            forget_secret=bool(form.cleaned_data.get("forget_secret")),
        )
        if obj.state == OAuthClient.State.UNCHECKED:
            messages.info(request, _("Check the client to see whether the provider accepts it."))

    def response_add(
        self, request: HttpRequest, obj: OAuthClient, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Leads to the client's page, where its redirect URI is and the check."""
        if "_popup" in request.POST or "_addanother" in request.POST:
            response: HttpResponse = super().response_add(request, obj, post_url_continue)
            return response
        messages.success(request, _("%(name)s was added. Register its redirect URI at the provider.") % {"name": obj})
        return HttpResponseRedirect(reverse("admin:connectors_oauthclient_change", args=[obj.pk]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, Any, Any]:
        """The connectors that hold tokens of it stand in the way; nothing else that goes with it is worth a word."""
        protected = [text for row in objs for text in users_of(row, request.user)]
        return [str(row) for row in objs], {OAuthClient._meta.verbose_name_plural: len(objs)}, set(), protected

    def effects_of_deleting(self, row: OAuthClient) -> Sentences:
        return [
            _("The portal forgets the client and its secret, and no connector can be authorised with it any more."),
            _("At the provider the client stays: delete it there as well."),
        ]

    def delete_model(self, request: HttpRequest, obj: OAuthClient) -> None:
        delete_client(obj, actor_of(request), request.user)


def state_badge(row: OAuthClient) -> SafeString:
    """Whether the client works, with the reason on hover."""
    state = OAuthClient.State(row.state)
    return cells.badge(state.label, STATE_TONES[state], title=row.state_note)


def tokens_address(row: OAuthClient) -> str:
    """The list of the tokens that were issued to this client."""
    return f"{reverse('admin:connectors_token_changelist')}?oauth_client__id__exact={row.pk}"


def guide(request: HttpRequest, provider_id: str) -> dict[str, Any]:
    """How to make a client at this provider, for the page that adds one."""
    found = provider(provider_id)
    example = redirect_uri(request, OAuthClient(slug="SHORT-NAME"))
    return {"guide_id": GUIDE, "example_uri": example, **(_of_provider(found) if found else {})}


def overview(row: OAuthClient, request: HttpRequest) -> dict[str, Any]:
    """What stands above a client's form, in a fixed number of queries."""
    found = provider(row.provider)
    context = {
        "client": row,
        "redirect_uri": redirect_uri(request, row),
        "state_badge": state_badge(row),
        "provider_name": provider_name(row.provider),
        "tokens": _tokens(row, request),
        "max_tokens": MAX_TOKENS,
        "tokens_address": tokens_address(row),
    }
    context |= _of_provider(found) if found else {}
    if row.has_own_server:
        context |= {"console_url": None, "console_steps": ()}  # they are the public service's
    return context


def _of_provider(found: Provider) -> dict[str, Any]:
    facts = found.types[0].oauth
    pages = {info.oauth.scopes_url or info.docs_url: info.display_name for info in reversed(found.types)}
    return {
        "provider_name": found.name,
        "console_url": facts.console_url,
        "console_steps": facts.console_steps,
        "scope_pages": [(url, name) for url, name in reversed(pages.items()) if url],
        "types": [(info, support_badge(support_of(info))) for info in found.types],
    }


def _tokens(row: OAuthClient, request: HttpRequest) -> list[dict[str, Any]]:
    """The connectors that hold a token of this client, with how it stands."""
    now = timezone.now()
    found = (
        Token.objects.visible_to(request.user)
        .filter(oauth_client=row)
        .select_related("connector__integration_type", "connector__project__workspace")
        .defer("access_token", "refresh_token", "connector__source", "connector__project__notes")
        .order_by("connector_id")[: MAX_TOKENS + 1]
    )
    lines = []
    for token in found:
        token.oauth_client = row
        condition = token.condition(now)
        badge = cells.badge(condition.label, cells.TOKEN_TONES[condition], title=token.last_error)
        lines.append({"token": token, "badge": badge})
    return lines

"""An OAuth client: the team's own app at a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from connectors.core.catalog import load_catalog
from connectors.core.roles import Reach

from .fields import SealedField
from .grants import grants_of
from .visibility import Person, VisibleQuerySet, either, in_projects, workspaces_around
from .workspace import Workspace

if TYPE_CHECKING:
    from .connector import Connector

validate_slug = RegexValidator(
    r"\A[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z", _("Use small letters, digits and single hyphens, such as google-sales.")
)


def provider_of(type_: str) -> str:
    """The catalogue's provider behind an integration type, "" for a type that the catalogue does not know."""
    info = load_catalog().types.get(type_)
    return info.provider if info else ""


def names_own_server(settings: Mapping[str, str]) -> bool:
    """Whether a client with these settings gets its tokens from another server than the catalogue's."""
    return bool(settings.get("token_url") or settings.get("issuer"))


def validate_settings(value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValidationError(_("The settings are a set of named texts."))


class OAuthClientQuerySet(VisibleQuerySet["OAuthClient"]):
    project_path = ""
    workspace_path = "workspace"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Whoever may see a project's tokens may see its workspace's clients, and those that serve all workspaces."""
        found = [super().at_place(reach, viewing=viewing)]
        if viewing:
            found += [Q(workspace=None), Q(workspace__in=workspaces_around(reach))]
        return either(found)

    def serving(self, connector: Connector) -> OAuthClientQuerySet:
        """Those with which this connector can be authorised: of its type's provider, for its workspace or for all.

        Clients of its own workspace come first.
        """
        return self.filter(
            Q(workspace=None) | Q(workspace=connector.project.workspace_id),
            provider=provider_of(connector.integration_type_id),
        ).order_by(models.F("workspace").asc(nulls_last=True), "name")

    def with_token_counts(self, user: Person) -> OAuthClientQuerySet:
        """Adds `token_count`: connectors whose token was issued to this client, of those that `user` may see."""
        reach = grants_of(user).reach("view_token")
        seen = Q() if reach.everywhere else in_projects("tokens__connector__project", reach)
        return self.annotate(token_count=Count("tokens", filter=seen))


class OAuthClient(models.Model):
    """One row is one client id with its secret, registered at one provider.

    `slug` stands in the redirect URI that is registered at the provider, so it never changes; and each client has a
    redirect URI of its own, so that an answer meant for one provider cannot be passed off as another's (RFC 9700, 4.4).
    """

    class State(models.TextChoices):
        UNCHECKED = "unchecked", _("Not checked yet")
        USABLE = "usable", _("Usable")
        MISCONFIGURED = "misconfigured", _("Misconfigured")

    name = models.CharField(_("name"), max_length=100, unique=True, help_text=_("How your team calls this client."))
    slug = models.CharField(
        _("short name"),
        max_length=50,
        unique=True,
        validators=[validate_slug],
        help_text=_("Part of the redirect URI that you register at the provider; it can't be changed later."),
    )
    provider = models.CharField(_("provider"), max_length=50, help_text=_("At whom the client is registered."))
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="oauth_clients",
        verbose_name=_("workspace"),
        help_text=_("Whose connectors may use it. Empty: those of every workspace."),
    )
    client_id = models.CharField(_("client id"), max_length=400)
    client_secret = SealedField(help_text=_("Empty for a public client."))
    secret_set_at = models.DateTimeField(null=True, blank=True, editable=False)
    settings = models.JSONField(
        _("settings"),
        default=dict,
        blank=True,
        validators=[validate_settings],
        help_text=_("Values that this provider's addresses need, and addresses that differ from the usual ones."),
    )
    is_testing = models.BooleanField(
        _("in testing mode"),
        default=False,
        help_text=_("The app is not published at the provider. Google ends such an app's tokens after seven days."),
    )
    state = models.CharField(
        _("state"), max_length=15, choices=State.choices, default=State.UNCHECKED, editable=False, db_index=True
    )
    state_note = models.CharField(max_length=300, blank=True, editable=False, help_text=_("Why, in words."))
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = OAuthClientQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("OAuth client")
        verbose_name_plural = _("OAuth clients")

    def __str__(self) -> str:
        return self.name

    @property
    def has_own_server(self) -> bool:
        """Whether its tokens come from another server than the catalogue's: a self-managed one, or a sandbox."""
        return names_own_server(self.settings)

"""A project: one Base44 app whose connectors the portal manages."""

from __future__ import annotations

import datetime as dt
import re

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .visibility import VisibleQuerySet
from .workspace import Workspace

DEFAULT_CONNECTORS_DIR = "base44/connectors"

validate_app_id = RegexValidator(
    r"\A[A-Za-z0-9_-]+\Z", _("An app id has letters, digits, - and _ only; it is the last part of the app's address.")
)


def validate_connectors_dir(value: str) -> None:
    """A relative folder with / between its parts that stays inside the repository."""
    parts = value.split("/")
    if "\\" in value or value.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValidationError(_("Enter a folder inside the repository, like base44/connectors."))


_TAG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")


def validate_tags(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(tag, str) and _TAG.fullmatch(tag) for tag in value):
        raise ValidationError(_("Tags are short words of small letters, digits, - _ and dots."))


class ProjectQuerySet(VisibleQuerySet["Project"]):
    project_path = "pk"

    def due(self, now: dt.datetime) -> ProjectQuerySet:
        """Projects whose periodic sync is due at `now` and whose workspace has a credential."""
        return self.filter(Q(next_sync_at=None) | Q(next_sync_at__lte=now)).exclude(
            workspace__credential_state__in=[Workspace.CredentialState.MISSING, Workspace.CredentialState.REFUSED]
        )


class Project(models.Model):
    """One row is one Base44 app, in one environment, with its connectors."""

    class Environment(models.TextChoices):
        DEVELOPMENT = "development", _("Development")
        STAGING = "staging", _("Staging")
        PRODUCTION = "production", _("Production")

    class StripeMode(models.TextChoices):
        UNKNOWN = "unknown", _("Not known yet")
        NONE = "", _("Not installed")
        SANDBOX = "sandbox", _("Sandbox")
        LIVE = "live", _("Live")

    workspace = models.ForeignKey(
        Workspace, on_delete=models.PROTECT, related_name="projects", verbose_name=_("workspace")
    )
    name = models.CharField(_("name"), max_length=100)
    slug = models.SlugField(
        _("slug"),
        max_length=100,
        unique=True,
        help_text=_("Short name for the shell and for the folders of exported files."),
    )
    app_id = models.CharField(
        _("Base44 app id"),
        max_length=100,
        unique=True,
        validators=[validate_app_id],
        help_text=_("The id in the app's address at Base44, and in base44/.app.jsonc of its repository."),
    )
    environment = models.CharField(
        _("environment"), max_length=20, choices=Environment.choices, default=Environment.DEVELOPMENT, db_index=True
    )
    connectors_dir = models.CharField(
        _("connectors directory"),
        max_length=200,
        default=DEFAULT_CONNECTORS_DIR,
        validators=[validate_connectors_dir],
        help_text=_("Where the connector files lie in the project's repository."),
    )
    tags = models.JSONField(
        _("tags"),
        default=list,
        blank=True,
        validators=[validate_tags],
        help_text=_("Words to group projects by, such as payments; policies can be about them."),
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("owner"),
        help_text=_("Who answers for what this app may do: reviews and reminders go to them."),
    )
    notes = models.TextField(_("notes"), blank=True, help_text=_("Anything colleagues should know."))
    stripe_mode = models.CharField(
        _("Stripe"), max_length=10, choices=StripeMode.choices, default=StripeMode.UNKNOWN, blank=True, editable=False
    )
    synced_at = models.DateTimeField(
        _("last sync"), null=True, blank=True, editable=False, help_text=_("When Base44's list was last read in full.")
    )
    sync_error = models.TextField(_("last sync error"), blank=True, editable=False)
    next_sync_at = models.DateTimeField(null=True, blank=True, editable=False, db_index=True)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.name

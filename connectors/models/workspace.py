"""A Base44 workspace: one credential, one rate budget, many apps."""

from __future__ import annotations

import re
from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from .fields import SealedField
from .grants import grants_of
from .visibility import Person, VisibleQuerySet, in_projects, workspaces_around

DEFAULT_API_URL = "https://app.base44.com"

VIEW = "view_workspace"

validate_api_url = RegexValidator(
    r"\Ahttps?://[^/?#@\s]+/?\Z",
    _("Enter the address of the Base44 service, like https://app.base44.com: scheme and host, without a path."),
)

_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def validate_domains(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and _DOMAIN.fullmatch(item) for item in value):
        raise ValidationError(_("Enter domains in small letters, such as acme.com."))


def _projects_seen_by(user: Person) -> Q:
    reach = grants_of(user).reach("view_project")
    return Q() if reach.everywhere else in_projects("projects", reach)


class WorkspaceQuerySet(VisibleQuerySet["Workspace"]):
    project_path = ""
    workspace_path = "pk"

    def permitted(self, user: Person, codename: str) -> Self:
        """As everywhere; but whoever has a role at a project alone may see its workspace: its name and its state.

        That holds for seeing the workspace and for nothing else that can be seen there, such as its people.
        """
        reach = grants_of(user).reach(codename)
        if codename != VIEW or reach.everywhere or not reach.projects:
            return super().permitted(user, codename)
        return self.filter(Q(pk__in=reach.workspaces) | Q(pk__in=workspaces_around(reach)))

    def known_to(self, user: Person) -> Self:
        """Those of which somebody may see everything, by a role at the workspace itself or everywhere."""
        reach = grants_of(user).reach(VIEW)
        return self if reach.everywhere else self.filter(pk__in=reach.workspaces)

    def with_project_counts(self, user: Person | None = None) -> WorkspaceQuerySet:
        """Adds `project_count` and `failing_count` (projects whose last sync failed), of what `user` may see."""
        counted = Q() if user is None else _projects_seen_by(user)
        return self.annotate(
            project_count=Count("projects", filter=counted),
            failing_count=Count("projects", filter=counted & ~Q(projects__sync_error="")),
        )


class Workspace(models.Model):
    """One row is one Base44 workspace that the portal has a credential for."""

    class Plan(models.TextChoices):
        """Base44's plans, which multiply the base rate limits (docs.base44.com, rate limits)."""

        STARTER = "starter", _("Free or Starter (1×)")
        BUILDER = "builder", _("Builder (2×)")
        PRO = "pro", _("Pro (3×)")
        BUSINESS = "business", _("Business, Elite or Education (5×)")
        ENTERPRISE = "enterprise", _("Enterprise (10×)")

    class CredentialKind(models.TextChoices):
        NONE = "", _("None")
        TOKEN = "token", _("Personal access token")
        DEVICE = "device", _("Device login")

    class CredentialState(models.TextChoices):
        MISSING = "missing", _("Not set")
        UNCHECKED = "unchecked", _("Not checked yet")
        ACCEPTED = "accepted", _("Accepted")
        REFUSED = "refused", _("Refused by Base44")

    RATE_MULTIPLIER = {
        Plan.STARTER: 1,
        Plan.BUILDER: 2,
        Plan.PRO: 3,
        Plan.BUSINESS: 5,
        Plan.ENTERPRISE: 10,
    }

    name = models.CharField(_("name"), max_length=100, unique=True, help_text=_("How your team calls this workspace."))
    base44_id = models.CharField(
        _("Base44 workspace id"),
        max_length=100,
        blank=True,
        help_text=_("From the workspace's settings at Base44. Discovery leaves out apps of other workspaces."),
    )
    api_url = models.CharField(
        _("API URL"),
        max_length=200,
        default=DEFAULT_API_URL,
        validators=[validate_api_url],
        help_text=_("Leave as it is unless you test against an emulator or a proxy."),
    )
    plan = models.CharField(
        _("plan"),
        max_length=20,
        choices=Plan.choices,
        default=Plan.STARTER,
        help_text=_("Base44 allows more calls a minute on larger plans. When unsure, leave the smallest."),
    )
    credential_kind = models.CharField(max_length=10, choices=CredentialKind.choices, blank=True, editable=False)
    credential = SealedField(help_text=_("Personal access token, or the access token of a device login."))
    credential_refresh = SealedField(help_text=_("Refresh token of a device login; replaced at each use."))
    credential_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    credential_generation = models.PositiveIntegerField(default=0, editable=False)
    credential_lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    credential_set_at = models.DateTimeField(null=True, blank=True, editable=False)
    credential_state = models.CharField(
        _("credential"),
        max_length=10,
        choices=CredentialState.choices,
        default=CredentialState.MISSING,
        editable=False,
    )
    credential_account = models.CharField(_("signed in as"), max_length=200, blank=True, editable=False)
    credential_checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    allowed_account_domains = models.JSONField(
        _("allowed account domains"),
        default=list,
        blank=True,
        validators=[validate_domains],
        help_text=_(
            "Connectors may be authorised in the portal only with accounts of these domains, such as acme.com. "
            "Empty: any account."
        ),
    )
    auto_added_scopes = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Scopes that Base44 adds by itself, by integration type, as it last said."),
    )
    auto_added_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = WorkspaceQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("workspace")
        verbose_name_plural = _("workspaces")

    def __str__(self) -> str:
        return self.name

    @property
    def rate_multiplier(self) -> int:
        """By how much Base44's base limits are multiplied on this workspace's plan."""
        return self.RATE_MULTIPLIER[self.Plan(self.plan)]

    def is_known_to(self, user: Person) -> bool:
        """Whether somebody may see everything of it, and not only its name and state; without a query."""
        return grants_of(user).reach(VIEW).covers(self.pk)

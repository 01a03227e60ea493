"""How people get in: invitations, and the providers of single sign-on with the groups that they speak of."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import SealedField
from .membership import RoleChoices
from .project import Project
from .visibility import VisibleQuerySet
from .workspace import Workspace, validate_domains


class InvitationQuerySet(VisibleQuerySet["Invitation"]):
    workspace_path = "workspace"

    def open(self, now: dt.datetime) -> InvitationQuerySet:
        """Those with which somebody can still join."""
        return self.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=now)


class Invitation(models.Model):
    """One row asks one person, by e-mail, to join with a role; only a hash of its link is kept.

    Its place is as a membership's: one project, one workspace, or with neither everywhere.
    """

    email = models.EmailField(_("e-mail address"))
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    role = models.CharField(_("role"), max_length=10, choices=RoleChoices.choices, default=RoleChoices.VIEWER)
    workspace = models.ForeignKey(
        Workspace, null=True, blank=True, on_delete=models.CASCADE, related_name="+", verbose_name=_("workspace")
    )
    project = models.ForeignKey(
        Project, null=True, blank=True, on_delete=models.CASCADE, related_name="+", verbose_name=_("project")
    )
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("invited by")
    )
    invited_by_label = models.CharField(_("invited by"), max_length=200, blank=True)
    invited_at = models.DateTimeField(_("invited"), auto_now_add=True)
    expires_at = models.DateTimeField(_("ends"))
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("joined as")
    )
    accepted_at = models.DateTimeField(_("joined"), null=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return self.email


class SignInProvider(models.Model):
    """One row is one provider with whose accounts people log in to the portal, beside passwords or instead of them."""

    class Kind(models.TextChoices):
        """allauth's names of its providers."""

        OPENID_CONNECT = "openid_connect", _("OpenID Connect")
        GOOGLE = "google", _("Google")
        MICROSOFT = "microsoft", _("Microsoft")
        GITHUB = "github", _("GitHub")
        GITLAB = "gitlab", _("GitLab")

    class Admits(models.TextChoices):
        """Who may come who has no login yet."""

        INVITED = "invited", _("Only who was invited")
        DOMAIN = "domain", _("Whoever has an address of these domains")

    slug = models.SlugField(_("short name"), max_length=50, unique=True, help_text=_("Part of the redirect URI."))
    name = models.CharField(_("name"), max_length=100, help_text=_("As the button on the login page says it."))
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices, default=Kind.OPENID_CONNECT)
    is_enabled = models.BooleanField(_("in use"), default=True)
    server_url = models.CharField(
        _("issuer"), max_length=300, blank=True, help_text=_("For OpenID Connect: as the provider's discovery says it.")
    )
    client_id = models.CharField(_("client id"), max_length=300)
    client_secret = SealedField(help_text=_("Client secret."))
    allowed_domains = models.JSONField(
        _("domains"),
        default=list,
        blank=True,
        validators=[validate_domains],
        help_text=_("Only verified addresses of these domains are let in. Empty: of any."),
    )
    admits = models.CharField(_("new people"), max_length=10, choices=Admits.choices, default=Admits.INVITED)
    groups_claim = models.CharField(
        _("claim of groups"),
        max_length=100,
        blank=True,
        help_text=_("Where the provider says in which groups somebody is, such as groups. Empty: groups are not read."),
    )
    counts_as_second_factor = models.BooleanField(
        _("counts as second factor"),
        default=False,
        help_text=_("Only where the provider itself asks everybody for a second factor."),
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    class Meta:
        ordering = ["name"]
        verbose_name = _("sign-in provider")
        verbose_name_plural = _("sign-in providers")

    def __str__(self) -> str:
        return self.name


class GroupMapping(models.Model):
    """One row says: whoever a provider has in this group of its own is in this group here, and leaves it as they do."""

    provider = models.ForeignKey(
        SignInProvider, on_delete=models.CASCADE, related_name="group_mappings", verbose_name=_("provider")
    )
    claim_value = models.CharField(_("group at the provider"), max_length=300)
    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="+", verbose_name=_("group here"))

    class Meta:
        ordering = ["claim_value"]
        verbose_name = _("group mapping")
        verbose_name_plural = _("group mappings")
        constraints = [models.UniqueConstraint(fields=["provider", "claim_value", "group"], name="groupmapping_unique")]

    def __str__(self) -> str:
        return self.claim_value

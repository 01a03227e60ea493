"""Four eyes: what has to be approved by another person where, and what somebody asked to have approved."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import Reach

from .project import Project
from .visibility import Person, VisibleQuerySet
from .workspace import Workspace


class Subject(models.TextChoices):
    """What can need a second person."""

    PLAN = "plan", _("Applying a plan")
    REVOKE = "revoke", _("Revoking a token")
    EXCEPTION = "exception", _("An exception from a policy")
    EXPORT = "export", _("Exporting files")


def validate_subjects(value: object) -> None:
    known = set(Subject.values)
    if not isinstance(value, list) or not all(item in known for item in value):
        raise ValidationError(_("Choose from the list what needs a second person."))


class ApprovalDemandQuerySet(VisibleQuerySet["ApprovalDemand"]):
    project_path = ""
    workspace_path = "workspace"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """What is demanded everywhere concerns everybody who may see any."""
        place = super().at_place(reach, viewing=viewing)
        everywhere = Q(workspace=None)
        if not viewing:
            return place
        return everywhere if place is None else place | everywhere


class ApprovalDemand(models.Model):
    """One row says what needs another person's approval in one environment: of one workspace, or of all."""

    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="approval_demands",
        verbose_name=_("workspace"),
        help_text=_("Empty: all workspaces."),
    )
    environment = models.CharField(
        _("environment"), max_length=20, choices=Project.Environment.choices, default=Project.Environment.PRODUCTION
    )
    subjects = models.JSONField(_("needs approval"), default=list, validators=[validate_subjects])
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = ApprovalDemandQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("approval rule")
        verbose_name_plural = _("approval rules")
        constraints = [
            models.UniqueConstraint(Coalesce("workspace", 0), "environment", name="approvaldemand_one_per_environment")
        ]

    def __str__(self) -> str:
        return self.get_environment_display()


class ApprovalQuerySet(VisibleQuerySet["Approval"]):
    def waiting(self, now: dt.datetime) -> ApprovalQuerySet:
        """Those that somebody can still decide on."""
        return self.filter(state=Approval.State.OPEN, expires_at__gt=now)

    def to_decide_by(self, user: Person, now: dt.datetime) -> ApprovalQuerySet:
        """Those that wait for this person: nobody decides on what they asked for themselves."""
        return self.waiting(now).permitted(user, "decide_approval").exclude(asked_by=user.pk)

    def usable(self, now: dt.datetime) -> ApprovalQuerySet:
        """Those that allow what they are about, once."""
        return self.filter(state=Approval.State.APPROVED, expires_at__gt=now)


class Approval(models.Model):
    """One row is one thing that somebody wants to do and another person has to agree to.

    `fingerprint` names exactly what was shown to both; what has changed since needs a new approval. `proposal` is what
    was shown, for whoever decides and for the record; it holds no secret.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Waiting")
        APPROVED = "approved", _("Approved")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        USED = "used", _("Done")
        EXPIRED = "expired", _("Expired")

    subject = models.CharField(_("what"), max_length=10, choices=Subject.choices)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="approvals", verbose_name=_("project"))
    title = models.CharField(_("title"), max_length=200)
    proposal = models.JSONField(_("what was shown"), default=dict)
    fingerprint = models.CharField(max_length=64, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN, db_index=True)
    reason = models.TextField(_("reason"), blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("asked by")
    )
    asked_by_label = models.CharField(_("asked by"), max_length=200)
    asked_at = models.DateTimeField(_("asked"), auto_now_add=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("decided by")
    )
    decided_by_label = models.CharField(_("decided by"), max_length=200, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True)
    decision_note = models.TextField(_("note"), blank=True)
    expires_at = models.DateTimeField(_("ends"))
    used_at = models.DateTimeField(_("done"), null=True)
    told_state = models.CharField(max_length=10, blank=True, editable=False)
    """The state that people were last told of by e-mail, "" for none: see `flows.approval_mail`."""

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        permissions = [("decide_approval", "Can approve and decline what others want to do")]
        indexes = [models.Index(fields=["project", "subject", "state"], name="approval_project_state")]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "subject", "fingerprint"], condition=Q(state="open"), name="approval_one_open"
            )
        ]

    def __str__(self) -> str:
        return self.title

"""The team's rules about scopes, the exceptions from them, and where they are broken now."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .connector import Connector
from .ledger import MAX_SCOPE, Sensitivity
from .project import Project
from .visibility import VisibleQuerySet


def validate_texts(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise ValidationError(_("Enter a list of texts, none of them empty."))


class PolicyRuleQuerySet(VisibleQuerySet["PolicyRule"]):
    project_path = ""
    is_shared = True

    def in_force(self) -> PolicyRuleQuerySet:
        return self.filter(is_enabled=True)

    def unchecked(self) -> PolicyRuleQuerySet:
        """Those that were changed or switched since the fleet was last judged."""
        return self.filter(Q(checked_at=None) | Q(checked_at__lt=F("updated_at")))


class PolicyRule(models.Model):
    """One row is one rule: which scopes, where, and what happens when somebody asks for them.

    A scope is meant when every condition that the rule states holds; an empty condition holds always. With
    `account_domains` the rule is broken only by accounts of other domains; with `never_with` only where another scope
    of the same project matches one of these patterns.
    """

    class Effect(models.TextChoices):
        WARN = "warn", _("Warn")
        APPROVAL = "approval", _("Needs approval")
        BLOCK = "block", _("Block")

    name = models.CharField(
        _("name"), max_length=100, unique=True, help_text=_("Named wherever the rule stops someone.")
    )
    explanation = models.TextField(
        _("explanation"),
        blank=True,
        help_text=_("Why the rule is there and what to do instead; shown to whom it stops."),
    )
    effect = models.CharField(_("effect"), max_length=10, choices=Effect.choices, default=Effect.WARN)
    is_enabled = models.BooleanField(
        _("in force"), default=False, help_text=_("Look at its rehearsal before you switch it on.")
    )
    environments = models.JSONField(_("environments"), default=list, blank=True, validators=[validate_texts])
    tags = models.JSONField(_("project tags"), default=list, blank=True, validators=[validate_texts])
    types = models.JSONField(_("integration types"), default=list, blank=True, validators=[validate_texts])
    scope_patterns = models.JSONField(
        _("scopes"),
        default=list,
        blank=True,
        validators=[validate_texts],
        help_text=_(
            "Scopes or patterns with *, such as https://www.googleapis.com/auth/gmail.*; any one has to match."
        ),
    )
    min_sensitivity = models.SmallIntegerField(
        _("sensitivity from"), null=True, blank=True, choices=Sensitivity.choices, help_text=_("This grave or graver.")
    )
    account_domains = models.JSONField(
        _("allowed account domains"),
        default=list,
        blank=True,
        validators=[validate_texts],
        help_text=_("Broken by accounts of other domains. Empty: the account does not matter."),
    )
    never_with = models.JSONField(
        _("never together with"),
        default=list,
        blank=True,
        validators=[validate_texts],
        help_text=_("Scopes or patterns that must not stand in the same project."),
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    checked_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When the fleet was last judged by it, in force or not.")
    )

    objects = PolicyRuleQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("policy")
        verbose_name_plural = _("policies")

    def __str__(self) -> str:
        return self.name


class PolicyExceptionQuerySet(VisibleQuerySet["PolicyException"]):
    def in_force(self, now: dt.datetime) -> PolicyExceptionQuerySet:
        """Granted and not over."""
        return self.filter(state=PolicyException.State.GRANTED, expires_at__gt=now)

    def waiting(self) -> PolicyExceptionQuerySet:
        return self.filter(state=PolicyException.State.REQUESTED)


class PolicyException(models.Model):
    """One row is a request that one rule shall not hold in one project for a while, and what became of it.

    This is also how a rule that needs approval is approved. The owner answers for it.
    """

    class State(models.TextChoices):
        REQUESTED = "requested", _("Waiting for a decision")
        GRANTED = "granted", _("Granted")
        DECLINED = "declined", _("Declined")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        ENDED = "ended", _("Ended")

    rule = models.ForeignKey(PolicyRule, on_delete=models.CASCADE, related_name="exceptions", verbose_name=_("policy"))
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="policy_exceptions", verbose_name=_("project")
    )
    type_slug = models.CharField(_("type"), max_length=100, blank=True, help_text=_("Empty: all types of the project."))
    scope = models.CharField(
        _("scope"),
        max_length=MAX_SCOPE,
        blank=True,
        help_text=_("A scope or a pattern with *. Empty: all that the rule means."),
    )
    reason = models.TextField(_("reason"))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("owner")
    )
    owner_label = models.CharField(_("owner"), max_length=200)
    expires_at = models.DateTimeField(_("expires"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.REQUESTED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("requested by")
    )
    requested_by_label = models.CharField(_("requested by"), max_length=200)
    requested_at = models.DateTimeField(_("requested"), auto_now_add=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("decided by")
    )
    decided_by_label = models.CharField(_("decided by"), max_length=200, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decision_note = models.TextField(_("note on the decision"), blank=True)

    objects = PolicyExceptionQuerySet.as_manager()

    class Meta:
        ordering = ["-requested_at", "-pk"]
        verbose_name = _("policy exception")
        verbose_name_plural = _("policy exceptions")
        permissions = [("decide_policyexception", "Can grant and decline policy exceptions")]
        indexes = [models.Index(fields=["project", "state"], name="policyexception_project")]

    def __str__(self) -> str:
        return f"exception #{self.pk}"


class PolicyFindingQuerySet(VisibleQuerySet["PolicyFinding"]):
    seen_with = "policyrule"

    def counting(self) -> PolicyFindingQuerySet:
        """Those that no exception covers."""
        return self.filter(exception=None)


class PolicyFinding(models.Model):
    """One row is one rule in force that one connector breaks as it stands now. Made anew by `flows.policies`."""

    rule = models.ForeignKey(PolicyRule, on_delete=models.CASCADE, related_name="findings", verbose_name=_("policy"))
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", verbose_name=_("project"))
    connector = models.ForeignKey(
        Connector, on_delete=models.CASCADE, related_name="policy_findings", verbose_name=_("connector")
    )
    scopes = models.JSONField(_("scopes"), default=list)
    sentence = models.TextField(_("finding"))
    exception = models.ForeignKey(
        PolicyException, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("exception")
    )
    since = models.DateTimeField(_("since"))

    objects = PolicyFindingQuerySet.as_manager()

    class Meta:
        ordering = ["project", "connector", "rule"]
        verbose_name = _("policy finding")
        verbose_name_plural = _("policy findings")
        constraints = [models.UniqueConstraint(fields=["rule", "connector"], name="policyfinding_unique")]
        indexes = [models.Index(fields=["project"], name="policyfinding_counting", condition=Q(exception__isnull=True))]

    def __str__(self) -> str:
        return self.sentence

"""The ledger: every scope of every connector as it stands now, and since when it stood how."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .connector import Connector
from .integration_type import IntegrationType
from .project import Project
from .sync_run import SyncRun
from .visibility import VisibleQuerySet

MAX_SCOPE = 300
"""Characters of a scope that the ledger tells apart; the longest known one has 106."""


class Sensitivity(models.IntegerChoices):
    """How much harm a scope can do; numbers, because as texts "critical" would come before "low"."""

    LOW = 0, _("Low")
    MEDIUM = 1, _("Medium")
    HIGH = 2, _("High")
    CRITICAL = 3, _("Critical")


class LedgerEntryQuerySet(VisibleQuerySet["LedgerEntry"]):
    def differing(self) -> LedgerEntryQuerySet:
        """Those whose sides differ in a way that nothing explains."""
        return self.filter(differs=True)

    def matching(self, text: str) -> LedgerEntryQuerySet:
        """Those for which each word stands in the project's or type's name, in the scope, or in what it allows."""
        from .ledger_search import entries_with

        found = self
        for condition in entries_with(text):
            found = found.filter(condition)
        return found

    def with_names(self) -> LedgerEntryQuerySet:
        """With the project and type that they are shown with, and without what no page shows."""
        rows = self.select_related("project__workspace", "integration_type")
        return rows.defer("project__notes", "integration_type__description")


class LedgerEntry(models.Model):
    """One row is one scope of one connector: which of the four sides list it, and what follows from that.

    Derived from the connector, its token and the catalogue by `flows.ledger`, which can make it anew at any time.
    A side is None where it is not known. What filters and groups need of other rows is repeated here.
    """

    class Verdict(models.TextChoices):
        """As `core.ledger.Verdict`."""

        AGREES = "agrees", _("In agreement")
        IMPLIED = "implied", _("Implied by another")
        ALIAS = "alias", _("Another name")
        AUTO_ADDED = "auto_added", _("Added by itself")
        UNKNOWABLE = "unknowable", _("Not knowable")
        MISSING = "missing", _("Missing")
        EXCESS = "excess", _("Excess")
        DRIFT = "drift", _("Drift")

    class Policy(models.TextChoices):
        """The gravest that the team's rules say of this scope here."""

        NONE = "", _("Allowed")
        EXCEPTED = "excepted", _("By exception")
        WARN = "warn", _("Warning")
        APPROVAL = "approval", _("Needs approval")
        BLOCK = "block", _("Forbidden")

    connector = models.ForeignKey(
        Connector, on_delete=models.CASCADE, related_name="ledger", verbose_name=_("connector")
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="ledger", verbose_name=_("project"))
    integration_type = models.ForeignKey(
        IntegrationType, on_delete=models.PROTECT, related_name="+", verbose_name=_("type")
    )
    provider = models.CharField(_("provider"), max_length=100, blank=True)
    environment = models.CharField(_("environment"), max_length=20, choices=Project.Environment.choices)
    scope = models.CharField(_("scope"), max_length=MAX_SCOPE, help_text=_("In the provider's main spelling."))
    spelled = models.CharField(max_length=MAX_SCOPE, help_text=_("As the first side that lists it writes it."))
    declared = models.BooleanField(_("declared"), null=True)
    repository = models.BooleanField(_("in the repository"), null=True)
    registered = models.BooleanField(_("registered"), null=True)
    granted = models.BooleanField(_("granted"), null=True)
    verdict = models.CharField(_("verdict"), max_length=12, choices=Verdict.choices)
    differs = models.BooleanField(_("differs"), default=False, help_text=_("The verdict asks for somebody."))
    reason = models.TextField(_("reason"))
    sensitivity = models.SmallIntegerField(
        _("sensitivity"), null=True, choices=Sensitivity.choices, help_text=_("The team's word before the catalogue's.")
    )
    account = models.CharField(_("account"), max_length=254, blank=True)
    person = models.CharField(_("authorised by"), max_length=200, blank=True)
    policy = models.CharField(_("policy"), max_length=10, choices=Policy.choices, blank=True, default=Policy.NONE)
    since = models.DateTimeField(_("since"), help_text=_("When a side first listed it without a break until now."))

    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        ordering = ["project", "integration_type", "scope"]
        verbose_name = _("ledger entry")
        verbose_name_plural = _("scope ledger")
        constraints = [models.UniqueConstraint(fields=["connector", "scope"], name="ledgerentry_unique_scope")]
        # Each filter goes along an index in the list's order: nothing is sorted, however many rows there are.
        indexes = [
            models.Index(fields=["project", "integration_type", "scope"], name="ledger_list"),
            models.Index(fields=["differs", "project", "integration_type", "scope"], name="ledger_differs"),
            models.Index(fields=["sensitivity", "project", "integration_type", "scope"], name="ledger_sensitivity"),
            models.Index(fields=["scope", "project", "integration_type"], name="ledger_scope"),
            models.Index(fields=["account", "project", "integration_type", "scope"], name="ledger_account"),
            models.Index(fields=["person", "project", "integration_type", "scope"], name="ledger_person"),
            models.Index(
                fields=["policy", "project", "integration_type", "scope"], name="ledger_policy", condition=~Q(policy="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} of {self.integration_type_id}"


class ScopePeriodQuerySet(VisibleQuerySet["ScopePeriod"]):
    seen_with = "ledgerentry"

    def open(self) -> ScopePeriodQuerySet:
        """What is so still."""
        return self.filter(until=None)

    def at(self, moment: dt.datetime) -> ScopePeriodQuerySet:
        """What was so at this moment. Name a project too: its history alone is then looked at."""
        return self.filter(Q(until=None) | Q(until__gt=moment), since__lte=moment)


class ScopePeriod(models.Model):
    """One row is a time during which one side listed one scope: the history behind the ledger.

    The row with an empty scope is the side itself: while it lasts, the side's list was known, and what it does not
    hold was not there; `is_listed` False: the side did not have the connector at all. Where no such row covers a
    moment, nobody knew. A change of account ends the row of the side and begins another. Rows outlive their connector
    and project, whose names are kept for that.
    """

    class Side(models.TextChoices):
        """As `core.ledger.Side`."""

        DECLARED = "declared", _("Declared")
        REPOSITORY = "repository", _("Repository")
        REGISTERED = "registered", _("Registered")
        GRANTED = "granted", _("Granted")

    project = models.ForeignKey(
        Project,
        null=True,
        on_delete=models.SET_NULL,
        db_index=False,  # the indexes below begin with it
        related_name="scope_periods",
        verbose_name=_("project"),
    )
    project_label = models.CharField(_("project"), max_length=100)
    type_slug = models.CharField(_("type"), max_length=100)
    side = models.CharField(_("side"), max_length=10, choices=Side.choices)
    scope = models.CharField(_("scope"), max_length=MAX_SCOPE, blank=True)
    account = models.CharField(_("account"), max_length=254, blank=True, help_text=_("On the row of the side only."))
    is_listed = models.BooleanField(
        default=True, help_text=_("On the row of the side: whether it has the connector at all.")
    )
    since = models.DateTimeField(_("since"))
    begun_through = models.CharField(_("begun through"), max_length=50, help_text=_("The event's verb."))
    begun_by = models.CharField(_("begun by"), max_length=200)
    begun_run = models.ForeignKey(
        SyncRun, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("run that found it")
    )
    until = models.DateTimeField(_("until"), null=True, help_text=_("None: it is so still."))
    ended_through = models.CharField(_("ended through"), max_length=50, blank=True)
    ended_by = models.CharField(_("ended by"), max_length=200, blank=True)
    ended_run = models.ForeignKey(
        SyncRun, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("run that found its end")
    )

    objects = ScopePeriodQuerySet.as_manager()

    class Meta:
        ordering = ["-since", "-id"]
        verbose_name = _("period of a scope")
        verbose_name_plural = _("history of scopes")
        constraints = [
            models.UniqueConstraint(
                fields=["project", "type_slug", "side", "scope"],
                condition=Q(until=None),
                name="scopeperiod_one_open",
            )
        ]
        indexes = [
            models.Index(fields=["project", "type_slug", "since"], name="scopeperiod_connector"),
            # Who had a scope then; with an empty scope, which connectors there were.
            models.Index(fields=["scope", "project", "type_slug", "since"], name="scopeperiod_scope"),
            models.Index(fields=["since"], name="scopeperiod_since"),
            models.Index(fields=["until"], name="scopeperiod_until", condition=Q(until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.scope or self.type_slug} {self.side} since {self.since:%Y-%m-%d}"

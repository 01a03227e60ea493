"""Access reviews: what was frozen, who has to look at it, and what they decided."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models
from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import Reach

from .connector import Connector
from .ledger import MAX_SCOPE, LedgerEntry, Sensitivity
from .project import Project
from .visibility import Person, VisibleQuerySet, either, in_projects
from .workspace import Workspace


class ReviewCampaignQuerySet(VisibleQuerySet["ReviewCampaign"]):
    project_path = ""
    workspace_path = "workspace"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Seen by whoever may see a project that it is about."""
        about = Q(pk__in=ReviewItem.objects.filter(in_projects("project", reach)).order_by().values("campaign"))
        return either([super().at_place(reach, viewing=viewing), about if viewing else None])

    def besides(self, user: Person) -> Q | None:
        """Those that ask them to decide on something."""
        return Q(pk__in=ReviewItem.objects.filter(owner=user.pk).order_by().values("campaign"))

    def open(self) -> ReviewCampaignQuerySet:
        return self.filter(state=ReviewCampaign.State.OPEN)


class ReviewCampaign(models.Model):
    """One row is one access review: a frozen snapshot of the ledger that owners decide on until a day."""

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        OPEN = "open", _("Open")
        CLOSED = "closed", _("Closed")

    name = models.CharField(
        _("name"), max_length=100, unique=True, help_text=_("Such as “Access review, autumn 2026”.")
    )
    instructions = models.TextField(
        _("instructions"), blank=True, help_text=_("What owners should look for; they see it.")
    )
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("workspace"),
        help_text=_("Empty: all."),
    )
    environment = models.CharField(
        _("environment"), max_length=20, blank=True, choices=Project.Environment.choices, help_text=_("Empty: all.")
    )
    min_sensitivity = models.SmallIntegerField(
        _("sensitivity from"),
        null=True,
        blank=True,
        choices=Sensitivity.choices,
        help_text=_("Only scopes this grave or graver, and those that nobody has judged. Empty: all."),
    )
    due_at = models.DateTimeField(_("due"))
    remind_every_days = models.PositiveSmallIntegerField(
        _("remind every"),
        default=7,
        help_text=_("Days between two e-mails to owners with undecided scopes. 0: only the first."),
    )
    escalate_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("escalate to"),
        help_text=_("Hears what is undecided on the due day, and decides where a project has no owner."),
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.DRAFT, editable=False)
    opened_at = models.DateTimeField(_("opened"), null=True, blank=True, editable=False)
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    opened_by_label = models.CharField(_("opened by"), max_length=200, blank=True, editable=False)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True, editable=False)
    closed_by_label = models.CharField(_("closed by"), max_length=200, blank=True, editable=False)
    snapshot_digest = models.CharField(
        _("fingerprint of the snapshot"),
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("SHA-256 over the frozen rows: shows that they are what was frozen."),
    )
    # Counted when it opens and with each decision: a list of reviews would otherwise count 100,000 rows of each.
    item_count = models.PositiveIntegerField(_("scopes"), default=0, editable=False)
    decided_count = models.PositiveIntegerField(_("decided"), default=0, editable=False)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = ReviewCampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("access review")
        verbose_name_plural = _("access reviews")

    def __str__(self) -> str:
        return self.name

    def is_overdue(self, now: dt.datetime) -> bool:
        """Whether its day has passed and it is open still."""
        return self.state == self.State.OPEN and self.due_at <= now

    @property
    def about(self) -> str:
        """What is reviewed, in words: `Acme · Production · sensitivity from high`, or “everything”."""
        parts = [self.workspace.name if self.workspace else ""]
        if self.environment:
            parts.append(str(self.get_environment_display()))
        if self.min_sensitivity is not None:
            parts.append(f"sensitivity from {str(self.get_min_sensitivity_display()).lower()}")
        return " · ".join(part for part in parts if part) or "everything in the ledger"

    @property
    def undecided_count(self) -> int:
        """Scopes that nobody has decided on."""
        return self.item_count - self.decided_count


class ReviewItemQuerySet(VisibleQuerySet["ReviewItem"]):
    seen_with = "reviewcampaign"
    workspace_path = "campaign__workspace"  # its evidence stays whole for its people, whatever becomes of a project

    def besides(self, user: Person) -> Q | None:
        """What they are asked to decide on."""
        return Q(owner=user.pk)

    def undecided(self) -> ReviewItemQuerySet:
        return self.filter(decision="")

    def progress(self) -> dict[int, tuple[int, int]]:
        """By the review's key, how many of these scopes there are and how many are decided."""
        counted = (
            self.order_by().values_list("campaign").annotate(total=Count("pk"), left=Count("pk", filter=Q(decision="")))
        )
        return {campaign: (total, total - left) for campaign, total, left in counted}


class ReviewItem(models.Model):
    """One row is one scope of one connector as it was when the review was opened, and what its owner decided.

    Everything above `owner` is frozen: it never changes afterwards, whatever becomes of the connector.
    """

    class Decision(models.TextChoices):
        NONE = "", _("Undecided")
        KEEP = "keep", _("Keep")
        NARROW = "narrow", _("Narrow")
        REMOVE = "remove", _("Remove")

    class Outcome(models.TextChoices):
        """What became of a decision that changes something."""

        NONE = "", _("Nothing to do")
        WAITING = "waiting", _("Waiting to be declared")
        DECLARED = "declared", _("Declared; a plan carries it out")
        DONE = "done", _("Done")
        FAILED = "failed", _("Could not be declared")

    campaign = models.ForeignKey(
        ReviewCampaign, on_delete=models.CASCADE, related_name="items", verbose_name=_("access review")
    )
    project = models.ForeignKey(
        Project, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("project")
    )
    project_label = models.CharField(_("project"), max_length=100)
    environment = models.CharField(_("environment"), max_length=20, choices=Project.Environment.choices)
    connector = models.ForeignKey(
        Connector, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("connector")
    )
    type_slug = models.CharField(_("type"), max_length=100)
    scope = models.CharField(_("scope"), max_length=MAX_SCOPE)
    title = models.CharField(_("what it allows"), max_length=300, blank=True)
    sensitivity = models.SmallIntegerField(_("sensitivity"), null=True, choices=Sensitivity.choices)
    declared = models.BooleanField(_("declared"), null=True)
    repository = models.BooleanField(_("in the repository"), null=True)
    registered = models.BooleanField(_("registered"), null=True)
    granted = models.BooleanField(_("granted"), null=True)
    verdict = models.CharField(_("verdict"), max_length=12, choices=LedgerEntry.Verdict.choices)
    finding = models.TextField(_("reason of the verdict"))
    account = models.CharField(_("account"), max_length=254, blank=True)
    person = models.CharField(_("authorised by"), max_length=200, blank=True)
    since = models.DateTimeField(_("since"))
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("owner")
    )
    owner_label = models.CharField(_("owner"), max_length=200, blank=True)
    decision = models.CharField(
        _("decision"), max_length=10, choices=Decision.choices, blank=True, default=Decision.NONE
    )
    narrow_to = models.CharField(_("narrow to"), max_length=MAX_SCOPE, blank=True)
    decision_reason = models.TextField(_("reason"), blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("decided by")
    )
    decided_by_label = models.CharField(_("decided by"), max_length=200, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices, blank=True, default=Outcome.NONE)
    outcome_note = models.CharField(max_length=300, blank=True)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        ordering = ["campaign", "project_label", "type_slug", "scope"]
        verbose_name = _("reviewed scope")
        verbose_name_plural = _("reviewed scopes")
        indexes = [
            models.Index(fields=["campaign", "project_label", "type_slug", "scope"], name="reviewitem_list"),
            models.Index(fields=["campaign", "owner", "decision"], name="reviewitem_owner"),
            # Those whose outcome is looked at every hour: few among all that were ever reviewed.
            models.Index(
                fields=["connector", "scope"],
                name="reviewitem_unfinished",
                condition=Q(outcome__in=["waiting", "declared", "failed"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} of {self.type_slug} in {self.project_label}"


class ReviewNoticeQuerySet(VisibleQuerySet["ReviewNotice"]):
    seen_with = "reviewcampaign"
    project_path = ""
    workspace_path = "campaign__workspace"

    def due(self, before: dt.datetime) -> ReviewNoticeQuerySet:
        """Those never sent, or not since `before`."""
        return self.filter(Q(mailed_at=None) | Q(mailed_at__lte=before))


class ReviewNotice(models.Model):
    """One row is one kind of e-mail that one person gets about one review: whoever moves `mailed_at` sends it."""

    class Kind(models.TextChoices):
        REMINDER = "reminder", _("Request to decide")
        ESCALATION = "escalation", _("Undecided on the due day")

    campaign = models.ForeignKey(ReviewCampaign, on_delete=models.CASCADE, related_name="notices")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    mailed_at = models.DateTimeField(_("last sent"), null=True, help_text=_("None: never yet."))
    count = models.PositiveSmallIntegerField(_("times sent"), default=0)

    objects = ReviewNoticeQuerySet.as_manager()

    class Meta:
        ordering = ["campaign", "kind", "user"]
        verbose_name = _("notice of a review")
        verbose_name_plural = _("notices of reviews")
        constraints = [
            models.UniqueConstraint(fields=["campaign", "user", "kind"], name="reviewnotice_unique_person"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to user {self.user_id}"

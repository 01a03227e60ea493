"""Runs: what was planned, done and failed, by whom and how long it took."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .project import Project
from .run import STALE_AFTER, Run
from .visibility import VisibleQuerySet


class SyncRunQuerySet(VisibleQuerySet["SyncRun"]):
    def open(self) -> SyncRunQuerySet:
        return self.filter(state__in=SyncRun.OPEN_STATES)

    def undelivered(self, now: dt.datetime) -> SyncRunQuerySet:
        """Queued rows whose message seems lost: brokers on disk forget what a killed worker held."""
        return self.filter(state=SyncRun.State.QUEUED, dispatched_at__lt=now - STALE_AFTER)


class SyncRun(Run):
    """One row is one piece of work on one project. The row, not the broker's message, is the truth about it."""

    class Kind(models.TextChoices):
        SYNC = "sync", _("Sync")
        APPLY = "apply", _("Apply plan")
        PULL = "pull", _("Pull")
        IMPORT = "import", _("Import")
        EXPORT = "export", _("Export")

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        PARTIAL = "partial", _("Done with failures")
        FAILED = "failed", _("Failed")
        REFUSED = "refused", _("Refused")
        CANCELLED = "cancelled", _("Cancelled")
        INTERRUPTED = "interrupted", _("Interrupted")

    OPEN_STATES = [State.QUEUED, State.RUNNING]
    BAD_STATES = [State.PARTIAL, State.FAILED, State.REFUSED, State.INTERRUPTED]

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs", verbose_name=_("project"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.QUEUED)
    plan = models.JSONField(_("plan"), default=dict, blank=True, help_text=_("What was shown before it started."))
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text=_("Of the plan that was shown; another one at the start refuses the run.")
    )
    removals = models.JSONField(default=list, blank=True, help_text=_("Types whose removal was ticked."))
    cancel_requested = models.BooleanField(default=False)

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        constraints = [
            models.UniqueConstraint(
                fields=["project"],
                condition=Q(kind="apply", state__in=["queued", "running"]),
                name="syncrun_one_open_apply_per_project",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-id"], name="syncrun_project_newest"),
            models.Index(fields=["created_at"], name="syncrun_created"),
            models.Index(
                fields=["state", "dispatched_at"], name="syncrun_open", condition=Q(state__in=["queued", "running"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"


class SyncStep(models.Model):
    """One row is one action of a run on one integration type."""

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        CONSENT = "consent", _("Needs consent")
        FAILED = "failed", _("Failed")
        SKIPPED = "skipped", _("Left out")
        CANCELLED = "cancelled", _("Cancelled")
        INTERRUPTED = "interrupted", _("Interrupted")

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="steps", verbose_name=_("run"))
    position = models.PositiveIntegerField()
    type = models.CharField(_("type"), max_length=100)
    action = models.CharField(_("action"), max_length=20)
    reason = models.TextField(_("reason"), blank=True)
    before = models.JSONField(_("before"), default=dict, blank=True)
    after = models.JSONField(_("after"), default=dict, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.PLANNED)
    message = models.TextField(_("message"), blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "position"]
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        constraints = [models.UniqueConstraint(fields=["run", "position"], name="syncstep_unique_run_position")]

    def __str__(self) -> str:
        return f"{self.action} {self.type}"

    @property
    def duration(self) -> dt.timedelta | None:
        return self.finished_at - self.started_at if self.started_at and self.finished_at else None

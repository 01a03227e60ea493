"""What was done with repositories: reads, exports, and the pull requests that came of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import Reach

from .project import Project
from .repository import Repository
from .run import STALE_AFTER, Run
from .visibility import VisibleQuerySet, in_projects


class PullRequestQuerySet(VisibleQuerySet["PullRequest"]):
    seen_with = "repository"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Where any of its projects is: a repository can hold those of many teams."""
        about = PullRequest.projects.through.objects.filter(in_projects("project", reach))
        return Q(pk__in=about.order_by().values("pullrequest"))

    def open(self) -> PullRequestQuerySet:
        return self.filter(state=PullRequest.State.OPEN)


class PullRequest(models.Model):
    """One row is one pull request (GitLab: merge request) that the portal opened.

    `key` names the set of projects that it is about; while one is open for a key there is no second. `head` is the
    commit that the portal last pushed to `branch`: another one there was pushed by somebody else.
    """

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        MERGED = "merged", _("Merged")
        CLOSED = "closed", _("Closed")

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="pull_requests", verbose_name=_("repository")
    )
    projects = models.ManyToManyField(Project, related_name="+", verbose_name=_("projects"))
    key = models.CharField(max_length=200)
    number = models.PositiveIntegerField(_("number"))
    url = models.CharField(max_length=500, blank=True)
    title = models.CharField(_("title"), max_length=300)
    branch = models.CharField(_("branch"), max_length=300)
    head = models.CharField(max_length=64)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    opened_at = models.DateTimeField(_("opened"))
    updated_at = models.DateTimeField(_("updated"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = PullRequestQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("pull request")
        verbose_name_plural = _("pull requests")
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "key"], condition=Q(state="open"), name="pullrequest_one_open_per_key"
            ),
            models.UniqueConstraint(fields=["repository", "number"], name="pullrequest_unique_number"),
        ]

    def __str__(self) -> str:
        return f"#{self.number}"


class RepositoryRunQuerySet(VisibleQuerySet["RepositoryRun"]):
    seen_with = "repository"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Where its repository is."""
        place = Repository.objects.all().at_place(reach, viewing=viewing)
        return None if place is None else Q(repository__in=Repository.objects.filter(place).order_by())

    def open(self) -> RepositoryRunQuerySet:
        return self.filter(state__in=RepositoryRun.OPEN_STATES)

    def undelivered(self, now: dt.datetime) -> RepositoryRunQuerySet:
        """Queued rows that nobody has sent yet, or whose message seems lost. A `dispatched_at` to come is a wait."""
        unsent = Q(dispatched_at=None) | Q(dispatched_at__lt=now - STALE_AFTER)
        return self.filter(unsent, state=RepositoryRun.State.QUEUED)


class RepositoryRun(Run):
    """One row is one piece of work on one repository. The row, not the broker's message, is the truth about it.

    `choices` holds what was asked for: `projects` (ids; missing: all), `removals` and `ours` (types by project id, as
    text): files to remove, and files to write although the repository changed them. `detail` says, by project, what
    came of it. Both kinds can be done again without harm, so a run whose worker died goes back to the queue.
    """

    class Kind(models.TextChoices):
        READ = "read", _("Read")
        EXPORT = "export", _("Export")

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        UNCHANGED = "unchanged", _("Nothing to do")
        PARTIAL = "partial", _("Done with conflicts")
        REFUSED = "refused", _("Refused")
        FAILED = "failed", _("Failed")

    OPEN_STATES = [State.QUEUED, State.RUNNING]

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="runs", verbose_name=_("repository")
    )
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.QUEUED)
    reason = models.CharField(_("why"), max_length=200, blank=True)
    choices: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text=_("Of the plan that was shown; another one at the start refuses the run.")
    )
    detail: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    commit = models.CharField(_("commit"), max_length=64, blank=True)
    pull_request = models.ForeignKey(
        PullRequest,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="runs",
        verbose_name=_("pull request"),
    )

    objects = RepositoryRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("repository run")
        verbose_name_plural = _("repository runs")
        constraints = [
            models.UniqueConstraint(
                fields=["repository"], condition=Q(state="running"), name="repositoryrun_one_running"
            )
        ]
        indexes = [
            models.Index(fields=["repository", "-id"], name="repositoryrun_newest"),
            models.Index(
                fields=["state", "dispatched_at"],
                name="repositoryrun_open",
                condition=Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["created_at"], name="repositoryrun_created"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

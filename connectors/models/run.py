"""What every row of work has: who asked for it, which worker has it, and when what happened."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

HEARTBEAT_SECONDS = 5
STALE_AFTER = dt.timedelta(seconds=30)
"""A running row whose heartbeat is older belongs to a worker that died."""


class Run(models.Model):
    """One row is one piece of work. The row, not the broker's message, is the truth about it."""

    OPEN_STATES: ClassVar[list[Any]]
    """Of a subclass's own states those in which there is something left to do."""

    state: models.CharField[str, str]
    message = models.TextField(_("message"), blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name=_("user"),
    )
    actor_label = models.CharField(_("by"), max_length=200)
    door = models.CharField(_("door"), max_length=10)
    worker = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN_STATES

    @property
    def duration(self) -> dt.timedelta | None:
        """How long the work took; None while it has not both started and finished."""
        return self.finished_at - self.started_at if self.started_at and self.finished_at else None

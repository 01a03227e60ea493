"""Which workers and schedulers are alive."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.utils.translation import gettext_lazy as _


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def alive(self, kind: str, since: dt.datetime) -> HeartbeatQuerySet:
        """Processes of a kind that have been heard of since."""
        return self.filter(kind=kind, beat_at__gte=since)


class Heartbeat(models.Model):
    """One row is one process of the portal that works in the background, and when it was last heard of."""

    class Kind(models.TextChoices):
        WORKER = "worker", _("Worker")
        SCHEDULER = "scheduler", _("Scheduler")

    name = models.CharField(_("process"), max_length=200, unique=True)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    version = models.CharField(_("version"), max_length=50, blank=True)
    started_at = models.DateTimeField(_("started"))
    beat_at = models.DateTimeField(_("last heard of"), db_index=True)
    lag = models.FloatField(_("lag"), null=True, help_text=_("Seconds by which it was behind, where it can be told."))

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        ordering = ["kind", "name"]
        verbose_name = _("process")
        verbose_name_plural = _("processes")

    def __str__(self) -> str:
        return self.name

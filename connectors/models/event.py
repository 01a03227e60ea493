"""The record of who did what: written by one function (flows.events.record_event), never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .project import Project
from .visibility import VisibleQuerySet
from .workspace import Workspace


class EventQuerySet(VisibleQuerySet["Event"]):
    workspace_path = "workspace"


class Event(models.Model):
    """One row is one thing that somebody did. Before and after never hold a secret."""

    at = models.DateTimeField(_("when"), auto_now_add=True, db_index=True)
    verb = models.CharField(_("what"), max_length=50, db_index=True)
    # Rows are never changed: what they refer to may go, and its key stays here.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        verbose_name=_("user"),
    )
    actor_label = models.CharField(_("by"), max_length=200)
    door = models.CharField(_("door"), max_length=10)
    workspace = models.ForeignKey(
        Workspace,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        verbose_name=_("workspace"),
    )
    project = models.ForeignKey(
        Project,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="events",
        verbose_name=_("project"),
    )
    target_type = models.CharField(_("kind of object"), max_length=50)
    target_id = models.CharField(max_length=100, blank=True)
    target_label = models.CharField(_("object"), max_length=200)
    before = models.JSONField(_("before"), default=dict, blank=True)
    after = models.JSONField(_("after"), default=dict, blank=True)
    note = models.TextField(_("note"), blank=True)
    reason = models.TextField(_("reason"), blank=True, help_text=_("What the person said why."))
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("event")
        verbose_name_plural = _("events")
        indexes = [models.Index(fields=["project", "-id"], name="event_project_newest")]

    def __str__(self) -> str:
        return f"{self.verb} {self.target_label}"

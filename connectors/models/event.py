"""The record of who did what: written by one function (flows.events.record_event), never changed."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Left, StrIndex
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from connectors.core.trail.form import FIELDS, is_genuine

from .project import Project
from .trail_keys import trail_keys
from .visibility import VisibleQuerySet
from .workspace import Workspace


class EventQuerySet(VisibleQuerySet["Event"]):
    workspace_path = "workspace"


class Event(models.Model):
    """One row is one thing that somebody did. Before and after never hold a secret.

    The database refuses to change or delete a row (models.trail_guard). `digest` covers what the row says and is made
    with the trail's key, so that a row that was changed all the same does not verify.
    """

    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(_("when"), default=timezone.now)
    verb = models.CharField(_("what"), max_length=50)
    # What it is about: the first part of the verb, a column because a list of one prefix cannot go along an index
    # that is in the order of the verbs.
    about = models.GeneratedField(
        expression=Left("verb", StrIndex("verb", models.Value(".")) - 1),
        output_field=models.CharField(_("about"), max_length=50),
        db_persist=True,
    )
    # Rows are never changed: what they refer to may go, and its key stays here.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
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
        db_index=False,
        related_name="+",
        verbose_name=_("workspace"),
    )
    project = models.ForeignKey(
        Project,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
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
    digest = models.CharField(max_length=64, blank=True, editable=False)
    key_id = models.CharField(max_length=8, blank=True, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("event")
        verbose_name_plural = _("events")
        # Every filter of the list goes along one of these, newest first, however many rows there are.
        indexes = [
            models.Index(fields=["at", "id"], name="event_when"),
            models.Index(fields=["verb", "-id"], name="event_verb_newest"),
            models.Index(fields=["about", "-id"], name="event_about_newest"),
            models.Index(fields=["user", "-id"], name="event_user_newest"),
            models.Index(fields=["actor_label", "-id"], name="event_actor_newest"),
            models.Index(fields=["workspace", "-id"], name="event_workspace_newest"),
            models.Index(fields=["project", "-id"], name="event_project_newest"),
            models.Index(fields=["door", "-id"], name="event_door_newest"),
            models.Index(fields=["address", "-id"], name="event_address_newest"),
            models.Index(fields=["request_id", "-id"], name="event_request_newest"),
            models.Index(fields=["target_type", "target_id", "-id"], name="event_object_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.target_label}"

    def content(self) -> dict[str, Any]:
        """What the digest covers."""
        return {name: getattr(self, name) for name in FIELDS}

    def is_genuine(self) -> bool:
        """Whether the digest fits what the row says, so that nobody without the trail's key wrote or changed it."""
        return is_genuine(trail_keys(), self.content(), self.digest, self.key_id)

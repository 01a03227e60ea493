"""What keeps the trail honest: segments that seal events, what checks found, and where events are streamed to."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import Reach
from connectors.core.trail.segment import ArchiveFacts, SegmentFacts

from .fields import SealedField
from .visibility import VisibleQuerySet


class TrailSegmentQuerySet(models.QuerySet["TrailSegment"]):
    def light(self) -> TrailSegmentQuerySet:
        """Without what only checking needs."""
        return self.defer("leaves")

    def around(self, event_id: int) -> TrailSegmentQuerySet:
        """Those between whose first and last event this one is, the newest first."""
        return self.filter(first_id__lte=event_id, last_id__gte=event_id).order_by("-number")


class TrailSegment(models.Model):
    """One row seals up to a thousand events: which they are, what they said, and which segment came before.

    `ids` are pairs of first and last id; an event that was committed late is sealed by a later segment. `leaves` holds
    16 bytes of each event's digest, in the order of the ids. The database refuses to change or delete a segment, but
    for the one change that marks it as archived.
    """

    number = models.PositiveBigIntegerField(_("number"), unique=True)
    first_id = models.BigIntegerField(_("first event"))
    last_id = models.BigIntegerField(_("last event"))
    ids = models.JSONField(_("events"))
    event_count = models.PositiveIntegerField(_("number of events"))
    leaves = models.BinaryField()
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    sealed_at = models.DateTimeField(_("sealed"))
    newest_at = models.DateTimeField(_("newest event"))
    archived_at = models.DateTimeField(_("archived"), null=True)
    archive_name = models.CharField(max_length=200, blank=True)
    archive_digest = models.CharField(max_length=64, blank=True)
    archive_seal = models.CharField(max_length=64, blank=True)

    objects = TrailSegmentQuerySet.as_manager()

    class Meta:
        ordering = ["number"]
        verbose_name = _("trail segment")
        verbose_name_plural = _("trail segments")
        indexes = [
            models.Index(fields=["last_id"], name="trailsegment_last"),
            # Archiving begins with the oldest, so whoever asks whether an event is in an archived one finds it at once.
            models.Index(fields=["last_id"], name="trailsegment_gone", condition=Q(archived_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"segment {self.number}"

    def facts(self) -> SegmentFacts:
        """What its digest covers."""
        return SegmentFacts(
            self.number,
            self.ids,
            self.event_count,
            bytes(self.leaves),
            self.previous,
            self.key_id,
            self.sealed_at,
            self.newest_at,
        )

    def archive_facts(self) -> ArchiveFacts | None:
        """What the seal of its archive covers; None while its events are here."""
        if self.archived_at is None:
            return None
        return ArchiveFacts(self.number, self.digest, self.archive_name, self.archive_digest, self.archived_at)


class TrailCheckQuerySet(models.QuerySet["TrailCheck"]):
    def unsettled(self) -> list[TrailCheck]:
        """Those that found faults which no later check of the same segments found gone, the newest first."""
        checks = list(self.order_by("-pk")[:500])
        good: list[TrailCheck] = []
        found = []
        for check in checks:
            if check.fault_count and not any(later.covers(check) for later in good):
                found.append(check)
            elif not check.fault_count:
                good.append(check)
        return found


class TrailCheck(models.Model):
    """One row is one time that the trail was verified, from one segment to another, and what was found."""

    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"))
    from_segment = models.PositiveBigIntegerField(_("from segment"))
    to_segment = models.PositiveBigIntegerField(_("to segment"))
    events = models.PositiveBigIntegerField(_("events"))
    fault_count = models.PositiveIntegerField(_("faults"))
    faults = models.JSONField(_("what was found"), default=list)

    objects = TrailCheckQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("trail check")
        verbose_name_plural = _("trail checks")

    def __str__(self) -> str:
        return f"check of {self.started_at:%Y-%m-%d %H:%M}"

    def covers(self, other: TrailCheck) -> bool:
        """Whether this one looked at everything that the other one did."""
        return self.from_segment <= other.from_segment and self.to_segment >= other.to_segment


class TrailStreamQuerySet(VisibleQuerySet["TrailStream"]):
    """Of the portal as a whole: only for whoever may see them everywhere."""

    project_path = ""

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """No place: a role at a project or a workspace never reaches these."""
        return None

    def due(self, now: dt.datetime) -> TrailStreamQuerySet:
        """Those to send to now, that no worker holds."""
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        return self.filter(free, is_enabled=True, next_attempt_at__lte=now).order_by("pk")


class TrailStream(models.Model):
    """One row is a place outside to which every event is sent, in order: a syslog server or a webhook.

    `segment` and `position` say how far it is: everything before that event of that segment was taken.
    """

    class Kind(models.TextChoices):
        SYSLOG = "syslog", _("Syslog (RFC 5424)")
        WEBHOOK = "webhook", _("Webhook")

    class Protocol(models.TextChoices):
        TLS = "tls", _("TCP with TLS")
        TCP = "tcp", _("TCP")
        UDP = "udp", _("UDP")

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_enabled = models.BooleanField(_("in use"), default=True)
    kind = models.CharField(_("by"), max_length=10, choices=Kind.choices, default=Kind.SYSLOG)
    host = models.CharField(_("host"), max_length=255, blank=True)
    port = models.PositiveIntegerField(_("port"), default=6514)
    protocol = models.CharField(_("protocol"), max_length=3, choices=Protocol.choices, default=Protocol.TLS)
    url = SealedField(help_text=_("Where the webhook is sent. Kept encrypted: many services put a secret into it."))
    secret = SealedField(help_text=_("With which webhooks are signed, so that the receiver knows who sent them."))
    segment = models.PositiveBigIntegerField(default=1, editable=False)
    position = models.PositiveIntegerField(default=0, editable=False)
    sent_count = models.PositiveBigIntegerField(_("events sent"), default=0, editable=False)
    last_sent_at = models.DateTimeField(_("last sent"), null=True, blank=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=300, blank=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    next_attempt_at = models.DateTimeField(editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    generation = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = TrailStreamQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("trail stream")
        verbose_name_plural = _("trail streams")

    def __str__(self) -> str:
        return self.name

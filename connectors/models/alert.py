"""Alerts: what is wrong now, who hears of it by which way, and what was sent."""

from __future__ import annotations

import datetime as dt
import uuid

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models import OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from connectors.core.roles import Reach

from .connector import Connector
from .fields import SealedField
from .project import Project
from .visibility import VisibleQuerySet, either, projects_within, workspaces_around
from .workspace import Workspace


class Severity(models.IntegerChoices):
    NOTICE = 0, _("Notice")
    WARNING = 1, _("Warning")
    CRITICAL = 2, _("Critical")


class IncidentQuerySet(VisibleQuerySet["Incident"]):
    workspace_path = "workspace"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Whoever may see a project may see what its whole workspace, or every workspace, suffers from."""
        found = [super().at_place(reach, viewing=viewing)]
        if viewing:
            shared = Q(project=None, kind__in=Incident.FELT_BY_PROJECTS)
            around = Q(workspace__in=workspaces_around(reach)) if reach.projects else Q(pk__in=[])
            # Of what is over nobody knows whether its workspace was deleted, and it was none of theirs.
            found.append(shared & (around | Q(workspace=None, closed_at=None)))
        return either(found)

    def open(self) -> IncidentQuerySet:
        return self.filter(closed_at=None)


class Incident(models.Model):
    """One row is one thing that went wrong, from when it was noticed until it was over.

    `key` names the thing: while an incident with it is open, the same thing opens no second one. `severity` is the
    gravest that it was. `is_terminal`: it does not pass by itself.
    """

    class Kind(models.TextChoices):
        DRIFT = "drift", _("Scopes differ")
        POLICY = "policy", _("Policy broken")
        CONSENT = "consent", _("Consent needed")
        TOKEN = "token", _("Token not refreshed")
        TOKEN_END = "token_end", _("Token ends soon")
        CLIENT = "client", _("OAuth client misconfigured")
        CREDENTIAL = "credential", _("Base44 credential refused")
        SYNC = "sync", _("Sync failing")
        REVIEW = "review", _("Access review overdue")
        EXCEPTION = "exception", _("Policy exception ends")
        REPOSITORY = "repository", _("Repository failing")
        CONFLICT = "conflict", _("Conflict with a repository")
        TRAIL = "trail", _("Audit trail")

    FELT_BY_PROJECTS = (Kind.CREDENTIAL, Kind.CLIENT)
    """Kinds which concern a whole workspace, or all of them, and from which each project there suffers."""

    key = models.CharField(max_length=200)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    severity = models.SmallIntegerField(_("severity"), choices=Severity.choices)
    is_terminal = models.BooleanField(
        _("needs a person"), default=False, help_text=_("False: it may pass by itself, and is tried again.")
    )
    workspace = models.ForeignKey(
        Workspace, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("workspace")
    )
    project = models.ForeignKey(
        Project, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("project")
    )
    connector = models.ForeignKey(
        Connector, null=True, on_delete=models.SET_NULL, related_name="+", verbose_name=_("connector")
    )
    title = models.CharField(_("what"), max_length=200)
    detail = models.TextField(_("detail"), blank=True)
    opened_at = models.DateTimeField(_("since"))
    closed_at = models.DateTimeField(_("over"), null=True, blank=True)
    # For lists that show what is open first: no index of both databases sorts empty times before all others.
    is_open = models.GeneratedField(
        expression=Q(closed_at__isnull=True),  # type: ignore[arg-type]  # the stubs know no conditions here
        output_field=models.BooleanField(_("open")),
        db_persist=True,
    )

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-is_open", "-opened_at", "-pk"]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        constraints = [models.UniqueConstraint(fields=["key"], condition=Q(closed_at=None), name="incident_one_open")]
        indexes = [
            models.Index(fields=["-is_open", "-opened_at", "-id"], name="incident_newest"),
            models.Index(fields=["closed_at"], name="incident_closed"),
        ]

    def __str__(self) -> str:
        return self.title


def validate_emails(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValidationError(_("Enter e-mail addresses, one a line."))
    for address in value:
        validate_email(address)


class AlertRouteQuerySet(VisibleQuerySet["AlertRoute"]):
    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Those that name places, and none beyond reach: a route tells of everything that it names."""
        inside = projects_within(reach)
        named = Q(workspaces__isnull=False) | Q(projects__isnull=False)
        foreign = AlertRoute.workspaces.through.objects.exclude(workspace__in=reach.workspaces).values("alertroute")
        beyond = AlertRoute.projects.through.objects.exclude(project__in=inside).values("alertroute")
        mine = AlertRoute.objects.filter(named).exclude(Q(pk__in=foreign) | Q(pk__in=beyond))
        return Q(pk__in=mine.order_by().values("pk"))

    def in_use(self) -> AlertRouteQuerySet:
        return self.filter(is_enabled=True)


class AlertRoute(models.Model):
    """One row says who hears of which incidents, by e-mail or by a signed webhook, and when not to disturb them."""

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        WEBHOOK = "webhook", _("Webhook")

    name = models.CharField(_("name"), max_length=100, unique=True)
    is_enabled = models.BooleanField(_("in use"), default=True)
    channel = models.CharField(_("by"), max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    emails = models.JSONField(_("e-mail addresses"), default=list, blank=True, validators=[validate_emails])
    url = SealedField(help_text=_("Where the webhook is sent. Kept encrypted: many services put a secret into it."))
    url_host = models.CharField(_("host"), max_length=255, blank=True, editable=False)
    secret = SealedField(help_text=_("With which webhooks are signed, so that the receiver knows who sent them."))
    old_secret = SealedField(help_text=_("The secret before: signed with as well until the receiver has the new one."))
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    kinds = models.JSONField(_("kinds"), default=list, blank=True, help_text=_("Empty: all."))
    min_severity = models.SmallIntegerField(_("severity from"), choices=Severity.choices, default=Severity.WARNING)
    workspaces = models.ManyToManyField(Workspace, blank=True, related_name="+", verbose_name=_("workspaces"))
    projects = models.ManyToManyField(Project, blank=True, related_name="+", verbose_name=_("projects"))
    # Kept beside the places: were the last of them deleted, the route would otherwise hear of everything.
    is_local = models.BooleanField(
        default=False, editable=False, help_text=_("It names places, and hears of no others.")
    )
    environments = models.JSONField(_("environments"), default=list, blank=True)
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_until = models.TimeField(_("quiet until"), null=True, blank=True)
    quiet_timezone = models.CharField(_("time zone"), max_length=50, default="UTC")
    critical_breaks_quiet = models.BooleanField(_("critical ones at any time"), default=True)
    says_recovery = models.BooleanField(_("say when it is over"), default=True)
    last_sent_at = models.DateTimeField(_("last sent"), null=True, blank=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=300, blank=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    is_failing = models.BooleanField(
        _("failing"), default=False, editable=False, help_text=_("A message was given up, and none got through since.")
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)

    objects = AlertRouteQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("alert route")
        verbose_name_plural = _("alert routes")

    def __str__(self) -> str:
        return self.name


class AlertDeliveryQuerySet(VisibleQuerySet["AlertDelivery"]):
    seen_with = "alertroute"

    def at_place(self, reach: Reach, *, viewing: bool) -> Q | None:
        """Where its route is."""
        place = AlertRoute.objects.all().at_place(reach, viewing=viewing)
        return None if place is None else Q(route__in=AlertRoute.objects.filter(place).order_by())

    def due(self, now: dt.datetime) -> AlertDeliveryQuerySet:
        """Those to send now, the oldest first, that no worker holds."""
        free = Q(lease_until=None) | Q(lease_until__lt=now)
        return self.filter(free, state=AlertDelivery.State.QUEUED, next_attempt_at__lte=now).order_by(
            "next_attempt_at", "pk"
        )

    def with_opening(self, *states: str) -> AlertDeliveryQuerySet:
        """Those where the message to the same route that the same incident began is in one of the states.

        One that was told of in a summary is where the summary is; where there is none it counts as dropped.
        """
        same = AlertDelivery.objects.filter(
            route=OuterRef("route"), incident=OuterRef("incident"), phase=AlertDelivery.Phase.OPENED
        )
        opening = Subquery(same.values(told=Coalesce("digest__state", "state"))[:1])
        return self.alias(opening=Coalesce(opening, Value(AlertDelivery.State.DROPPED.value))).filter(
            opening__in=states
        )


class AlertDelivery(models.Model):
    """One row is one message to one route: that an incident began, that it is over, or a test.

    Where there are many at once they are told in one: a row without an incident, to which theirs refer by `digest`.
    """

    class Phase(models.TextChoices):
        OPENED = "opened", _("Began")
        RECOVERED = "recovered", _("Over")
        TEST = "test", _("Test")

    class State(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        SENT = "sent", _("Sent")
        DIGESTED = "digested", _("In a summary")
        GIVEN_UP = "given_up", _("Given up")
        DROPPED = "dropped", _("Not needed any more")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    route = models.ForeignKey(AlertRoute, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("route"))
    incident = models.ForeignKey(
        Incident, null=True, on_delete=models.CASCADE, related_name="deliveries", verbose_name=_("incident")
    )
    digest = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="members", verbose_name=_("summary")
    )
    phase = models.CharField(_("phase"), max_length=10, choices=Phase.choices)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"))
    lease_until = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("asked"), auto_now_add=True)

    objects = AlertDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["route", "incident", "phase"], condition=Q(incident__isnull=False), name="alertdelivery_once"
            )
        ]
        indexes = [
            models.Index(fields=["next_attempt_at"], name="alertdelivery_due", condition=Q(state="queued")),
            models.Index(fields=["-created_at"], name="alertdelivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.phase} {self.pk}"

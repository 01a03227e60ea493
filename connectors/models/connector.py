"""A connector: one project's use of one integration type."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from connectors.core.specs import ConnectorSpec, RegisteredConnector

from .integration_type import IntegrationType
from .project import Project
from .visibility import VisibleQuerySet


class ConnectorQuerySet(VisibleQuerySet["Connector"]):
    def declared(self) -> ConnectorQuerySet:
        """Those that the portal asks for; the others are only known from Base44's list."""
        return self.filter(is_declared=True)

    def without_ledger(self) -> ConnectorQuerySet:
        """Those whose ledger entries are still to be made, because the rules changed or they came round the flows."""
        return self.filter(ledger_at=None)

    def needing_attention(self) -> ConnectorQuerySet:
        return self.filter(needs_attention=True)

    def matching(self, text: str) -> ConnectorQuerySet:
        """Those for which each word of `text` stands in the name or slug of the project or of the type.

        The words are looked up in these two tables first, which are a tenth and less of this one: compared in a join,
        they cost a page over 100,000 connectors more than all the rest of it.
        """
        found = self
        for word in text.split():
            found = found.filter(named_like(word))
        return found


_FEW = 5_000


def named_like(word: str) -> Q:
    """The word stands in the name or slug of the project or of the type, for rows that refer to both."""
    projects = _ids(Project.objects.filter(Q(name__icontains=word) | Q(slug__icontains=word)))
    types = _ids(IntegrationType.objects.filter(Q(display_name__icontains=word) | Q(slug__icontains=word)))
    return Q(project__in=projects) | Q(integration_type__in=types)


def _ids(rows: models.QuerySet[Any]) -> Any:
    """The keys of the rows while they are few, else a subquery.

    PostgreSQL takes any LIKE for rare: behind a subquery it would fetch and sort every hit instead of going along the
    list's index until a page is full.
    """
    keys = list(rows.order_by().values_list("pk", flat=True)[: _FEW + 1])
    return keys if len(keys) <= _FEW else rows.order_by().values("pk")


def validate_scopes(value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(scope, str) for scope in value):
        raise ValidationError(_("Scopes are a list of texts."))


def validate_config(value: object) -> None:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValidationError(_("The connection config is a set of named texts."))


class Connector(models.Model):
    """One row is one integration type in one project: what is declared, and what Base44 was last seen to have.

    A type that Base44 lists and the portal does not ask for has a row as well, with `is_declared` False,
    so that nothing which can reach a company's mail stays out of sight.
    """

    class SyncState(models.TextChoices):
        UNKNOWN = "unknown", _("Not compared yet")
        IN_SYNC = "in_sync", _("In sync")
        DIFFERS = "differs", _("Scopes differ")
        NOT_REGISTERED = "not_registered", _("Not at Base44")
        NOT_DECLARED = "not_declared", _("Only at Base44")
        INACTIVE = "inactive", _("Connection broken")
        LEFT_OVER = "left_over", _("Only a token left")

    class Consent(models.TextChoices):
        """How far the consent that Base44 hosts has come."""

        NONE = "", _("Not needed")
        NEEDED = "needed", _("Needed")
        PENDING = "pending", _("Waiting")
        FAILED = "failed", _("Failed")
        GIVEN_UP = "given_up", _("Not finished in time")

    DRIFT_STATES = [
        SyncState.DIFFERS,
        SyncState.NOT_REGISTERED,
        SyncState.NOT_DECLARED,
        SyncState.INACTIVE,
        SyncState.LEFT_OVER,
    ]

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="connectors", verbose_name=_("project"))
    integration_type = models.ForeignKey(
        IntegrationType, on_delete=models.PROTECT, related_name="connectors", verbose_name=_("type")
    )
    is_declared = models.BooleanField(
        _("declared"),
        default=True,
        help_text=_("Whether the portal asks for it. If not, a plan will propose to remove it."),
    )
    scopes = models.JSONField(
        _("scopes"),
        default=list,
        blank=True,
        validators=[validate_scopes],
        help_text=_("What the app may do, in the order in which the file lists it. Ask only for what it needs."),
    )
    connection_config = models.JSONField(
        _("connection config"),
        default=dict,
        blank=True,
        validators=[validate_config],
        help_text=_("Values that some services need, such as the subdomain of your account."),
    )
    registered_status = models.CharField(
        _("status at Base44"),
        max_length=50,
        blank=True,
        editable=False,
        db_index=True,
        help_text=_("Base44's own word; empty when Base44 does not list it."),
    )
    registered_scopes = models.JSONField(
        _("registered scopes"), null=True, blank=True, editable=False, help_text=_("None: Base44 does not list it.")
    )
    registered_account = models.CharField(_("account"), max_length=200, blank=True, editable=False)
    registered_at = models.DateTimeField(
        _("last seen"), null=True, blank=True, editable=False, help_text=_("When Base44's list was last compared.")
    )
    repository_scopes = models.JSONField(
        _("repository scopes"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("What its file said when the repository was last read; None: there was no file."),
    )
    repository_read_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When its project's files were last read; None: never.")
    )
    repository_commit = models.CharField(
        max_length=64,
        blank=True,
        editable=False,
        help_text=_("The commit that its file there is from; empty: not git."),
    )
    repository_author = models.CharField(max_length=200, blank=True, editable=False)
    sync_state = models.CharField(
        _("sync"), max_length=20, choices=SyncState.choices, default=SyncState.UNKNOWN, editable=False, db_index=True
    )
    sync_note = models.CharField(max_length=300, blank=True, editable=False, help_text=_("Why, in words."))
    needs_attention = models.BooleanField(default=False, editable=False, db_index=True)
    consent = models.CharField(
        _("consent"), max_length=10, choices=Consent.choices, blank=True, default=Consent.NONE, editable=False
    )
    consent_connection_id = models.CharField(max_length=200, blank=True, editable=False)
    consent_note = models.CharField(max_length=300, blank=True, editable=False)
    consent_asked_at = models.DateTimeField(null=True, blank=True, editable=False)
    consent_asked_by = models.CharField(max_length=200, blank=True, editable=False)
    consent_polled_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_set_scopes = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text=_("What Base44 was last told to set; None: never through the portal."),
    )
    last_set_config = models.JSONField(null=True, blank=True, editable=False)
    source_path = models.CharField(
        _("source file"), max_length=300, blank=True, editable=False, help_text=_("The file name it was imported from.")
    )
    source = models.BinaryField(null=True, blank=True, editable=False, help_text=_("That file, byte for byte."))
    source_read_at = models.DateTimeField(null=True, blank=True, editable=False)
    ledger_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("When its ledger entries were last made; None: make them.")
    )
    created_at = models.DateTimeField(_("added"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = ConnectorQuerySet.as_manager()

    class Meta:
        ordering = ["project", "integration_type"]
        verbose_name = _("connector")
        verbose_name_plural = _("connectors")
        constraints = [
            models.UniqueConstraint(
                fields=["project", "integration_type"],
                name="connector_unique_project_type",
                violation_error_message=_("This project has a connector of this type already."),
            ),
        ]
        indexes = [
            models.Index(
                fields=["consent_polled_at"], name="connector_consent_pending", condition=Q(consent="pending")
            ),
            models.Index(fields=["id"], name="connector_no_ledger", condition=Q(ledger_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.integration_type_id

    @property
    def spec(self) -> ConnectorSpec:
        """What is declared, as plans and files take it."""
        return ConnectorSpec(self.integration_type_id, tuple(self.scopes), dict(self.connection_config))

    @property
    def registered(self) -> RegisteredConnector | None:
        """What Base44 listed when it was last asked; None when it does not list this type."""
        if self.registered_scopes is None:
            return None
        return RegisteredConnector(
            self.integration_type_id, self.registered_status, tuple(self.registered_scopes), self.registered_account
        )

    @property
    def source_text(self) -> str:
        """The imported file as text, "" when the connector came from elsewhere."""
        return bytes(self.source or b"").decode("utf-8", errors="replace")

    def clean(self) -> None:
        if self.is_declared and self.integration_type_id:
            try:
                self.integration_type.check_connection_config(self.connection_config)
            except ValidationError as error:
                raise ValidationError({"connection_config": error.messages}) from None

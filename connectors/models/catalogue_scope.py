"""The scopes of the catalogue as rows: what is shipped, and what the team says of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .ledger import MAX_SCOPE, Sensitivity
from .visibility import VisibleQuerySet


class CatalogueScopeQuerySet(VisibleQuerySet["CatalogueScope"]):
    project_path = ""
    is_shared = True

    def said_by_the_team(self) -> CatalogueScopeQuerySet:
        """Those that the team judges or describes itself."""
        return self.filter(Q(team_sensitivity__isnull=False) | ~Q(team_note="") | Q(is_shipped=False))


class CatalogueScope(models.Model):
    """One row is one scope of one provider. Loading the shipped catalogue writes the shipped columns alone.

    `is_shipped` False: the catalogue does not know it (any more), and the row stays for what the team says of it.
    """

    provider = models.CharField(_("provider"), max_length=100)
    name = models.CharField(_("scope"), max_length=MAX_SCOPE)
    title = models.CharField(_("what it allows"), max_length=300, blank=True)
    access = models.CharField(_("access"), max_length=10, blank=True)
    sensitivity = models.SmallIntegerField(_("shipped sensitivity"), null=True, choices=Sensitivity.choices)
    provider_class = models.CharField(
        _("provider's class"), max_length=20, blank=True, help_text=_("Google's own grading: sensitive, restricted.")
    )
    types = models.JSONField(_("types"), default=list, blank=True)
    facts = models.JSONField(
        default=dict, blank=True, help_text=_("What else is known: other names, contained scopes, deprecation.")
    )
    source = models.CharField(_("source"), max_length=300, blank=True)
    confidence = models.CharField(_("confidence"), max_length=10, blank=True)
    is_shipped = models.BooleanField(_("in the catalogue"), default=True)
    team_sensitivity = models.SmallIntegerField(
        _("the team's sensitivity"),
        null=True,
        blank=True,
        choices=Sensitivity.choices,
        help_text=_("Counts instead of the shipped one everywhere. Empty: the shipped one."),
    )
    team_note = models.TextField(_("the team's note"), blank=True, help_text=_("Shown wherever the scope is shown."))
    team_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    team_changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    objects = CatalogueScopeQuerySet.as_manager()

    class Meta:
        ordering = ["provider", "name"]
        verbose_name = _("scope")
        verbose_name_plural = _("scopes")
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "name"],
                name="cataloguescope_unique_name",
                violation_error_message=_("This provider has a scope of this name already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.name})" if self.title else self.name

    @property
    def is_said_by_the_team(self) -> bool:
        """Whether the team judges or describes it."""
        return self.team_sensitivity is not None or bool(self.team_note)

    @property
    def effective_sensitivity(self) -> Sensitivity | None:
        """The team's word, else the shipped one; None when nobody has judged it."""
        level = self.sensitivity if self.team_sensitivity is None else self.team_sensitivity
        return None if level is None else Sensitivity(level)

"""The catalogue: which integration types exist, and what Base44 needs to know to connect one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from connectors.core.specs import TYPE_PATTERN

from .visibility import VisibleQuerySet


class IntegrationTypeQuerySet(VisibleQuerySet["IntegrationType"]):
    project_path = ""
    is_shared = True


class IntegrationType(models.Model):
    """One row is one kind of service that apps can connect to: gmail, slackbot, ...

    Rows come from the shipped catalogue and from Base44's list of available integrations. A type that is in neither
    but stands in a file gets a row too (`is_known` False), because Base44 may know what the catalogue does not.
    """

    slug = models.CharField(
        _("type"),
        max_length=100,
        primary_key=True,
        validators=[
            RegexValidator(rf"\A(?:{TYPE_PATTERN.pattern})\Z", _("Letters, digits, - and _ only."), flags=re.IGNORECASE)
        ],
    )
    display_name = models.CharField(_("name"), max_length=100)
    description = models.TextField(_("description"), blank=True)
    connection_config_fields = models.JSONField(
        _("connection config fields"),
        default=list,
        blank=True,
        help_text=_("Values that Base44 needs beside the scopes: name, display name, pattern, required or not."),
    )
    is_known = models.BooleanField(_("in the catalogue"), default=True, db_index=True)
    offered_at = models.DateTimeField(
        _("offered by Base44"), null=True, blank=True, help_text=_("When Base44 last listed it as available.")
    )
    team_note = models.TextField(
        _("the team's note"),
        blank=True,
        default="",
        help_text=_("For colleagues: what to use it for, and whom to ask. No update changes it."),
    )

    objects = IntegrationTypeQuerySet.as_manager()

    class Meta:
        ordering = ["slug"]
        verbose_name = _("integration type")
        verbose_name_plural = _("catalogue")

    def __str__(self) -> str:
        return self.display_name or self.slug

    def check_connection_config(self, config: Mapping[str, Any]) -> None:
        """Raises ValidationError listing every fault of `config` against this type's fields and patterns.

        Values for fields that the type does not list are let through: Base44 may have learnt them since.
        """
        faults = []
        for field in self.connection_config_fields:
            value = config.get(field["name"], "")
            label = field.get("display_name") or field["name"]
            if not isinstance(value, str):
                faults.append(_("%(label)s must be text.") % {"label": label})
            elif not value.strip():
                if field.get("required"):
                    faults.append(_("%(label)s is required.") % {"label": label})
            elif (pattern := field.get("validation_pattern")) and not _matches(pattern, value):
                faults.append(field.get("validation_error") or _("%(label)s has a wrong form.") % {"label": label})
        if faults:
            raise ValidationError(faults)


def _matches(pattern: str, value: str) -> bool:
    # The patterns are JavaScript's and come from outside: one that Python cannot read must not block the admin.
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True

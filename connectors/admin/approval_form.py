"""The form of an approval rule: offers only places where the person may say what needs a second one."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from connectors.admin.forms import NoticesChanges
from connectors.core.roles import NOWHERE, Reach
from connectors.models import ApprovalDemand
from connectors.models.approval import Subject


class ApprovalDemandForm(NoticesChanges):
    """`reach` is where the person may have such rules; without "everywhere" a workspace has to be named."""

    watched = ["workspace", "environment", "subjects"]
    reach: ClassVar[Reach] = NOWHERE

    subjects = forms.MultipleChoiceField(
        label=_("Needs another person"),
        choices=Subject.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("One person asks, another approves. It holds for the shell and for schedules as well."),
    )

    class Meta:
        model = ApprovalDemand
        fields = ["workspace", "environment", "subjects"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields.get("workspace")
        if isinstance(field, forms.ModelChoiceField) and not self.reach.everywhere:
            field.required = True
            if field.queryset is not None:
                field.queryset = field.queryset.filter(pk__in=self.reach.workspaces)

    def clean(self) -> dict[str, Any]:
        """One rule for each place: the database says so too, but in other words."""
        cleaned: dict[str, Any] = super().clean() or {}
        twins = ApprovalDemand.objects.filter(
            workspace=cleaned.get("workspace"), environment=cleaned.get("environment")
        ).exclude(pk=self.instance.pk)
        if "environment" in cleaned and not self.errors and twins.exists():
            raise ValidationError(_("There is a rule for this environment here already: change that one."))
        return cleaned

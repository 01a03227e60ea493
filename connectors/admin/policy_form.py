"""The forms of policies and of requests for exceptions."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from connectors.admin.forms import NoticesChanges, StaffField
from connectors.admin.widgets import DomainsField, ScopesField, TagsField
from connectors.core.errors import Refused
from connectors.flows.policy_exceptions import Wish, refuse_faults
from connectors.flows.policy_rules import RULE_FIELDS
from connectors.models import IntegrationType, PolicyException, PolicyRule, Project

USUAL_LENGTH = dt.timedelta(days=30)


class LinesField(ScopesField):
    """A list of texts, one per line, in a plain text area."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3}), **kwargs})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


def text_area(rows: int) -> UnfoldAdminTextareaWidget:
    """A text area for so many lines."""
    return UnfoldAdminTextareaWidget(attrs={"rows": rows})


STATED = [name for name in RULE_FIELDS if name != "is_enabled"]
"""What the form asks for."""


class PolicyRuleForm(NoticesChanges):
    """Whether the rule is in force is no field: its rehearsal switches it."""

    watched = STATED

    environments = forms.MultipleChoiceField(
        label=_("Environments"),
        required=False,
        choices=Project.Environment.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("None ticked: in all of them."),
    )
    tags = TagsField(
        label=_("Project tags"),
        help_text=_("With commas between them. Projects with any of these are meant; empty: all projects."),
    )
    types = LinesField(
        label=_("Integration types"),
        help_text=_("One per line, such as gmail or slackbot. Empty: every type."),
    )
    scope_patterns = LinesField(
        label=_("Scopes"),
        help_text=_(
            "One per line; * stands for any text, as in https://www.googleapis.com/auth/gmail.*. A broader scope that "
            "includes one of these is meant as well. Empty: every scope."
        ),
    )
    account_domains = DomainsField(
        label=_("Allowed account domains"),
        widget=text_area(2),
        help_text=_(
            "One per line, such as acme.com. The rule is then broken only where the account is known to be of another "
            "domain. Empty: the account does not matter."
        ),
    )
    never_with = LinesField(
        label=_("Never together with"),
        help_text=_(
            "Scopes or patterns, one per line. The rule is then broken only where the same project also has one of "
            "these, in whatever connector. Empty: on its own already."
        ),
    )

    class Meta:
        model = PolicyRule
        fields = STATED
        widgets: ClassVar = {"explanation": text_area(4)}
        help_texts: ClassVar = {
            "effect": _(
                "Warn: it is said, and nobody is stopped. Needs approval: what it means is added only with an "
                "exception. Block: the same, and only people who may change policies can grant the exception."
            ),
            "min_sensitivity": _("This grave or graver. A scope whose sensitivity nobody knows is not meant."),
        }

    def clean_types(self) -> list[str]:
        types: list[str] = self.cleaned_data["types"]
        known = set(IntegrationType.objects.filter(slug__in=types).values_list("slug", flat=True))
        if unknown := [type_ for type_ in types if type_ not in known]:
            message = _("There is no integration type %(types)s. The catalogue lists their short names.")
            raise ValidationError(message % {"types": ", ".join(unknown)})
        return types

    def clean(self) -> dict[str, Any]:
        """A rule without any condition would mean every scope there is, which nobody wants."""
        cleaned = super().clean()
        conditions = [name for name in self.watched if name not in ("name", "explanation", "effect")]
        if not self.errors and all(cleaned.get(name) in (None, "", []) for name in conditions):
            raise ValidationError(_("Say at least one condition: without any the policy would mean every scope."))
        return cleaned


class PolicyExceptionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A request. Everything but the reason comes filled in where a change was refused."""

    owner = StaffField(
        label=_("Owner"), help_text=_("Answers for the exception, and is asked about it before it ends.")
    )
    until = forms.DateField(
        label=_("Until"),
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text=_("The last day on which it holds; a year from now at most."),
    )

    class Meta:
        model = PolicyException
        fields = ["rule", "project", "type_slug", "scope", "reason", "owner"]
        widgets: ClassVar = {"reason": text_area(4)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "until" in self.fields:
            self.fields["until"].initial = (timezone.localtime() + USUAL_LENGTH).date().isoformat()

    def clean_type_slug(self) -> str:
        slug: str = self.cleaned_data["type_slug"].strip()
        if slug and not IntegrationType.objects.filter(slug=slug).exists():
            raise ValidationError(_("There is no integration type %(type)s.") % {"type": slug})
        return slug

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            try:
                refuse_faults(self.wish(), timezone.now())
            except Refused as error:
                raise ValidationError(str(error)) from None
        return cleaned

    def wish(self) -> Wish:
        """What is asked for, from a form without errors."""
        data = self.cleaned_data
        return Wish(
            data["rule"],
            data["project"],
            data["reason"],
            data["owner"],
            end_of(data["until"]),
            data["type_slug"],
            data["scope"].strip(),
        )


def end_of(day: dt.date) -> dt.datetime:
    """The end of this day where the portal is."""
    return timezone.make_aware(dt.datetime.combine(day, dt.time(23, 59, 59)))

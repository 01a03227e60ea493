"""Forms for what the team says of a scope, and for a scope that the catalogue does not know."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from connectors.admin.forms import NoticesChanges
from connectors.core.catalog.providers import provider, providers
from connectors.core.errors import Refused
from connectors.flows.judge_scope import refuse_known
from connectors.models import CatalogueScope


class JudgeScopeForm(NoticesChanges):
    """The team's columns alone; the shipped ones stand above the form."""

    watched = ["team_sensitivity", "team_note", "title"]

    class Meta:
        model = CatalogueScope
        fields = ["title", "team_sensitivity", "team_note"]
        widgets = {"team_note": UnfoldAdminTextareaWidget(attrs={"rows": 3})}


class AddScopeForm(forms.ModelForm):  # type: ignore[type-arg]
    """A scope that the catalogue lacks. How much harm it can do must be said, because nobody else says it."""

    provider = forms.ChoiceField(label=_("Provider"), widget=UnfoldAdminSelectWidget)

    class Meta:
        model = CatalogueScope
        fields = ["provider", "name", "title", "team_sensitivity", "team_note"]
        widgets = {"team_note": UnfoldAdminTextareaWidget(attrs={"rows": 3})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.fields["provider"]
        if isinstance(chosen, forms.ChoiceField):
            chosen.choices = [("", "---------"), *((found.id, found.name) for found in providers())]
        self.fields["name"].help_text = _("Exactly as the provider writes it, capitals included.")
        self.fields["title"].help_text = _("In plain words, such as “Read your mail”.")
        self.fields["title"].required = self.fields["team_sensitivity"].required = True
        self.fields["team_sensitivity"].help_text = _("Counts in lists, policies and reviews.")

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if len(name.split()) > 1:
            raise ValidationError(_("A scope has no spaces in it. Add one scope at a time."))
        found = provider(str(self.cleaned_data.get("provider", "")))
        try:
            if found is not None:
                refuse_known(found, name)
        except Refused as error:
            raise ValidationError(str(error)) from None
        return name

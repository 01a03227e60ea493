"""The form of an alert route. A webhook's address goes in and never comes out: services put secrets into it."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from connectors.admin.forms import NoticesChanges
from connectors.admin.widgets import SecretField
from connectors.core.net import AddressRefusedError, parse
from connectors.models import AlertRoute, Incident, Project
from connectors.models.alert import validate_emails


class EmailsField(forms.CharField):
    """E-mail addresses, one a line or with commas."""

    widget = UnfoldAdminTextareaWidget

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(str(value or "").replace(",", " ").replace(";", " ").split()))

    def validate(self, value: Any) -> None:
        for address in value:
            try:
                validate_emails([address])
            except ValidationError:
                raise ValidationError(_("“%(text)s” is no e-mail address.") % {"text": address}) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


def _any_of(label: Any, choices: Iterable[tuple[str, Any]], help_text: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label,
        choices=list(choices),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=help_text,
    )


@lru_cache(maxsize=1)
def _zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in sorted(zoneinfo.available_timezones())]


class AlertRouteForm(NoticesChanges):
    """What a person says of a route. The signing secret is made by the portal and stands in no form."""

    watched = ["name", "is_enabled", "channel", "emails", "url_host", "kinds", "min_severity", "environments"]
    must_name_places: ClassVar[bool] = False
    """Whether this person may have routes only of places that they name."""

    emails = EmailsField(
        label=_("E-mail addresses"),
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("One a line. All get the same message and see each other's addresses."),
    )
    address = SecretField(
        label=_("Webhook address"),
        help_text=_(
            "It starts with https:// and is stored encrypted, for many services put a secret into it. Leave empty to "
            "keep the one that is set."
        ),
    )
    kinds = _any_of(_("Kinds"), Incident.Kind.choices, _("Which incidents the route hears of. None ticked: all."))
    environments = _any_of(
        _("Environments"), Project.Environment.choices, _("Of which projects. None ticked: of all environments.")
    )
    quiet_timezone = forms.ChoiceField(label=_("Time zone"), widget=UnfoldAdminSelectWidget, required=False)

    class Meta:
        model = AlertRoute
        fields = [
            "name",
            "is_enabled",
            "channel",
            "emails",
            "kinds",
            "min_severity",
            "workspaces",
            "projects",
            "environments",
            "quiet_from",
            "quiet_until",
            "quiet_timezone",
            "critical_breaks_quiet",
            "says_recovery",
        ]
        labels = {"channel": _("Sent by")}
        help_texts = {
            "workspaces": _("Only incidents of these workspaces. Empty, like the projects: incidents of all."),
            "projects": _("And those of these projects, whatever workspace they are in."),
            "min_severity": _("This grave or graver."),
            "quiet_from": _("Messages wait from this time of day on. Empty: there are no quiet hours."),
            "quiet_until": _(
                "Until this time, on the next day if it is the earlier one. What is over by then is not sent at all."
            ),
            "critical_breaks_quiet": _("Critical incidents are told in the quiet hours too."),
            "says_recovery": _("Sends a second message once an incident has been over for ten minutes."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.fields.get("quiet_timezone")
        if isinstance(zone, forms.ChoiceField):
            zone.choices = _zones()
            if not self.instance.pk:
                zone.initial = settings.TIME_ZONE

    def clean_quiet_timezone(self) -> str:
        return self.cleaned_data["quiet_timezone"] or "UTC"

    def clean_address(self) -> str:
        url = str(self.cleaned_data["address"])
        if not url:
            return ""
        try:
            target = parse(url)
        except AddressRefusedError as error:
            raise ValidationError(str(error)) from None
        if target.scheme != "https" and not settings.ALERT_ALLOWED_PRIVATE_HOSTS:
            raise ValidationError(_("The address must start with https://, so that nobody can read along."))
        return url

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("channel") == AlertRoute.Channel.EMAIL and "emails" in cleaned and not cleaned["emails"]:
            self.add_error("emails", _("Enter at least one address."))
        is_webhook = cleaned.get("channel") == AlertRoute.Channel.WEBHOOK
        if is_webhook and cleaned.get("address") == "" and not self.instance.url:
            self.add_error("address", _("Enter where the webhook is sent."))
        named = cleaned.get("workspaces") or cleaned.get("projects")
        if self.must_name_places and not named and not {"workspaces", "projects"} & set(self.errors):
            self.add_error("workspaces", _("Choose a workspace or a project: you may not have alerts of all of them."))
        self._check_quiet(cleaned)
        return cleaned

    def _check_quiet(self, cleaned: dict[str, Any]) -> None:
        start, end = cleaned.get("quiet_from"), cleaned.get("quiet_until")
        if (start is None) != (end is None) and not {"quiet_from", "quiet_until"} & set(self.errors):
            missing = "quiet_until" if end is None else "quiet_from"
            self.add_error(missing, _("Quiet hours need both a beginning and an end."))
        elif start is not None and start == end:
            self.add_error("quiet_until", _("They begin and end at the same time."))

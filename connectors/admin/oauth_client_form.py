"""The form of an OAuth client. Its secret goes in and never comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from connectors.admin.forms import NoticesChanges, keep_workspace
from connectors.admin.widgets import ConnectionConfigField, ConnectionConfigWidget, SecretField
from connectors.core.catalog import ConfigField
from connectors.core.catalog.providers import provider, providers
from connectors.core.oauth.profile import ENDPOINTS
from connectors.flows.oauth_clients import objections, setting_problem, supported_types
from connectors.models import OAuthClient

_TITLES = {
    "authorize_url": _("Authorisation page"),
    "token_url": _("Token endpoint"),
    "revoke_url": _("Revocation endpoint"),
    "introspect_url": _("Introspection endpoint"),
    "userinfo_url": _("User info endpoint"),
    "issuer": _("Issuer"),
}
_ISSUER_HELP = _("How the server names itself. With another issuer the portal keeps to the standards, not to habits.")

GUIDE, SETTINGS = "client-guide", "client-settings"
"""The parts of the add page that depend on the provider: ids of elements that htmx replaces when it changes."""


def settings_of(provider_id: str) -> tuple[ConfigField, ...]:
    """What a client of this provider needs to say, by the catalogue; () for a provider that is not chosen yet."""
    found = provider(provider_id)
    named = {field.name: field for info in (found.types if found else ()) for field in info.oauth.client_settings}
    return tuple(named.values())


class OAuthSettingsWidget(ConnectionConfigWidget):
    """One input per setting that the provider's clients have, and, folded, one per address that may differ."""

    template_name = "connectors/widgets/oauth_settings.html"

    def __init__(self, provider_id: str = "") -> None:
        own = [
            {
                "name": field.name,
                "display_name": field.display_name,
                "description": field.description,
                "placeholder": field.placeholder,
                "required": field.required,
            }
            for field in settings_of(provider_id)
        ]
        addresses = [
            {"name": name, "display_name": _TITLES[name], "description": _ISSUER_HELP if name == "issuer" else ""}
            for name in ENDPOINTS
        ]
        super().__init__([*own, *addresses])
        self.provider_id = provider_id

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(name, value, attrs)
        inputs = context["widget"]["inputs"]
        addresses = [item for item in inputs if item["field"]["name"] in ENDPOINTS]
        context["widget"] |= {
            "inputs": [item for item in inputs if item not in addresses],
            "addresses": addresses,
            "is_open": any(item["widget"]["value"] or item["problems"] for item in addresses),
            "wrapper_id": SETTINGS,
        }
        return context


class OAuthClientForm(NoticesChanges):
    """The secret goes in and never comes out: the form shows only whether one is set."""

    watched = ["name", "provider", "workspace_id", "client_id", "settings", "is_testing"]

    provider = forms.ChoiceField(
        label=_("Provider"),
        widget=UnfoldAdminSelectWidget,
        help_text=_("At whom the client is registered. One client serves all of the provider's integration types."),
    )
    secret = SecretField(label=_("Client secret"))
    forget_secret = forms.BooleanField(label=_("Forget the secret"), required=False, widget=UnfoldBooleanSwitchWidget())
    settings = ConnectionConfigField(label=_("What it needs besides"), widget=OAuthSettingsWidget)

    class Meta:
        model = OAuthClient
        fields = ["provider", "name", "slug", "workspace", "client_id", "is_testing", "settings"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_workspace(self)
        chosen = str(self.data.get("provider") or self.initial.get("provider") or "")
        self.fields["settings"].widget = OAuthSettingsWidget(chosen)
        field = self.fields["provider"]
        if isinstance(field, forms.ChoiceField):
            field.choices = _choices(self.instance.provider)
        if not self.instance.pk:
            self.fields["secret"].help_text = _("It is stored encrypted and never shown again.")
            field.widget.attrs |= {
                "hx-get": "",
                "hx-trigger": "change",
                "hx-target": f"#{SETTINGS}",
                "hx-select": f"#{SETTINGS}",
                "hx-select-oob": f"#{GUIDE}",
                "hx-swap": "outerHTML",
            }

    def clean_client_id(self) -> str:
        return _one_word(str(self.cleaned_data["client_id"]), _("client id"))

    def clean_secret(self) -> str:
        return _one_word(str(self.cleaned_data["secret"]), _("client secret"))

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("secret") and cleaned.get("forget_secret"):
            self.add_error("forget_secret", _("Either enter a new secret or forget the one that is set, not both."))
        if "provider" in cleaned and "settings" in cleaned:
            self._check_settings(cleaned["provider"], cleaned["settings"])
        if self.instance.pk and "provider" in cleaned and "settings" in cleaned:
            self._check_receivers(cleaned)
        return cleaned

    def _check_settings(self, provider_id: str, settings: Mapping[str, str]) -> None:
        """Each fault is shown at its input; the form is refused as a whole."""
        found = {name: setting_problem(provider_id, name, value) for name, value in settings.items()}
        for field in settings_of(provider_id):
            # Without scripts the add form has no input for it yet; the next page asks for it.
            if (
                field.required
                and not settings.get(field.name)
                and self.add_prefix(f"settings.{field.name}") in self.data
            ):
                found[field.name] = str(_("This setting is required."))
        problems = {name: [text] for name, text in found.items() if text}
        widget = self.fields["settings"].widget
        if problems and isinstance(widget, OAuthSettingsWidget):
            widget.problems = problems
            self.add_error("settings", _("Correct the marked settings."))

    def _check_receivers(self, cleaned: Mapping[str, Any]) -> None:
        if self.errors:
            return  # addresses that cannot be read go nowhere
        stored = OAuthClient.objects.get(pk=self.instance.pk)
        keeps = not cleaned.get("secret") and not cleaned.get("forget_secret")
        for name, text in objections(stored, cleaned["provider"], cleaned["settings"], keeps_secret=keeps).items():
            self.add_error(name, text)


def _choices(current: str) -> list[tuple[str, Any]]:
    """The providers at which the portal can authorise something, and that of the row, whatever it is."""
    offered = [(found.id, found.name) for found in providers() if found.id == current or supported_types(found.id)]
    unknown = [(current, current)] if current and current not in dict(offered) else []
    return [("", _("Choose…")), *offered, *unknown]


def _one_word(text: str, noun: Any) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValidationError(
            _("This is no %(noun)s: it holds blanks or unusual signs. Copy it again.") % {"noun": noun}
        )
    return text

"""The form of a sign-in provider. Its secret goes in and never comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from connectors.admin.forms import NoticesChanges
from connectors.admin.widgets import DomainsField, SecretField
from connectors.core import net
from connectors.core.errors import PortalError
from connectors.flows.sign_in_providers import allowed_hosts, issuer_of
from connectors.models import GroupMapping, SignInProvider

Kind = SignInProvider.Kind


class GroupMappingForm(forms.ModelForm):  # type: ignore[type-arg]
    """Its inputs stand in a table, whose head names them for eyes alone."""

    class Meta:
        model = GroupMapping
        fields = ["claim_value", "group"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            widget: Any = getattr(
                field.widget, "widget", field.widget
            )  # what Django's admin wraps around a choice of rows
            widget.attrs["aria-label"] = str(field.label)


class SignInProviderForm(NoticesChanges):
    """What a provider needs, by its kind."""

    watched = [
        "name",
        "kind",
        "is_enabled",
        "server_url",
        "client_id",
        "allowed_domains",
        "admits",
        "groups_claim",
        "counts_as_second_factor",
    ]

    secret = SecretField(label=_("Client secret"))
    allowed_domains = DomainsField(
        label=_("Domains"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("One per line, such as acme.com. Only verified addresses of these are let in. Empty: of any."),
    )

    class Meta:
        model = SignInProvider
        fields = [
            "name",
            "slug",
            "kind",
            "is_enabled",
            "server_url",
            "client_id",
            "allowed_domains",
            "admits",
            "groups_claim",
            "counts_as_second_factor",
        ]

    def clean_server_url(self) -> str:
        return str(self.cleaned_data["server_url"]).strip().removesuffix("/.well-known/openid-configuration")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors:
            self._check_issuer(cleaned)
            self._check_people(cleaned)
            self._check_secret(cleaned)
        return cleaned

    def _check_issuer(self, cleaned: dict[str, Any]) -> None:
        kind, address = cleaned["kind"], cleaned["server_url"]
        if kind == Kind.GITHUB:
            if address:
                self.add_error("server_url", _("GitHub needs none."))
            if cleaned.get("groups_claim"):
                self.add_error("groups_claim", _("GitHub tells of no groups."))
            return
        if kind in (Kind.OPENID_CONNECT, Kind.MICROSOFT) and not address:
            example = "https://login.microsoftonline.com/<tenant id>/v2.0"
            self.add_error("server_url", _("Enter the issuer, for Microsoft such as %s.") % example)
        if not address:
            return
        try:
            net.judge(address, allowed_hosts())
        except PortalError as error:
            self.add_error("server_url", str(error))

    def _check_people(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("allowed_domains"):
            return
        if cleaned["admits"] == SignInProvider.Admits.DOMAIN:
            self.add_error("allowed_domains", _("Enter the domains whose people may join by themselves."))
        elif cleaned["kind"] == Kind.MICROSOFT:
            self.add_error("allowed_domains", _("Microsoft verifies no addresses: enter the domains of your tenant."))

    def _check_secret(self, cleaned: dict[str, Any]) -> None:
        """Whoever may edit an address must not be able to have the stored secret sent to a server of theirs."""
        if cleaned.get("secret"):
            return
        if not self.instance.pk:
            self.add_error("secret", _("Enter the secret that the provider gave with the client id."))
            return
        moved = SignInProvider(kind=cleaned["kind"], server_url=cleaned["server_url"])
        stored = SignInProvider.objects.get(pk=self.instance.pk)
        if (moved.kind, issuer_of(moved)) != (stored.kind, issuer_of(stored)):
            self.add_error("secret", _("Enter the secret again: from now on it will be sent to another address."))

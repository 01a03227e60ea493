"""Forms of the admin: what may be typed, and what is said when it cannot be taken."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldBooleanSwitchWidget

from connectors.admin.widgets import ConnectionConfigField, ConnectionConfigWidget, ScopesField, ScopesWidget
from connectors.core.base44.credentials import check_token
from connectors.core.errors import CredentialError
from connectors.models import Connector, Project, Workspace


class WorkspaceForm(forms.ModelForm):  # type: ignore[type-arg]
    """The credential goes in and never comes out: the form shows only whether one is set."""

    token = forms.CharField(
        label=_("Personal access token"),
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text=_(
            "Made at Base44 under Settings › Personal access tokens, with access to this workspace. It is stored "
            "encrypted and never shown again. Leave empty to keep the one that is set."
        ),
    )
    forget_credential = forms.BooleanField(
        label=_("Forget the credential"), required=False, widget=UnfoldBooleanSwitchWidget()
    )

    class Meta:
        model = Workspace
        fields = ["name", "base44_id", "api_url", "plan"]

    def clean_token(self) -> str:
        token = str(self.cleaned_data["token"])
        if not token:
            return ""
        try:
            return check_token(token)
        except CredentialError as error:
            raise ValidationError(str(error)) from None

    def clean_api_url(self) -> str:
        return str(self.cleaned_data["api_url"]).rstrip("/")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        moved = self.instance.pk and "api_url" in cleaned and cleaned["api_url"] != self.initial.get("api_url")
        # Whoever may edit the address must not be able to have the stored token sent to a server of their own.
        if moved and self.instance.credential and not cleaned.get("token") and not cleaned.get("forget_credential"):
            self.add_error("token", _("Enter the token again: from now on it will be sent to another address."))
        return cleaned


class ConnectorForm(forms.ModelForm):  # type: ignore[type-arg]
    """What the portal asks for. `version` finds out whether somebody else has saved the row meanwhile."""

    scopes = ScopesField(
        label=_("Scopes"),
        help_text=_("What the app may do. Ask only for what it needs: less can go wrong, and consent is given sooner."),
    )
    connection_config = ConnectionConfigField(
        label=_("Connection settings"), help_text=_("Values that the service needs beside the scopes.")
    )
    version = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Connector
        fields = ["project", "integration_type", "scopes", "connection_config"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        catalogue_url = reverse("admin:connectors_connector_catalogue")
        type_ = self._type()
        self.fields["scopes"].widget = ScopesWidget(type_.slug if type_ else "", catalogue_url)
        self.fields["connection_config"].widget = ConnectionConfigWidget(
            type_.connection_config_fields if type_ else ()
        )
        if self.instance.pk:
            self.fields["version"].initial = self.instance.updated_at.isoformat()

    def _type(self) -> Any:
        if self.instance.pk:
            return self.instance.integration_type
        field = self.fields.get("integration_type")
        slug = self.data.get("integration_type") or self.initial.get("integration_type")
        if not slug or not isinstance(field, forms.ModelChoiceField) or field.queryset is None:
            return None
        return field.queryset.filter(pk=slug).first()

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.instance.pk:
            self._refuse_when_changed_meanwhile()
        else:
            self._take_over_undeclared(cleaned.get("project"), cleaned.get("integration_type"))
        kind = cleaned.get("integration_type") or self._type()
        if kind is not None and "connection_config" in cleaned:
            try:
                kind.check_connection_config(cleaned["connection_config"])
            except ValidationError as error:
                self.add_error("connection_config", error)
        return cleaned

    def _refuse_when_changed_meanwhile(self) -> None:
        if self.data.get("version") != self.instance.updated_at.isoformat():
            message = _("Somebody has changed this connector since you opened it. Look at it anew before you save.")
            raise ValidationError(message, code="changed")

    def _take_over_undeclared(self, project: Project | None, kind: Any) -> None:
        """A connector that only Base44 has so far becomes a declared one; a declared one stays what it is."""
        row = Connector.objects.filter(project=project, integration_type=kind).first() if project and kind else None
        if row is not None and not row.is_declared:
            self.instance = row


class ProjectForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Project
        fields = ["workspace", "name", "slug", "app_id", "environment", "connectors_dir", "notes"]

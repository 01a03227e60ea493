"""Forms of the admin: what may be typed, and what is said when it cannot be taken."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from connectors.admin.widgets import (
    ConnectionConfigField,
    ConnectionConfigWidget,
    DomainsField,
    ScopesField,
    ScopesWidget,
)
from connectors.core.base44.credentials import check_token
from connectors.core.errors import CredentialError
from connectors.models import Connector, IntegrationType, Project, Workspace


class NoticesChanges(forms.ModelForm):  # type: ignore[type-arg]
    """A form that is refused when somebody else has saved the row since it was opened.

    `version` stands for the values that the form edits, so that a sync in the background disturbs nobody.
    """

    watched: ClassVar[list[str]] = []

    version = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["version"].initial = self._version_of(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.instance.pk:
            return cleaned
        # Locked until the save: two requests at once would otherwise both find what they had been shown.
        stored = type(self.instance)._base_manager.select_for_update().get(pk=self.instance.pk)
        if self.data.get(self.add_prefix("version")) != self._version_of(stored):
            message = _(
                "Somebody has changed this %(noun)s since you opened it. Reload the page to see what it is now; "
                "nothing of yours was saved."
            )
            raise ValidationError(message % {"noun": self.instance._meta.verbose_name}, code="changed")
        return cleaned

    def _version_of(self, row: Model) -> str:
        values = json.dumps([getattr(row, name) for name in self.watched], sort_keys=True, default=str)
        return hashlib.sha256(values.encode()).hexdigest()[:32]


class WorkspaceForm(NoticesChanges):
    """The credential goes in and never comes out: the form shows only whether one is set."""

    watched = ["name", "base44_id", "api_url", "plan", "allowed_account_domains"]

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
    allowed_account_domains = DomainsField(
        label=_("Allowed account domains"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_(
            "One per line, such as acme.com. Connectors can then be authorised in the portal only with accounts of "
            "these domains. Empty: with any account."
        ),
    )
    forget_credential = forms.BooleanField(
        label=_("Forget the credential"), required=False, widget=UnfoldBooleanSwitchWidget()
    )

    class Meta:
        model = Workspace
        fields = ["name", "base44_id", "api_url", "plan", "allowed_account_domains"]

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
        if cleaned.get("token") and cleaned.get("forget_credential"):
            self.add_error("forget_credential", _("Either enter a new token or forget the credential, not both."))
        moved = self.instance.pk and "api_url" in cleaned and cleaned["api_url"] != self.initial.get("api_url")
        # Whoever may edit the address must not be able to have the stored token sent to a server of their own.
        if moved and self.instance.credential and not cleaned.get("token") and not cleaned.get("forget_credential"):
            self.add_error("token", _("Enter the token again: from now on it will be sent to another address."))
        return cleaned


class ConnectorForm(NoticesChanges):
    """What the portal asks for."""

    watched = ["is_declared", "scopes", "connection_config"]

    scopes = ScopesField(
        label=_("Scopes"),
        help_text=_("What the app may do. Ask only for what it needs: less can go wrong, and consent is given sooner."),
    )
    connection_config = ConnectionConfigField(
        label=_("Connection settings"), help_text=_("Values that the service needs beside the scopes.")
    )

    class Meta:
        model = Connector
        fields = ["project", "integration_type", "scopes", "connection_config"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        catalogue_url = reverse("admin:connectors_connector_catalogue")
        type_ = self._type()
        if self.instance.pk and not self.instance.is_declared:
            # Saving declares it: what Base44 has is what one most likely wants, and nothing at all never is.
            self.initial["scopes"] = self.instance.registered_scopes or []
        self.fields["scopes"].widget = ScopesWidget(type_.slug if type_ else "", catalogue_url)
        self.fields["connection_config"].widget = ConnectionConfigWidget(
            type_.connection_config_fields if type_ else ()
        )

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
        if not self.instance.pk:
            self._take_over_undeclared(cleaned.get("project"), cleaned.get("integration_type"))
        kind = cleaned.get("integration_type") or self._type()
        if kind is not None and "connection_config" in cleaned:
            self._check_config(kind, cleaned["connection_config"])
        return cleaned

    def _check_config(self, kind: IntegrationType, config: dict[str, str]) -> None:
        """Each fault is shown at its input; the form is refused as a whole."""
        problems: dict[str, list[str]] = {}
        for field in kind.connection_config_fields:
            alone = IntegrationType(slug=kind.slug, connection_config_fields=[field])
            try:
                alone.check_connection_config(config)
            except ValidationError as error:
                problems[field["name"]] = error.messages
        if problems:
            widget = self.fields["connection_config"].widget
            if isinstance(widget, ConnectionConfigWidget):
                widget.problems = problems
            self.add_error("connection_config", _("Correct the marked settings."))

    def _take_over_undeclared(self, project: Project | None, kind: Any) -> None:
        """A connector that only Base44 has so far becomes a declared one; a declared one stays what it is."""
        row = Connector.objects.filter(project=project, integration_type=kind).first() if project and kind else None
        if row is not None and not row.is_declared:
            self.instance = row


class ProjectForm(NoticesChanges):
    watched = ["workspace_id", "name", "slug", "app_id", "environment", "connectors_dir", "notes"]

    class Meta:
        model = Project
        fields = ["workspace", "name", "slug", "app_id", "environment", "connectors_dir", "notes"]

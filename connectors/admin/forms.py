"""Forms of the admin: what may be typed, and what is said when it cannot be taken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Model, Q
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from connectors.admin.widgets import (
    ConnectionConfigField,
    ConnectionConfigWidget,
    DomainsField,
    ScopesField,
    ScopesWidget,
    SecretField,
    TagsField,
)
from connectors.core.base44.credentials import check_token
from connectors.core.errors import CredentialError, PortalError
from connectors.core.policy import PolicyNote
from connectors.flows.approval_rules import refuse_escape
from connectors.flows.policies import Proposal, notes_of
from connectors.models import Connector, IntegrationType, Project, Workspace
from connectors.models.membership import colleagues_of
from connectors.models.visibility import Person


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

    token = SecretField(
        label=_("Personal access token"),
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


def refusal_with_link(note: PolicyNote) -> SafeString:
    """What a rule says, and where an exception from it is asked for."""
    asked = {"rule": note.rule, "project": note.project, "type_slug": note.type, "scope": note.asked_scope}
    address = f"{reverse('admin:connectors_policyexception_add')}?{urlencode(asked)}"
    return format_html('{} <a class="pc-link" href="{}">{}</a>', note.text, address, _("Request it here"))


class ConnectorForm(NoticesChanges):
    """What the portal asks for. `warnings` are what rules say that stop nothing."""

    warnings: Sequence[str] = ()

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
        if not self.errors:
            self._check_policies(cleaned.get("project") or self.instance.project, kind, cleaned["scopes"])
        return cleaned

    def _check_policies(self, project: Project, kind: IntegrationType, scopes: list[str]) -> None:
        """What a rule stops is said with the way to ask for an exception; what one warns of is kept for the message."""
        before = self._declared_scopes(project, kind)
        notes = notes_of([Proposal(project, {kind.slug: scopes}, {} if before is None else {kind.slug: before})])
        said = notes[project.pk].get(kind.slug, ())
        self.warnings = [note.text for note in said if not note.stops]
        if any(note.stops for note in said):
            stopping = [note for note in said if note.stops]
            self.add_error("scopes", [ValidationError(refusal_with_link(note)) for note in stopping])

    def _declared_scopes(self, project: Project, kind: IntegrationType) -> list[str] | None:
        row = Connector.objects.filter(project=project, integration_type=kind, is_declared=True).only("scopes").first()
        return None if row is None else list(row.scopes)

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


class StaffField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """Somebody who can log in here, by full name. A plain list: who may not see users has to choose one as well."""

    def __init__(self, **kwargs: Any) -> None:
        staff = User.objects.filter(is_active=True, is_staff=True).order_by("username")
        super().__init__(**{"queryset": staff, "widget": UnfoldAdminSelectWidget, **kwargs})

    def label_from_instance(self, obj: Any) -> str:
        name = obj.get_full_name()
        return f"{name} ({obj.get_username()})" if name else str(obj.get_username())


def offering_colleagues(form: type[forms.ModelForm[Any]], user: Any) -> type[forms.ModelForm[Any]]:
    """The form with colleagues of `user` alone in its choices of people, and whoever stands there already."""

    class Offering(form):  # type: ignore[valid-type, misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            for name, field in self.fields.items():
                if isinstance(field, StaffField) and field.queryset is not None:
                    here = Q(pk__in=colleagues_of(user).order_by().values("pk")) | Q(
                        pk=getattr(self.instance, f"{name}_id", None)
                    )
                    field.queryset = field.queryset.filter(here)

    Offering.__name__ = form.__name__
    return Offering


def keep_workspace(form: forms.ModelForm[Any]) -> None:
    """Offers the workspace where a row is, beside those where the person may add such rows: so it can stay there."""
    field, row = form.fields.get("workspace"), form.instance
    if not row.pk or not isinstance(field, forms.ModelChoiceField) or field.queryset is None:
        return
    offered = Q(pk__in=field.queryset.order_by().values("pk")) | Q(pk=row.workspace_id)
    field.queryset = Workspace.objects.filter(offered)
    field.required = field.required and row.workspace_id is not None


class ProjectForm(NoticesChanges):
    """A project can be moved to another workspace where one may add projects, and stay in the one where it is."""

    watched = ["workspace_id", "name", "slug", "app_id", "environment", "tags", "owner_id", "connectors_dir", "notes"]

    tags = TagsField(
        label=_("Tags"),
        help_text=_("Words to group projects by, such as payments, with commas between them; policies can name them."),
    )
    owner = StaffField(
        label=_("Owner"),
        required=False,
        empty_label=_("Nobody yet"),
        help_text=_("Who answers for what this app may do: reviews and reminders go to them."),
    )

    class Meta:
        model = Project
        fields = ["workspace", "name", "slug", "app_id", "environment", "tags", "owner", "connectors_dir", "notes"]

    person: ClassVar[Person | None] = None
    """Who fills it in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_workspace(self)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if self.instance.pk and self.person is not None and not self.errors:
            after = copy(self.instance)
            for name in ("workspace", "environment", "app_id", "tags"):
                setattr(after, name, cleaned.get(name, getattr(after, name)))
            try:
                refuse_escape(self.instance, after, self.person)
            except PortalError as error:
                raise ValidationError(str(error)) from None
        return cleaned

"""The form of a repository. Its token goes in and never comes out; keys are made and entered on pages of their own."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from connectors.admin.forms import NoticesChanges
from connectors.admin.widgets import SecretField
from connectors.core import net
from connectors.core.git import GitError, guess_host, parse_url
from connectors.flows.repositories import FIELDS, check_known_hosts, objections
from connectors.models import Placement, Repository, Workspace

MESSAGE_FIELDS = {"summary", "changes", "projects", "actor"}
"""What a commit message's template may name."""


class RepositoryForm(NoticesChanges):
    """What a person says of a repository. `finds_branch`: nobody has said one, so the server is to be asked."""

    watched = ["workspace_id" if name == "workspace" else name for name in FIELDS]
    finds_branch = False
    must_name_workspace: ClassVar[bool] = False
    """Whether this person may only add repositories to workspaces that they name."""

    branch = forms.CharField(
        label=_("Branch"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Files are read from this branch. Empty: the repository's main branch, as its server names it."),
    )
    host = forms.ChoiceField(
        label=_("Host"),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("What the server runs: it decides how pull requests are opened and webhooks are checked."),
    )
    access_token = SecretField(
        label=_("Access token"),
        help_text=_(
            "For https, and for pull requests. It is stored encrypted and never shown again. Leave empty to keep the "
            "one that is set."
        ),
    )
    forget_token = forms.BooleanField(label=_("Forget the token"), required=False, widget=UnfoldBooleanSwitchWidget())

    class Meta:
        model = Repository
        fields = FIELDS
        widgets = {
            "known_hosts": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "message_template": UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        }
        help_texts = {
            "export_hours": _("Only with “On a schedule”."),
            "author_name": _("Whom commits of the portal's name."),
            "on_drift": _("What exports do with it when no project takes such changes over by itself."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        host = self.fields.get("host")
        if isinstance(host, forms.ChoiceField):
            host.choices = [("", _("Find out from the URL")), *Repository.Host.choices]
        if self.instance.pk is None and "access_token" in self.fields:
            self.initial.update(host="", branch="")
            self.fields["access_token"].help_text = _(
                "For https, and for pull requests. It is stored encrypted and never shown again. With ssh save first: "
                "the next page makes a deploy key."
            )

    def clean_workspace(self) -> Workspace | None:
        """Whose it is; one that belongs to a workspace cannot be given away to everybody by its people."""
        workspace: Workspace | None = self.cleaned_data["workspace"]
        is_free = self.instance.pk is not None and self.instance.workspace_id is None
        if workspace is None and self.must_name_workspace and not is_free:
            raise ValidationError(_("Choose the workspace whose people manage it."))
        return workspace

    def clean_url(self) -> str:
        try:
            return parse_url(str(self.cleaned_data["url"]), file_urls=settings.GIT_ALLOW_FILE_URLS).url
        except GitError as error:
            raise ValidationError(str(error)) from None

    def clean_branch(self) -> str:
        typed = str(self.cleaned_data["branch"])
        self.finds_branch = not typed
        return typed or self.instance.branch

    def clean_host(self) -> str:
        """The chosen one; found out where none is, and where the URL has moved on while the choice stood still."""
        typed, url = str(self.cleaned_data["host"]), str(self.cleaned_data.get("url", ""))
        guessed = guess_host(url)
        has_moved = self.instance.pk and url != self.instance.url and typed == self.instance.host
        return guessed if not typed or (has_moved and guessed != Repository.Host.PLAIN) else typed

    def clean_api_url(self) -> str:
        url = str(self.cleaned_data["api_url"]).rstrip("/")
        if not url:
            return ""
        try:
            target = net.parse(url)
        except net.AddressRefusedError as error:
            raise ValidationError(str(error)) from None
        if target.scheme != "https" and not settings.GIT_ALLOWED_PRIVATE_HOSTS:
            raise ValidationError(_("The address must start with https://, so that nobody can read along."))
        return url

    def clean_access_token(self) -> str:
        token = str(self.cleaned_data["access_token"])
        if not token.isascii() or not token.isprintable() or " " in token:
            raise ValidationError(_("This is no token: it holds blanks or unusual signs. Copy it again."))
        return token

    def clean_known_hosts(self) -> str:
        lines = [line.strip() for line in str(self.cleaned_data["known_hosts"]).splitlines() if line.strip()]
        for number, line in enumerate(lines, start=1):
            try:
                check_known_hosts(line)
            except GitError as error:
                raise ValidationError(
                    _("Line %(number)d: %(text)s"), params={"number": number, "text": error}
                ) from None
        return "\n".join(lines)

    def clean_message_template(self) -> str:
        text = str(self.cleaned_data["message_template"]).replace("\r\n", "\n").strip()
        template = Template(text)
        if not template.is_valid():
            raise ValidationError(_("Write $$ for a dollar sign."))
        if unknown := [name for name in template.get_identifiers() if name not in MESSAGE_FIELDS]:
            known = ", ".join(f"${name}" for name in sorted(MESSAGE_FIELDS))
            raise ValidationError(
                _("There is no $%(name)s; there are %(known)s."), params={"name": unknown[0], "known": known}
            )
        return text

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("access_token") and cleaned.get("forget_token"):
            self.add_error("forget_token", _("Either enter a new token or forget the one that is set, not both."))
        if cleaned.get("export_when") == Repository.ExportWhen.SCHEDULED and cleaned.get("export_hours") == 0:
            self.add_error("export_hours", _("Enter one hour or more."))
        self._check_mode(cleaned)
        if self.instance.pk and not self.errors:
            self._check_address(cleaned)
        return cleaned

    def _check_mode(self, cleaned: Mapping[str, Any]) -> None:
        """Pull requests need a host that has them, and a token to open them with."""
        if cleaned.get("mode") != Repository.Mode.PULL_REQUEST or "host" not in cleaned:
            return
        if cleaned["host"] == Repository.Host.PLAIN:
            self.add_error(
                "mode", _("This server has no pull requests that the portal can open. Choose its host above.")
            )
            return
        has_token = cleaned.get("access_token") or (self.instance.token and not cleaned.get("forget_token"))
        if not has_token and "access_token" not in self.errors:
            self.add_error(
                "access_token", _("Pull requests are opened with an access token: a deploy key is not enough.")
            )

    def _check_address(self, cleaned: Mapping[str, Any]) -> None:
        stored = Repository.objects.get(pk=self.instance.pk)
        keeps = not cleaned.get("access_token") and not cleaned.get("forget_token")
        for name, text in objections(stored, cleaned["url"], cleaned["api_url"], keeps_token=keeps).items():
            self.add_error(name, text)


class PlacementForm(forms.ModelForm):  # type: ignore[type-arg]
    """A project's folder in the repository: with or without slashes around it, it is the same one."""

    class Meta:
        model = Placement
        fields = ["project", "path", "auto_import", "writes_lock_file"]
        error_messages = {"project": {"unique": _("This project has a place in a repository already.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        of = f" of {self.instance.project}" if self.instance.pk else ""
        for field in self.fields.values():
            # The table's heads are no labels, and a screen reader says which row one is in by these alone.
            field.widget.attrs["aria-label"] = f"{field.label}{of}"

    def clean_path(self) -> str:
        return str(self.cleaned_data["path"]).strip().strip("/").removeprefix("./")

    def validate_unique(self) -> None:
        super().validate_unique()
        # Inside another form Django leaves out constraints that name the row which the other form is about.
        try:
            self.instance.validate_constraints(exclude=set(self.errors))
        except ValidationError as error:
            self.add_error(None, error)

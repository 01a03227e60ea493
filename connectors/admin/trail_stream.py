"""Trail streams: where every event is sent to, and whether it gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from pydantic import SecretStr
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldBooleanSwitchWidget

from connectors.admin import cells
from connectors.admin.base import OverviewMixin, PortalAdmin, actor_of
from connectors.admin.pages.trail_stream import secret_page
from connectors.admin.widgets import SecretField
from connectors.core.net import AddressRefusedError, parse
from connectors.flows.trail_streams import delete_stream, save_stream
from connectors.models import TrailSegment, TrailStream

if TYPE_CHECKING:
    from connectors.admin.base import Sentences


class TrailStreamForm(forms.ModelForm):  # type: ignore[type-arg]
    """A webhook's address goes in and never comes out: services put secrets into it."""

    address = SecretField(
        label=_("Webhook address"),
        help_text=_("For a webhook. It starts with https:// and is stored encrypted. Empty: the one that is set."),
    )
    from_beginning = forms.BooleanField(
        label=_("From the beginning"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Sends what is on record already as well, the oldest first. Else it begins with what happens now."),
    )

    class Meta:
        model = TrailStream
        fields = ["name", "is_enabled", "kind", "host", "port", "protocol"]
        help_texts = {
            "host": _("Of the syslog server. For a webhook the portal takes it from the address."),
            "protocol": _("Over UDP nobody learns of what gets lost: take TLS where you can."),
        }

    def clean_address(self) -> str:
        address = str(self.cleaned_data.get("address") or "")
        if address:
            try:
                parse(address)
            except AddressRefusedError as error:
                raise ValidationError(str(error)) from None
        return address

    def clean_port(self) -> int:
        port = int(self.cleaned_data["port"])
        if not 0 < port < 65_536:
            raise ValidationError(_("A port is a number from 1 to 65535."))
        return port

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if found.get("kind") == TrailStream.Kind.SYSLOG and not found.get("host"):
            self.add_error("host", _("A syslog server needs a host."))
        if found.get("kind") == TrailStream.Kind.WEBHOOK and not found.get("address") and not self.instance.url:
            self.add_error("address", _("A webhook needs an address."))
        return found


@admin.register(TrailStream)
class TrailStreamAdmin(OverviewMixin, PortalAdmin):
    form = TrailStreamForm
    list_display = ["head", "state_", "sent_", "behind_"]
    list_display_links = ["head"]
    list_filter = [("kind", ChoicesDropdownFilter), "is_enabled"]
    search_fields = ["name", "host"]
    search_help_text = _("Search by name or host")
    ordering = ["name"]
    change_form_outer_before_template = "connectors/trail_stream/stream.html"
    empty_icon = "podcasts"
    empty_title = _("No stream yet")
    empty_text = _("A stream sends every event to a syslog server or a webhook, where nobody here can change it.")
    fieldsets = [
        (None, {"fields": ["name", "is_enabled", "kind", "address", "host", "port", "protocol", "from_beginning"]})
    ]

    def get_fieldsets(self, request: HttpRequest, obj: TrailStream | None = None) -> Any:
        """Where it begins is asked of a new one alone; whoever may only look sees no field of secrets."""
        ((title, options),) = super().get_fieldsets(request, obj)
        hidden = {"from_beginning"} if obj is not None else set()
        if obj is not None and not self.has_change_permission(request, obj):
            hidden |= {"address"}
        return [(title, {**options, "fields": [name for name in options["fields"] if name not in hidden]})]

    def overview_of(self, request: HttpRequest, row: TrailStream | None) -> dict[str, Any]:
        if row is None:
            return {}
        return {
            "stream": row,
            "stream_badge": _badge(row),
            "behind": _behind(row),
            "may_test": self.has_change_permission(request, row),
        }

    def effects_of_deleting(self, row: TrailStream) -> Sentences:
        return [_("No more events are sent there. What was sent stays where it is.")]

    @admin.display(description=_("Stream"), ordering="name")
    def head(self, row: TrailStream) -> SafeString:
        return cells.two_lines(row.name, row.get_kind_display())

    @admin.display(description=_("State"), ordering="failures")
    def state_(self, row: TrailStream) -> SafeString:
        return _badge(row)

    @admin.display(description=_("Last sent"), ordering="last_sent_at")
    def sent_(self, row: TrailStream) -> SafeString:
        return cells.when(row.last_sent_at)

    @admin.display(description=_("Segments to send"))
    def behind_(self, row: TrailStream) -> int:
        return _behind(row)

    def save_model(self, request: HttpRequest, obj: TrailStream, form: ModelForm[TrailStream], change: bool) -> None:
        address = form.cleaned_data.get("address")
        request.made_secret = save_stream(  # type: ignore[attr-defined]  # for the one answer that shows it
            obj,
            actor_of(request),
            url=SecretStr(address) if address else None,
            from_beginning=bool(form.cleaned_data.get("from_beginning")),
        )

    def delete_model(self, request: HttpRequest, obj: TrailStream) -> None:
        delete_stream(obj, actor_of(request))

    def response_add(
        self, request: HttpRequest, obj: TrailStream, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._with_secret(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: TrailStream) -> HttpResponse:
        return self._with_secret(request, obj) or super().response_change(request, obj)

    def _with_secret(self, request: HttpRequest, obj: TrailStream) -> HttpResponse | None:
        """The page with the secret that was just made; None when there is none."""
        secret: SecretStr | None = getattr(request, "made_secret", None)
        return None if secret is None else secret_page(self, request, obj, secret)


def _badge(row: TrailStream) -> SafeString:
    if not row.is_enabled:
        return cells.badge(_("Not in use"), "danger" if row.failing_since else "neutral", title=row.last_error)
    if row.failures:
        return cells.badge(_("Failing"), "danger", title=row.last_error)
    return cells.badge(_("Working"), "success") if row.last_sent_at else cells.badge(_("Nothing sent yet"), "neutral")


def _behind(row: TrailStream) -> int:
    return TrailSegment.objects.filter(number__gte=row.segment).count()

"""Filters of the activity. Each leads along an index that is in the order of the list, whatever the number of rows."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter, TextFilter

from connectors.core.actor import Door
from connectors.models import Event

Events = QuerySet[Event]

VERB_GROUPS = {
    "connector": _("Connectors"),
    "consent": _("Consent"),
    "consent_link": _("Consent links"),
    "plan": _("Plans"),
    "import": _("Imports"),
    "project": _("Projects"),
    "repository": _("Repositories"),
    "placement": _("Projects in repositories"),
    "pull_request": _("Pull requests"),
    "workspace": _("Workspaces"),
    "credential": _("Credentials"),
    "oauth_client": _("OAuth clients"),
    "token": _("Tokens"),
    "catalogue": _("Catalogue"),
    "policy": _("Policies"),
    "policy_exception": _("Policy exceptions"),
    "review": _("Access reviews"),
    "report": _("Reports"),
    "incident": _("Incidents"),
    "alert_route": _("Alert routes"),
    "login": _("Logins"),
    "access": _("Denied attempts"),
    "membership": _("Memberships"),
    "invitation": _("Invitations"),
    "approval": _("Approvals"),
    "export": _("Exports"),
    "keys": _("Keys"),
    "trail": _("Audit trail"),
    "trail_stream": _("Trail streams"),
}


class AboutFilter(DropdownFilter):  # type: ignore[misc]
    """What an event is about: the first part of its verb."""

    title = _("what")
    parameter_name = "about"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return list(VERB_GROUPS.items())

    def queryset(self, request: Any, queryset: Events) -> Events:
        return queryset.filter(about=self.value()) if self.value() in VERB_GROUPS else queryset


class DoorFilter(DropdownFilter):  # type: ignore[misc]
    """Through which door the actor came."""

    title = _("door")
    parameter_name = "door"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, Any]]:
        return [(door.value, door.value.capitalize()) for door in Door]

    def queryset(self, request: Any, queryset: Events) -> Events:
        return queryset.filter(door=self.value()) if self.value() else queryset


class _Exactly(TextFilter):  # type: ignore[misc]
    """Rows with exactly this text in a column."""

    column = ""

    def queryset(self, request: Any, queryset: Events) -> Events:
        value = str(self.value() or "").strip()
        return queryset.filter(**{self.column: value}) if value else queryset


class VerbFilter(_Exactly):
    title = _("exactly what, such as token.revoked")
    parameter_name = column = "verb"


class RequestFilter(_Exactly):
    title = _("request")
    parameter_name, column = "request", "request_id"


class AddressFilter(_Exactly):
    title = _("address")
    parameter_name = column = "address"


class PersonFilter(TextFilter):  # type: ignore[misc]
    """Somebody by user name or e-mail address, through whatever door they came; or a name as the list shows it."""

    title = _("person")
    parameter_name = "person"

    def queryset(self, request: Any, queryset: Events) -> Events:
        value = str(self.value() or "").strip()
        if not value:
            return queryset
        same = Q(username__iexact=value) | Q(email__iexact=value)
        keys = list(get_user_model()._default_manager.filter(same).values_list("pk", flat=True)[:20])
        return queryset.filter(user__in=keys) if keys else queryset.filter(actor_label=value)


class ObjectFilter(TextFilter):  # type: ignore[misc]
    """One object by its kind and key, as an event's page links to it: `project:12`; or all of a kind: `project`."""

    title = _("object, such as project:12")
    parameter_name = "object"

    def queryset(self, request: Any, queryset: Events) -> Events:
        kind, colon, key = str(self.value() or "").strip().partition(":")
        if not kind:
            return queryset
        return queryset.filter(target_type=kind, target_id=key) if colon else queryset.filter(target_type=kind)


class BetweenFilter(RangeDateTimeFilter):  # type: ignore[misc]
    """From one time to another, either left out, in the portal's time zone. What is no time is passed over."""

    def queryset(self, request: Any, queryset: Events) -> Events:
        since, until = self._moment("from", "00:00:00"), self._moment("to", "23:59:59.999999")
        if since is not None:
            queryset = queryset.filter(at__gte=since)
        return queryset if until is None else queryset.filter(at__lte=until)

    def _moment(self, side: str, time: str) -> dt.datetime | None:
        """The moment of one side; a date without a time means its whole day."""
        day, at = (str(self.used_parameters.get(f"at_{side}_{part}") or "").strip() for part in (0, 1))
        try:
            found = parse_datetime(f"{day} {at or time}") if day else None
            return timezone.make_aware(found) if found is not None and timezone.is_naive(found) else found
        except (ValueError, OverflowError):
            return None

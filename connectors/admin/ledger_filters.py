"""Filters of the scope ledger. Each leads along an index; none reads all values of a column to offer them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from connectors.core.catalog import load_catalog
from connectors.core.catalog.providers import provider_name
from connectors.models import LedgerEntry, Sensitivity

Entries = QuerySet[LedgerEntry]
NOT_KNOWN = "-"
"""What stands in an address for an account or person that is not known."""


class VerdictFilter(DropdownFilter):  # type: ignore[misc]
    """Each verdict, and all those at once that ask for somebody."""

    title = _("verdict")
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("differs", _("Differs: missing, excess or drift")), *LedgerEntry.Verdict.choices]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        value, verdict = self.value(), LedgerEntry.Verdict
        if value == "differs":
            return queryset.filter(differs=True)
        if value not in verdict.values:
            return queryset
        # `differs` has an index: without it the database reads every entry to find the few that are missing.
        alarms = [verdict.MISSING, verdict.EXCESS, verdict.DRIFT]
        return queryset.filter(differs=value in alarms, verdict=value)


class SensitivityFilter(DropdownFilter):  # type: ignore[misc]
    """A sensitivity and everything graver, or what nobody has judged."""

    title = _("sensitivity")
    parameter_name = "sensitivity"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [
            ("critical", _("Critical")),
            ("high", _("High or critical")),
            ("medium", _("Medium or graver")),
            ("unknown", _("Not judged")),
        ]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        value = self.value() or ""
        if value == "unknown":
            return queryset.filter(sensitivity=None)
        if value.upper() not in Sensitivity.names:
            return queryset
        levels = [level for level in Sensitivity if level >= Sensitivity[value.upper()]]
        return queryset.filter(sensitivity=levels[0]) if len(levels) == 1 else queryset.filter(sensitivity__in=levels)


class PolicyFilter(DropdownFilter):  # type: ignore[misc]
    """What the team's rules say."""

    title = _("policy")
    parameter_name = "policy"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [("broken", _("Breaks a rule")), *LedgerEntry.Policy.choices[1:], ("none", _("No rule says anything"))]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        value, policy = self.value(), LedgerEntry.Policy
        said = ~Q(policy="")  # as the partial index says it, or SQLite does not use the index
        if value == "broken":
            return queryset.filter(said, policy__in=[policy.WARN, policy.APPROVAL, policy.BLOCK])
        if value == "none":
            return queryset.filter(policy=policy.NONE)
        return queryset.filter(said, policy=value) if value in policy.values and value else queryset


class LedgerProviderFilter(DropdownFilter):  # type: ignore[misc]
    """By provider, through its types: these are part of the index that the list goes along."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        found = {info.provider for info in load_catalog().types.values()}
        return sorted(((provider, provider_name(provider)) for provider in found), key=lambda pair: pair[1].lower())

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        value = self.value()
        types = [slug for slug, info in load_catalog().types.items() if info.provider == value]
        return queryset.filter(integration_type__in=types) if value else queryset


class AgeFilter(DropdownFilter):  # type: ignore[misc]
    """For how long a scope has been listed somewhere without a break."""

    title = _("age")
    parameter_name = "age"
    ages = {
        "new-7": (_("New: at most 7 days"), -7),
        "new-30": (_("New: at most 30 days"), -30),
        "old-30": (_("Longer than 30 days"), 30),
        "old-90": (_("Longer than 90 days"), 90),
        "old-365": (_("Longer than a year"), 365),
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return [(key, words) for key, (words, _days) in self.ages.items()]

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        days = self.ages.get(self.value() or "", ("", 0))[1]
        border = timezone.now() - dt.timedelta(days=abs(days))
        if not days:
            return queryset
        return queryset.filter(since__lt=border) if days > 0 else queryset.filter(since__gte=border)


class _Exactly(TextFilter):  # type: ignore[misc]
    """A text in full: an index finds it, and a part of it would need every row to be read."""

    field = ""

    def queryset(self, request: HttpRequest, queryset: Entries) -> Entries:
        value = (self.value() or "").strip()
        return queryset.filter(**{self.field: "" if value == NOT_KNOWN else value}) if value else queryset


class ScopeFilter(_Exactly):
    title = _("scope, in full")
    parameter_name = field = "scope"


class AccountFilter(_Exactly):
    title = _("account, in full")
    parameter_name = field = "account"


class PersonFilter(_Exactly):
    title = _("person who authorised, in full")
    parameter_name = field = "person"

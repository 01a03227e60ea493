"""Give the samples a past: what the portal's own flows write now is dated back, here and nowhere else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone

from connectors.core.trail.clock import dated_back
from connectors.models import (
    Connector,
    LedgerEntry,
    PolicyException,
    PolicyFinding,
    PolicyRule,
    Project,
    ReviewCampaign,
    ScopePeriod,
    SyncRun,
    Token,
)

_OF_CONNECTORS = ("created_at", "updated_at", "source_read_at", "repository_read_at", "ledger_at")


@contextmanager
def days_ago(days: float) -> Iterator[dt.datetime]:
    """What is done inside happened so many days ago; gives that moment, for flows that take one.

    Of one connector tell what is older first: a period must not end before it began.
    """
    start, ago = timezone.now(), dt.timedelta(days=days)
    with dated_back(ago):  # events are never changed, so theirs has to be right at once
        yield start - ago
    for rows, columns in _dated():
        for column in columns:
            rows.filter(**{f"{column}__gte": start}).update(**{column: F(column) - ago})


def _dated() -> list[tuple[QuerySet[Any], tuple[str, ...]]]:
    """What pages show of when something happened. Ends of tokens and leases stay: the worker goes by them."""
    runs = SyncRun.objects.exclude(finished_at=None)
    return [
        (Project.objects.all(), ("created_at",)),
        (Connector.objects.all(), _OF_CONNECTORS),
        (runs, ("created_at", "started_at", "finished_at")),
        (ScopePeriod.objects.all(), ("since", "until")),
        (LedgerEntry.objects.all(), ("since",)),
        (PolicyFinding.objects.all(), ("since",)),
        (PolicyRule.objects.all(), ("created_at", "updated_at", "checked_at")),
        (PolicyException.objects.all(), ("requested_at",)),
        (ReviewCampaign.objects.all(), ("created_at",)),
        (Token.objects.all(), ("authorised_at",)),
    ]

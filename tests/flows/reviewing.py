"""A review of a few scopes, opened by the real flows, for the tests of reviews."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.flows import ledger
from connectors.flows.reviews import Ruling, decide, open_review
from connectors.models import Connector, LedgerEntry, Project, ReviewCampaign, ReviewItem
from tests.factories import SHELL, make_connector

READ = "https://www.googleapis.com/auth/gmail.readonly"
SEND = "https://www.googleapis.com/auth/gmail.send"
ALL_MAIL = "https://mail.google.com/"
EMAIL = "https://www.googleapis.com/auth/userinfo.email"


def acting(user: User) -> Actor:
    """The person, at the admin's door."""
    return Actor(user.get_username(), Door.ADMIN, user.pk)


def in_ledger(project: Project, type_: str = "gmail", scopes: Iterable[str] = (READ, SEND), **values: Any) -> Connector:
    """A connector whose scopes Base44 has as well, noted in the ledger."""
    scopes = list(scopes)
    values.setdefault("registered", scopes)
    connector = make_connector(project, type_, scopes, **values)
    ledger.note([connector.pk], SHELL, "connector.declared")
    return connector


def draft(name: str = "Autumn", **values: Any) -> ReviewCampaign:
    """A review that is due in two weeks and not open yet."""
    values = {"due_at": timezone.now() + dt.timedelta(days=14), **values}
    return ReviewCampaign.objects.create(name=name, **values)


def opened(name: str = "Autumn", *, by: Actor = SHELL, **values: Any) -> ReviewCampaign:
    """A review of all that is in the ledger; days that are over are set once it is open."""
    due_at = values.pop("due_at", None)
    campaign = draft(name, **values)
    open_review(campaign, LedgerEntry.objects.all(), by, now=timezone.now())
    if due_at is not None:
        ReviewCampaign.objects.filter(pk=campaign.pk).update(due_at=due_at)
    campaign.refresh_from_db()
    return campaign


def item(campaign: ReviewCampaign, scope: str = SEND, **values: Any) -> ReviewItem:
    """The row of one scope, as it is stored now."""
    return ReviewItem.objects.get(campaign=campaign, scope=scope, **values)


def rule(
    campaign: ReviewCampaign,
    decision: str,
    *scopes: str,
    reason: str = "Because.",
    narrow_to: str = "",
    by: Actor = SHELL,
) -> int:
    """Decides the same on each of these scopes, or on all."""
    rows = campaign.items.filter(scope__in=scopes) if scopes else campaign.items.all()
    ids = list(rows.values_list("pk", flat=True))
    return decide(campaign, ids, Ruling(decision, reason, narrow_to), by, now=timezone.now())

"""Freeze the ledger into the rows of a review, show later that they are what was frozen, and give them as evidence."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from django.contrib.auth import get_user_model
from django.db.models import Q

from connectors.core.reports.table import Cell, Row
from connectors.flows.scope_facts import ScopeFacts
from connectors.models import ReviewCampaign, ReviewItem, Sensitivity
from connectors.models.ledger import LedgerEntryQuerySet

BATCH = 2_000
"""Rows that one statement freezes."""
FROZEN = (
    "project_label",
    "environment",
    "type_slug",
    "scope",
    "title",
    "sensitivity",
    "declared",
    "repository",
    "registered",
    "granted",
    "verdict",
    "finding",
    "account",
    "person",
    "since",
)
"""What never changes once a review is open, and what its fingerprint covers, in this order."""
EVIDENCE_FIELDS = (
    *FROZEN,
    "owner_label",
    "decision",
    "narrow_to",
    "decision_reason",
    "decided_by_label",
    "decided_at",
    "outcome",
    "outcome_note",
)
"""The columns of `evidence_rows`, as `ReviewItem` declares them; the fingerprint of the snapshot follows last."""
_FROM = {
    "project_id": "project_id",
    "project_label": "project__name",
    "environment": "environment",
    "connector_id": "connector_id",
    "type_slug": "integration_type_id",
    "scope": "scope",
    "sensitivity": "sensitivity",
    "declared": "declared",
    "repository": "repository",
    "registered": "registered",
    "granted": "granted",
    "verdict": "verdict",
    "finding": "reason",
    "account": "account",
    "person": "person",
    "since": "since",
}
"""Fields of a reviewed scope, and where an entry of the ledger has them."""
_FIELDS = tuple(_FROM)
_COPIED = ("project__owner", *_FROM.values())


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the frozen rows give the fingerprint that was written down when the review was opened."""

    matches: bool
    rows: int
    digest: str


def entries_of(campaign: ReviewCampaign, entries: LedgerEntryQuerySet) -> LedgerEntryQuerySet:
    """Those of the ledger's rows that a review with these choices is about."""
    if campaign.workspace_id:
        entries = entries.filter(project__workspace=campaign.workspace_id)
    if campaign.environment:
        entries = entries.filter(environment=campaign.environment)
    if campaign.min_sensitivity is not None:
        entries = entries.filter(Q(sensitivity__gte=campaign.min_sensitivity) | Q(sensitivity=None))
    return entries


def freeze(campaign: ReviewCampaign, entries: LedgerEntryQuerySet) -> tuple[int, str]:
    """Copies the entries into rows of the review; returns how many, and their fingerprint.

    Call it inside the transaction that opens the review. Memory stays that of one batch.
    """
    digest, count = hashlib.sha256(), 0
    items = _items(campaign, entries)
    while batch := list(islice(items, BATCH)):
        for item in batch:
            _add(digest, (getattr(item, name) for name in FROZEN))
        ReviewItem.objects.bulk_create(batch)
        count += len(batch)
    return count, digest.hexdigest()


def verify(campaign: ReviewCampaign) -> Verification:
    """Makes the fingerprint of the rows as they are now, and compares it with the one written down."""
    digest, count = hashlib.sha256(), 0
    for values in ReviewItem.objects.filter(campaign=campaign).order_by("pk").values_list(*FROZEN).iterator(BATCH):
        _add(digest, values)
        count += 1
    found = digest.hexdigest()
    return Verification(found == campaign.snapshot_digest and count == campaign.item_count, count, found)


def evidence_rows(campaign: ReviewCampaign) -> Iterator[Row]:
    """Each reviewed scope as `EVIDENCE_FIELDS` and the review's fingerprint, in the order in which it was frozen."""
    rows = ReviewItem.objects.filter(campaign=campaign).order_by("pk").values_list(*EVIDENCE_FIELDS)
    place = EVIDENCE_FIELDS.index("sensitivity")
    for values in rows.iterator(BATCH):
        cells: list[Cell] = list(values)
        level = values[place]
        cells[place] = None if level is None else Sensitivity(level).name.lower()
        yield (*cells, campaign.snapshot_digest)


def owners_by_project(campaign: ReviewCampaign, owners: Iterable[int | None]) -> dict[int | None, tuple[int, str]]:
    """Who decides for projects of each of these owners: they, or else whoever the review escalates to.

    An owner who may no longer log in cannot decide. Where nobody is left the owner is missing from the answer.
    """
    wanted = {key for key in {*owners, campaign.escalate_to_id} if key is not None}
    active = get_user_model()._default_manager.filter(pk__in=wanted, is_active=True)
    names = {user.pk: (user.pk, user.get_username()) for user in active}
    fallback = names.get(campaign.escalate_to_id) if campaign.escalate_to_id else None
    found = {key: names.get(key, fallback) if key is not None else fallback for key in {*owners, None}}
    return {key: who for key, who in found.items() if who is not None}


def _items(campaign: ReviewCampaign, entries: LedgerEntryQuerySet) -> Iterator[ReviewItem]:
    """As plain values, because making 100,000 rows of three models first would take longer than all the rest."""
    facts = ScopeFacts()
    chosen = entries_of(campaign, entries)
    deciders = owners_by_project(campaign, set(chosen.order_by().values_list("project__owner", flat=True).distinct()))
    rows = chosen.order_by("project__name", "project", "integration_type", "scope").values_list(*_COPIED)
    for owner, *values in rows.iterator(BATCH):
        frozen = dict(zip(_FIELDS, values, strict=True))
        owner_id, owner_label = deciders.get(owner, (None, ""))
        title = facts.title(frozen["type_slug"], frozen["scope"])[:300]
        yield ReviewItem(campaign=campaign, title=title, owner_id=owner_id, owner_label=owner_label, **frozen)


def _add(digest: hashlib._Hash, values: Iterable[object]) -> None:
    """One row, as a line of JSON that is the same whichever database it was read from."""
    plain = [value.astimezone(dt.UTC).isoformat() if isinstance(value, dt.datetime) else value for value in values]
    digest.update(json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

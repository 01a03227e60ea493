"""Access reviews: open one, decide on its scopes, see how far it is, close it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.events import Change, record_event, record_events
from connectors.flows.review_choices import may_narrow_to
from connectors.flows.review_snapshot import entries_of, freeze, owners_by_project
from connectors.flows.review_snapshot import evidence_rows as evidence_rows
from connectors.models import Connector, ReviewCampaign, ReviewItem, Sensitivity
from connectors.models.ledger import LedgerEntryQuerySet
from connectors.models.review import ReviewItemQuerySet

CHANGE_REVIEW = "connectors.change_reviewcampaign"
"""Whoever has it for a review runs it; whoever has it for a project may decide there in every owner's stead."""
MAX_REASON = 2_000
"""Characters of a reason."""
NAMED = 50
"""Projects without an owner that the page which asks for confirmation names."""

Decision = ReviewItem.Decision
Outcome = ReviewItem.Outcome
State = ReviewCampaign.State


@dataclass(frozen=True, slots=True)
class Decider:
    """Somebody who would have to decide. `hindrance` says why they cannot, "" where nothing is in the way."""

    user: Any
    scopes: int
    projects: int
    hindrance: str


@dataclass(frozen=True, slots=True)
class Prospect:
    """What opening a review would freeze, and who would decide on it.

    `unowned` names projects whose owner nobody has set or is gone (the first `NAMED`), `unassigned` counts the scopes
    that nobody in particular would have to decide on.
    """

    scopes: int
    connectors: int
    projects: int
    deciders: tuple[Decider, ...]
    unowned: tuple[str, ...]
    unowned_count: int
    unassigned: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """What somebody decides on a scope; `narrow_to` is the scope to take instead."""

    decision: str
    reason: str = ""
    narrow_to: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one owner, or one project, is. `key` None: nobody, or a project that is gone."""

    key: int | None
    label: str
    total: int
    decided: int
    kept: int
    changed: int

    @property
    def undecided(self) -> int:
        """Scopes that still wait."""
        return self.total - self.decided


def prospect(campaign: ReviewCampaign, entries: LedgerEntryQuerySet) -> Prospect:
    """What opening this review would freeze of these ledger entries, in a fixed number of queries."""
    chosen = entries_of(campaign, entries).order_by()
    rows = list(chosen.values_list("project", "project__name", "project__owner").annotate(n=Count("pk")))
    deciders = owners_by_project(campaign, {owner for _, _, owner, _ in rows})
    by_decider: dict[int | None, list[int]] = {}
    for _, _, owner, count in rows:
        by_decider.setdefault(deciders.get(owner, (None, ""))[0], []).append(count)
    unassigned = sum(by_decider.pop(None, []))
    users = get_user_model()._default_manager.in_bulk([key for key in by_decider if key is not None])
    unowned = sorted(name for _, name, owner, _ in rows if owner is None or deciders.get(owner, (None,))[0] != owner)
    return Prospect(
        scopes=sum(count for *_, count in rows),
        connectors=chosen.values("connector").distinct().count(),
        projects=len(rows),
        deciders=tuple(
            Decider(users[key], sum(counts), len(counts), hindrance_of(users[key]))
            for key, counts in sorted(by_decider.items(), key=lambda item: -sum(item[1]))
            if key is not None
        ),
        unowned=tuple(unowned[:NAMED]),
        unowned_count=len(unowned),
        unassigned=unassigned,
    )


def hindrance_of(user: Any) -> str:
    """Why this owner cannot decide or does not hear of it, as a sentence; "" where nothing is in the way."""
    if not user.is_active:
        return "Their account is switched off, so they cannot decide."
    if not user.is_staff:
        return "Their account may not enter the portal's pages (no staff status), so they cannot decide."
    return "" if user.email else "Their account has no e-mail address, so no mail reaches them."


@transaction.atomic
def open_review(campaign: ReviewCampaign, entries: LedgerEntryQuerySet, actor: Actor, *, now: dt.datetime) -> None:
    """Freezes the chosen ones of these ledger entries and lets owners decide.

    Raises Refused when it is open or closed already, its day is over, the ledger is behind, or there is nothing.
    """
    row = _locked(campaign)
    if row.state != State.DRAFT:
        raise Refused("This review was opened before. What it froze stays as it is.")
    if row.due_at <= now:
        raise Refused("The day on which this review is due has passed. Set a later one first.")
    ledger.catch_up()
    if Connector.objects.without_ledger().exists():
        raise Refused("The ledger does not hold every connector yet. It is being made: try again in a few minutes.")
    row.item_count, row.snapshot_digest = freeze(row, entries)
    if not row.item_count:
        raise Refused("No scope fits this review: choose another workspace, environment or sensitivity.")
    row.state, row.opened_at = State.OPEN, now
    row.opened_by_id, row.opened_by_label = actor.user_id, actor.label[:200]
    row.save(
        update_fields=["item_count", "snapshot_digest", "state", "opened_at", "opened_by", "opened_by_label"],
    )
    record_event(actor, "review.opened", row, after={"scopes": row.item_count, "fingerprint": row.snapshot_digest})


def items_to_decide(campaign: ReviewCampaign, user: AbstractBaseUser | AnonymousUser) -> ReviewItemQuerySet:
    """The scopes of this review that `user` may decide on: their own, and those where they may run reviews."""
    items = ReviewItem.objects.visible_to(user).filter(campaign=campaign)
    theirs = ReviewItem.objects.permitted(user, CHANGE_REVIEW.partition(".")[2]).filter(campaign=campaign)
    return items.filter(Q(owner=user.pk) | Q(pk__in=theirs.order_by().values("pk")))


@transaction.atomic
def decide(
    campaign: ReviewCampaign, item_ids: Collection[int], ruling: Ruling, actor: Actor, *, now: dt.datetime
) -> int:
    """Writes one decision on these scopes of the review down, and returns on how many. All or none.

    A decision of "" takes one back. Raises Refused when the review is not open, a reason is missing, the narrower scope
    is none, or a decision was carried out already.
    """
    row = _locked(campaign)
    if row.state != State.OPEN:
        raise Refused("This review is closed: nothing can be decided any more.")
    ruling = Ruling(ruling.decision, ruling.reason.replace("\0", "").strip(), ruling.narrow_to)
    items = list(_for_change(row, item_ids))
    happened = [_ruled(item, ruling, actor, now) for item in items]
    ReviewItem.objects.bulk_update(items, _RULED_FIELDS, batch_size=500)
    row.decided_count = row.items.exclude(decision="").count()
    row.save(update_fields=["decided_count"])
    record_events(actor, "review.decided", happened)
    return len(items)


@transaction.atomic
def close_review(campaign: ReviewCampaign, actor: Actor, *, now: dt.datetime, undecided_may_stay: bool) -> None:
    """Ends a review: from now on it can only be read. Raises Refused when scopes are undecided and that was not said
    to be in order, and when it is not open.
    """
    row = _locked(campaign)
    if row.state != State.OPEN:
        raise Refused("Only an open review can be closed.")
    if row.undecided_count and not undecided_may_stay:
        raise Refused(f"{row.undecided_count} scopes are undecided. Confirm that they may stay so.")
    row.state, row.closed_at, row.closed_by_label = State.CLOSED, now, actor.label[:200]
    row.save(update_fields=["state", "closed_at", "closed_by_label"])
    after = {"decided": row.decided_count, "undecided": row.undecided_count}
    record_event(actor, "review.closed", row, after=after)


@transaction.atomic
def delete_draft(campaign: ReviewCampaign, actor: Actor) -> None:
    """Deletes a review that was never opened. Raises Refused for any other: it is evidence."""
    row = _locked(campaign)
    if row.state != State.DRAFT:
        raise Refused("A review that was opened is evidence and stays.")
    record_event(actor, "review.deleted", row, before={"name": row.name})
    row.delete()


def by_owner(items: QuerySet[ReviewItem]) -> list[Progress]:
    """How far each owner is, those with the most left first."""
    return _progress(items.values_list("owner", "owner_label"))


def by_project(items: QuerySet[ReviewItem]) -> list[Progress]:
    """How far each project is, those with the most left first."""
    return _progress(items.values_list("project", "project_label"))


def _progress(rows: Any) -> list[Progress]:
    counted = rows.order_by().annotate(
        total=Count("pk"),
        decided=Count("pk", filter=~Q(decision="")),
        kept=Count("pk", filter=Q(decision=Decision.KEEP)),
    )
    found = [Progress(key, label, total, done, kept, done - kept) for key, label, total, done, kept in counted]
    return sorted(found, key=lambda one: (-one.undecided, one.label))


_RULED_FIELDS = [
    "decision",
    "narrow_to",
    "decision_reason",
    "decided_by",
    "decided_by_label",
    "decided_at",
    "outcome",
    "outcome_note",
]


def _locked(campaign: ReviewCampaign) -> ReviewCampaign:
    """As it is stored now. Locked: a decision must not slip in while somebody closes the review."""
    return ReviewCampaign.objects.select_for_update().get(pk=campaign.pk)


def _for_change(campaign: ReviewCampaign, item_ids: Collection[int]) -> QuerySet[ReviewItem]:
    items = ReviewItem.objects.filter(campaign=campaign, pk__in=list(item_ids)).select_for_update(of=("self",))
    return items.select_related("connector__project").defer("connector__source", "connector__project__notes")


def _ruled(item: ReviewItem, ruling: Ruling, actor: Actor, now: dt.datetime) -> Change:
    """Puts the decision on the row, and gives what to record of it. Raises Refused."""
    _refuse_unfit(item, ruling)
    before = {"scope": item.scope, "decision": item.decision, "narrow_to": item.narrow_to}
    changes_something = ruling.decision in (Decision.NARROW, Decision.REMOVE)
    taken_back = ruling.decision == Decision.NONE
    item.decision = ruling.decision
    item.narrow_to = ruling.narrow_to if ruling.decision == Decision.NARROW else ""
    item.decision_reason = "" if taken_back else ruling.reason
    item.decided_by_id = None if taken_back else actor.user_id
    item.decided_by_label = "" if taken_back else actor.label[:200]
    item.decided_at = None if taken_back else now
    item.outcome, item.outcome_note = Outcome.WAITING if changes_something else Outcome.NONE, ""
    after = {"scope": item.scope, "decision": item.decision, "narrow_to": item.narrow_to}
    return Change(item, before, after, note=item.decision_reason)


def _refuse_unfit(item: ReviewItem, ruling: Ruling) -> None:
    if item.outcome in (Outcome.DECLARED, Outcome.DONE):
        raise Refused(f"The decision on {item.scope} was carried out. Change the connector itself.")
    if ruling.decision not in Decision.values:
        raise Refused("Choose keep, narrow or remove.")
    if len(ruling.reason) > MAX_REASON:
        raise Refused(f"A reason has at most {MAX_REASON} characters.")
    if ruling.decision == Decision.NARROW and not may_narrow_to(item.type_slug, item.scope, ruling.narrow_to):
        raise Refused(f"Choose the scope that {item.scope} is to be narrowed to.")
    if not ruling.reason and needs_reason(item, ruling.decision):
        raise Refused(_why_reason(item, ruling.decision))


def needs_reason(item: ReviewItem, decision: str) -> bool:
    """Whether this decision must say why: each that changes something, and keeping what can do much harm."""
    if decision == Decision.KEEP:
        return item.sensitivity is not None and item.sensitivity >= Sensitivity.HIGH
    return decision != Decision.NONE


def _why_reason(item: ReviewItem, decision: str) -> str:
    if decision != Decision.KEEP:
        return f"Say why {item.scope} is to go: whoever answers for the app will ask."
    level = Sensitivity(item.sensitivity or 0).label
    return f"Say why {item.scope} is needed: its sensitivity is {str(level).lower()}."

"""Turn what a review decided into declarations, which the projects' plans then carry to Base44."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from connectors.core.actor import Actor
from connectors.core.catalog import load_catalog
from connectors.core.errors import PortalError, Refused
from connectors.core.scopes import tidy
from connectors.flows.declare import declare, undeclare
from connectors.flows.events import record_event
from connectors.models import Connector, LedgerEntry, ReviewCampaign, ReviewItem, Token
from connectors.models.connector import ConnectorQuerySet
from connectors.models.review import ReviewItemQuerySet

AT_ONCE = 100
"""Connectors whose declarations one request changes; the page says how many are left."""

Outcome = ReviewItem.Outcome
_PLAN = ("project_id", "project_label", "waiting", "declared", "failed", "done")
OPEN_OUTCOMES = (Outcome.WAITING, Outcome.DECLARED, Outcome.FAILED)

GONE = "Nothing lists this scope any more."
IN_PLAN = "The project's plan takes it away at Base44."
REMOVE_WHOLE = "No scope is left: tick the connector's removal in the project's plan."
STILL_HELD = "The token that the portal holds keeps this scope until somebody authorises the connector again."
BY_ITSELF = "Base44 or the provider adds this scope by itself, so no plan can take it away."
PART_OF = "It is part of a broader scope of this connector: decide on that one."
ONLY_GRANTED = (
    "Nobody declares it, so no plan takes it away. Revoke the token and authorise the connector again: "
    "the provider is then asked for the declared scopes only."
)
ONLY_IN_FILE = "Only the file in the project's repository lists it: change it there."
NOT_DECLARED = (
    "The portal does not declare this connector. Pull it from Base44 first, or tick its removal in the project's plan."
)
LAST_ONE = (
    "No scope would be left, and the portal holds a token for this connector. Revoke it, then delete the connector."
)


@dataclass(frozen=True, slots=True)
class Carried:
    """What turning decisions into declarations came to, in scopes; `left` counts connectors that still wait."""

    declared: int
    failed: int
    left: int


@dataclass(frozen=True, slots=True)
class ToPlan:
    """A project for whose plan a review's decisions matter, with the number of scopes in each state."""

    project_id: int
    name: str
    waiting: int
    declared: int
    failed: int
    done: int


@dataclass(slots=True)
class _Draft:
    """What one connector's declaration becomes, and the outcome of each scope that was decided on."""

    scopes: list[str]
    changed: bool = False
    outcomes: dict[int, tuple[Outcome, str]] = field(default_factory=dict)


def carry_out(campaign: ReviewCampaign, connectors: ConnectorQuerySet, actor: Actor, *, again: bool = False) -> Carried:
    """Declares these connectors as the review decided; each on its own, so that a refusal holds up no other.

    What is refused, by a policy too, is noted on the scope. With `again` what failed before is tried once more.
    Raises Refused for a review that was never opened.
    """
    if campaign.state == ReviewCampaign.State.DRAFT:
        raise Refused("This review has not been opened, so nothing was decided.")
    if again:
        theirs = connectors.order_by().values("pk")
        failed_before = _items(campaign).filter(outcome=Outcome.FAILED, connector__in=theirs)
        failed_before.update(outcome=Outcome.WAITING, outcome_note="")
    refresh_outcomes(campaign)
    waiting = connectors.filter(pk__in=_items(campaign).filter(outcome=Outcome.WAITING).values("connector"))
    ids = list(waiting.order_by("pk").values_list("pk", flat=True))
    outcomes = [outcome for pk in ids[:AT_ONCE] for outcome in _carry(campaign, pk, actor)]
    refresh_outcomes(campaign)
    failed = outcomes.count(Outcome.FAILED)
    carried = Carried(len(outcomes) - failed, failed, max(0, len(ids) - AT_ONCE))
    if outcomes:
        after = {"declared": carried.declared, "failed": carried.failed}
        record_event(actor, "review.carried_out", campaign, after=after)
    return carried


def refresh_outcomes(campaign: ReviewCampaign | None = None) -> int:
    """Marks what was to go and is listed by nothing any more as done, in one review or in all; returns how many."""
    items = ReviewItem.objects.all() if campaign is None else _items(campaign)
    listed = LedgerEntry.objects.filter(connector=OuterRef("connector"), scope=OuterRef("scope"))
    gone = items.filter(~Exists(listed), outcome__in=OPEN_OUTCOMES)
    return gone.update(outcome=Outcome.DONE, outcome_note=GONE)


def plans_of(items: ReviewItemQuerySet) -> list[ToPlan]:
    """The projects of these reviewed scopes in which something was decided to change, those with work left first."""
    rows = items.exclude(outcome=Outcome.NONE).exclude(project=None).order_by()
    counts = {name: Count("pk", filter=Q(outcome=name)) for name in ("waiting", "declared", "failed", "done")}
    found = [
        ToPlan(*row) for row in rows.values_list("project_id", "project_label").annotate(**counts).values_list(*_PLAN)
    ]
    return sorted(found, key=lambda one: (not (one.waiting or one.declared or one.failed), one.name))


@transaction.atomic
def _carry(campaign: ReviewCampaign, connector_id: int, actor: Actor) -> list[Outcome]:
    """One connector's decisions. Locked, so that whoever presses the button twice declares once."""
    waiting = _items(campaign).filter(connector=connector_id, outcome=Outcome.WAITING)
    items = list(waiting.select_for_update(of=("self",)).order_by("pk"))
    row = Connector.objects.select_related("project__workspace").filter(pk=connector_id).first()
    if row is None or not items:
        return []
    draft = _drafted(row, items, {entry.scope: entry for entry in LedgerEntry.objects.filter(connector=row)})
    if draft.changed:
        _declare(row, draft, actor)
    for item in items:
        item.outcome, item.outcome_note = draft.outcomes[item.pk]
        item.outcome_note = item.outcome_note[:300]
    ReviewItem.objects.bulk_update(items, ["outcome", "outcome_note"])
    return [Outcome(item.outcome) for item in items]


def _drafted(row: Connector, items: list[ReviewItem], entries: Mapping[str, LedgerEntry]) -> _Draft:
    draft, catalog, type_ = _Draft(list(row.scopes)), load_catalog(), row.integration_type_id
    going = {item.scope for item in items if item.decision == ReviewItem.Decision.REMOVE}
    for item in items:
        # Of two decisions that contradict each other the one that takes more away wins.
        instead = "" if catalog.canonical(type_, item.narrow_to) in going else item.narrow_to
        entry = entries.get(item.scope)
        names = [name for name in draft.scopes if catalog.canonical(type_, name) == item.scope]
        if entry is None:
            draft.outcomes[item.pk] = (Outcome.DONE, GONE)
        elif row.is_declared and names:
            draft.scopes = _without(draft.scopes, names, instead)
            draft.changed = True
            draft.outcomes[item.pk] = (Outcome.DECLARED, STILL_HELD if entry.granted else "")
        else:
            draft.outcomes[item.pk] = _undeclared(row, entry)
            if draft.outcomes[item.pk][0] == Outcome.DECLARED and instead:
                draft.scopes, draft.changed = [*draft.scopes, instead], True
    draft.scopes = _once_each(type_, draft.scopes)
    return draft


def _once_each(type_: str, scopes: list[str]) -> list[str]:
    """Without the second spelling of a scope: the narrower one may have been declared before."""
    present: dict[str, str] = {}
    for name in tidy(scopes):
        present.setdefault(load_catalog().canonical(type_, name), name)
    return list(present.values())


def _without(scopes: list[str], names: list[str], narrow_to: str) -> list[str]:
    """The scopes without these names; the narrower one stands where the first of them was."""
    kept = [narrow_to if name == names[0] else name for name in scopes if name == names[0] or name not in names]
    return [name for name in kept if name]


def _undeclared(row: Connector, entry: LedgerEntry) -> tuple[Outcome, str]:
    """What becomes of a scope that is to go and that nobody declares."""
    if entry.verdict == LedgerEntry.Verdict.AUTO_ADDED:
        return Outcome.FAILED, BY_ITSELF
    if entry.registered:
        return (Outcome.DECLARED, IN_PLAN) if row.is_declared else (Outcome.FAILED, NOT_DECLARED)
    if entry.verdict == LedgerEntry.Verdict.IMPLIED:
        return Outcome.FAILED, PART_OF
    return (Outcome.FAILED, ONLY_GRANTED) if entry.granted else (Outcome.FAILED, ONLY_IN_FILE)


def _declare(row: Connector, draft: _Draft, actor: Actor) -> None:
    """Saves the declaration; where it is refused, what would have been declared has failed, in the refusal's words."""
    try:
        with transaction.atomic():
            if draft.scopes:
                declare(
                    row.project, row.integration_type_id, draft.scopes, row.connection_config, actor, check_config=False
                )
                return
            if row.registered_scopes is None and Token.objects.filter(connector=row).exists():
                raise Refused(LAST_ONE)
            undeclare(row, actor)
        draft.outcomes = {key: _whole(found) for key, found in draft.outcomes.items()}
    except PortalError as error:
        why = str(error)
        draft.outcomes = {
            key: (Outcome.FAILED, why) if found[0] == Outcome.DECLARED else found
            for key, found in draft.outcomes.items()
        }


def _whole(found: tuple[Outcome, str]) -> tuple[Outcome, str]:
    return (Outcome.DECLARED, REMOVE_WHOLE) if found[0] == Outcome.DECLARED else found


def _items(campaign: ReviewCampaign) -> ReviewItemQuerySet:
    return ReviewItem.objects.filter(campaign=campaign)

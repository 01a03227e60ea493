"""Pull: what differs at Base44, and what the portal would declare after taking it in. No I/O.

Also the exact comparison of two declarations, for files that are imported into the portal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.core.plan_words import listing
from connectors.core.scopes import ScopeDifference, ScopeRules, tidy
from connectors.core.specs import STRIPE, ConnectorSpec, RegisteredConnector, RegisteredState


class ChangeKind(StrEnum):
    """How one connector differs. missing: declared before, but not where the declaration would come from."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class PullChange:
    """One difference at Base44, seen from the portal.

    `added` and `removed` are what the portal's declaration gains and loses, `scopes_after` what it is afterwards.
    `missing` takes the connector out of the portal; nothing at Base44 changes in any case.
    """

    type: str
    kind: ChangeKind
    reason: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    scopes_after: tuple[str, ...] = ()

    @property
    def destructive(self) -> bool:
        """True when the portal would lose a connector: never taken in unless a person ticked it."""
        return self.kind is ChangeKind.MISSING


def make_pull(
    declared: Sequence[ConnectorSpec], registered: RegisteredState, *, rules: ScopeRules
) -> tuple[PullChange, ...]:
    """What taking Base44's state into the portal would change: changed and missing in declared order, then new.

    Scopes that Base44 adds by itself are not taken in, and a declared scope that is only spelled or reported
    differently stays as it is. Expired and disconnected connectors count: Base44 lists them. Stripe counts when Base44
    said whether it is installed. Connection settings are not listed by Base44 and stay as they are.
    """
    listed = {connector.type: connector for connector in registered.connectors if connector.type != STRIPE}
    changes = []
    for spec in declared:
        if spec.type == STRIPE:
            continue
        now = listed.get(spec.type)
        if now is None:
            changes.append(_missing(spec))
        elif difference := rules.compare(spec.type, spec.scopes, now.scopes):
            changes.append(_changed(spec, difference))
    types = {spec.type for spec in declared}
    new = [_new(now, rules) for now in listed.values() if now.type not in types]
    return (*changes, *new, *_stripe_change(STRIPE in types, registered.stripe_mode))


def take_in(declared: Sequence[ConnectorSpec], changes: Sequence[PullChange]) -> tuple[ConnectorSpec, ...]:
    """The declaration after the given changes were taken in, all or some: order and connection settings are kept."""
    by_type = {change.type: change for change in changes}
    kept = [spec for spec in declared if spec.type not in by_type or not by_type[spec.type].destructive]
    after = [
        ConnectorSpec(spec.type, by_type[spec.type].scopes_after, spec.connection_config)
        if spec.type in by_type
        else spec
        for spec in kept
    ]
    new = [ConnectorSpec(change.type, change.scopes_after) for change in changes if change.kind is ChangeKind.NEW]
    return (*after, *new)


@dataclass(frozen=True, slots=True)
class DeclaredChange:
    """How one connector's declaration changes, scope for scope as written.

    `reordered`: the scopes that both sides have stand in another order, which a file shows though Base44 does not care.
    """

    type: str
    kind: ChangeKind
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reordered: bool = False


def diff_declared(before: Sequence[ConnectorSpec], after: Sequence[ConnectorSpec]) -> tuple[DeclaredChange, ...]:
    """Compare two declarations as lists: in the order of `after`, then what is missing there.

    Spelling, order and repeats count, as they do for a file; connection settings do not, as no file holds them.
    """
    old = {spec.type: spec.scopes for spec in before}
    changes = [_compare_lists(spec.type, old.get(spec.type), spec.scopes) for spec in after]
    kept = {spec.type for spec in after}
    missing = (spec for spec in before if spec.type not in kept)
    return (*changes, *(DeclaredChange(spec.type, ChangeKind.MISSING, (), spec.scopes) for spec in missing))


def _compare_lists(type_: str, before: tuple[str, ...] | None, after: tuple[str, ...]) -> DeclaredChange:
    if before is None:
        return DeclaredChange(type_, ChangeKind.NEW, after)
    added, removed = _surplus(after, before), _surplus(before, after)
    reordered = _surplus(before, removed) != _surplus(after, added)
    same = before == after
    return DeclaredChange(type_, ChangeKind.UNCHANGED if same else ChangeKind.CHANGED, added, removed, reordered)


def _surplus(scopes: Sequence[str], other: Sequence[str]) -> tuple[str, ...]:
    """What `scopes` has beyond `other`, repeats counted: `["a", "b", "a"]` beyond `["a"]` → `("b", "a")`."""
    left = Counter(other)
    surplus = []
    for scope in scopes:
        if left[scope]:
            left[scope] -= 1
        else:
            surplus.append(scope)
    return tuple(surplus)


def _missing(spec: ConnectorSpec) -> PullChange:
    reason = "Base44 lists no such connector: taking this in removes it from the portal."
    return PullChange(spec.type, ChangeKind.MISSING, reason, removed=tidy(spec.scopes))


def _changed(spec: ConnectorSpec, difference: ScopeDifference) -> PullChange:
    stay = (scope for scope in tidy(spec.scopes) if scope not in difference.added)
    has = f"has {listing(difference.removed)}" if difference.removed else ""
    lacks = f"lacks {listing(difference.added)}" if difference.added else ""
    return PullChange(
        spec.type,
        ChangeKind.CHANGED,
        f"Base44 {' and '.join(filter(None, [has, lacks]))}.",
        added=difference.removed,
        removed=difference.added,
        scopes_after=(*stay, *difference.removed),
    )


def _new(now: RegisteredConnector, rules: ScopeRules) -> PullChange:
    scopes = rules.without_auto_added(now.type, now.scopes)
    state = "" if now.status == "active" else f" ({now.status})"
    reason = f"Base44 lists this connector{state}; the portal does not declare it."
    return PullChange(now.type, ChangeKind.NEW, reason, added=scopes, scopes_after=scopes)


def _stripe_change(declared: bool, mode: str | None) -> tuple[PullChange, ...]:
    if mode is None or declared == bool(mode):
        return ()
    if declared:
        reason = "Base44 says that Stripe is not installed: taking this in removes it from the portal."
        return (PullChange(STRIPE, ChangeKind.MISSING, reason),)
    return (PullChange(STRIPE, ChangeKind.NEW, f"Stripe is installed ({mode}); the portal does not declare it."),)

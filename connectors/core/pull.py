"""Pull: what differs at Base44, and what the portal would declare after taking it in. No I/O.

Also the exact comparison of two declarations, for files that are imported into the portal.
"""

from __future__ import annotations

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

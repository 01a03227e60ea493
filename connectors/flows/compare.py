"""What a connector's row says of itself: in sync or not, and why, in words."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.core.scopes import ScopeDifference, ScopeRules
from connectors.core.specs import STRIPE, UNREADABLE, ConnectorSpec, RegisteredState
from connectors.models import Connector, Project, Workspace

SyncState = Connector.SyncState
OPEN_CONSENTS = (Connector.Consent.NEEDED, Connector.Consent.FAILED, Connector.Consent.GIVEN_UP)


def rules_of(workspace: Workspace) -> ScopeRules:
    """How scopes compare in this workspace: the catalogue, and what Base44 says it adds by itself."""
    return ScopeRules(auto_added=workspace.auto_added_scopes)


def declared_specs(connectors: Iterable[Connector]) -> list[ConnectorSpec]:
    """What the portal asks for, in the order of the rows."""
    return [connector.spec for connector in connectors if connector.is_declared]


def registered_state(project: Project, connectors: Iterable[Connector]) -> RegisteredState:
    """What Base44 was last seen to have, put together from the rows."""
    listed = (connector.registered for connector in connectors if connector.integration_type_id != STRIPE)
    mode = None if project.stripe_mode == Project.StripeMode.UNKNOWN else project.stripe_mode
    return RegisteredState(tuple(row for row in listed if row is not None), mode)


def recompute(connectors: Iterable[Connector], rules: ScopeRules) -> None:
    """Sets `sync_state`, `sync_note`, `needs_attention` and a consent that is settled, in memory; the caller saves."""
    for connector in connectors:
        state, note = _verdict(connector, rules)
        connector.sync_state, connector.sync_note = state, note[:300]
        if state == SyncState.IN_SYNC:
            connector.consent, connector.consent_note = Connector.Consent.NONE, ""
        connector.needs_attention = state in Connector.DRIFT_STATES or connector.consent in OPEN_CONSENTS


RECOMPUTED = ["sync_state", "sync_note", "needs_attention", "consent", "consent_note"]
"""The fields that `recompute` sets, for `update_fields`."""


def _verdict(connector: Connector, rules: ScopeRules) -> tuple[SyncState, str]:
    if connector.registered_at is None:
        return SyncState.UNKNOWN, "Base44 has not been asked yet."
    if connector.registered_scopes is None:
        if connector.is_declared:
            return SyncState.NOT_REGISTERED, "Base44 does not list it."
        return SyncState.LEFT_OVER, "Nobody asks for it, and the portal still holds a token of it: revoke that."
    if connector.registered_status == UNREADABLE:
        return SyncState.UNKNOWN, "Base44 lists it in a form that could not be read."
    if not connector.is_declared:
        return SyncState.NOT_DECLARED, "Base44 has it, and the portal does not ask for it."
    if connector.integration_type_id == STRIPE:
        return SyncState.IN_SYNC, f"Stripe runs in {connector.registered_status} mode."
    difference = rules.compare(connector.integration_type_id, connector.scopes, connector.registered_scopes)
    if connector.registered_status != "active":
        return SyncState.INACTIVE, f"Base44 says {connector.registered_status}: somebody has to reconnect it."
    if difference:
        return SyncState.DIFFERS, in_words(difference)
    return SyncState.IN_SYNC, "; ".join(f"{scope} {why}" for scope, why in difference.explained)


def in_words(difference: ScopeDifference) -> str:
    """`Missing at Base44: a, b; at Base44 and not declared: c`."""
    parts = []
    if difference.added:
        parts.append(f"missing at Base44: {', '.join(difference.added)}")
    if difference.removed:
        parts.append(f"at Base44 and not declared: {', '.join(difference.removed)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]  # capitalize() would put the scopes in lower case

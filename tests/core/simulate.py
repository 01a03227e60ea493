"""What Base44 would list after a plan was applied: the rule that plans are tested against."""

from __future__ import annotations

from collections.abc import Collection

from connectors.core.actions import Action, ActionKind, Plan
from connectors.core.scopes import ScopeRules
from connectors.core.specs import RegisteredConnector, RegisteredState


def simulate(
    plan: Plan,
    registered: RegisteredState,
    *,
    rules: ScopeRules,
    chosen_removals: Collection[str] = (),
    consents: Collection[str] | None = None,
    account: str = "",
) -> RegisteredState:
    """The registered state after `plan`, as Base44's documentation promises it. No I/O.

    Only removals whose type is in `chosen_removals` run, and only if no action of the plan has a problem. `consents`
    are the types for which a person finishes the consent as `account`; None: all of them. Without consent the old
    connection stays as it was. Base44 adds its auto-added scopes to what is set.
    """
    connectors = {connector.type: connector for connector in registered.connectors}
    stripe_mode = registered.stripe_mode
    failed = {place for place, action in enumerate(plan.actions) if action.problem}
    for action in plan.actions:
        if action.problem or action.blocked_by(failed) or (action.destructive and action.type not in chosen_removals):
            continue
        if action.kind is ActionKind.PROVISION:
            stripe_mode = "sandbox"
        elif action.kind is ActionKind.REMOVE_STRIPE:
            stripe_mode = ""
        elif action.kind is ActionKind.REMOVE:
            connectors.pop(action.type, None)
        elif consents is None or action.type in consents:
            connectors[action.type] = _after_consent(action, rules, account)
    return RegisteredState(tuple(connectors.values()), stripe_mode)


def _after_consent(action: Action, rules: ScopeRules, account: str) -> RegisteredConnector:
    added = sorted(rules.auto_added(action.type) - rules.normalise(action.type, action.scopes))
    return RegisteredConnector(action.type, "active", (*action.scopes, *added), account)

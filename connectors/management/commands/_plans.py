"""How the shell shows a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.core.plan import Action, Plan

WORDS = {
    "set": "set",
    "consent": "reconnect",
    "provision": "install",
    "remove": "REMOVE",
    "remove_stripe": "REMOVE",
    "keep": "keep",
}


def plan_rows(plan: Plan) -> list[dict[str, Any]]:
    """The plan as a table's rows: what is removed stands out, and what cannot be applied says why."""
    return [
        row | {"action": WORDS[row["action"]], "reason": row.get("problem") or row["reason"]} for row in plan.rows()
    ]


def plan_summary(plan: Plan) -> str:
    """One line: `2 to set, 1 to REMOVE, 3 kept`."""
    if plan.is_empty:
        return f"nothing to do, {len(plan.kept)} kept"
    removals = len(plan.destructive)
    parts = [f"{len(plan.actions) - removals} to set or connect" if len(plan.actions) > removals else ""]
    parts += [f"{removals} to REMOVE" if removals else "", f"{len(plan.kept)} kept"]
    return ", ".join(filter(None, parts))


def left_out(removals: Sequence[Action]) -> str:
    """What is not removed because nobody allowed it, and how to allow it."""
    types = [action.type for action in removals]
    return f"Not removed at Base44: {', '.join(types)}. To remove: --allow-remove {' '.join(types)}"

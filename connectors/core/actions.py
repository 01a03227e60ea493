"""The nouns of a plan: what would be done at Base44, what stays, and why."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from connectors.core.policy import PolicyNote
from connectors.core.specs import RegisteredState


class ActionKind(StrEnum):
    """What one action does at Base44.

    set: PUT exactly these scopes. consent: the same PUT for scopes that agree already, because the connection no
    longer works. provision: install Stripe. remove: delete the connector. remove_stripe: uninstall Stripe.
    """

    SET = "set"
    CONSENT = "consent"
    PROVISION = "provision"
    REMOVE = "remove"
    REMOVE_STRIPE = "remove_stripe"

    @property
    def destructive(self) -> bool:
        """True for what cannot be undone by another plan: a person must tick it."""
        return self in (ActionKind.REMOVE, ActionKind.REMOVE_STRIPE)


@dataclass(frozen=True, slots=True)
class Action:
    """One call to Base44 that a plan asks for.

    `scopes` and `connection_config` are what is sent, `added` and `removed` what that changes. `status_before` and
    `account` are Base44's words on the connection there is, "" without one. `needs_consent`: Base44 will answer with
    a link that a person must open; until then the old connection keeps working. `problem` is "" or the sentence that
    says why the action cannot be applied at all. `not_kept` are scopes that Base44 dropped when they were last set.
    `after` holds the places, in the plan's actions, of those that must not fail before this one runs. `policy` is what
    the team's rules say of it; what stops it is its `problem` as well.
    """

    kind: ActionKind
    type: str
    reason: str
    scopes: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    status_before: str = ""
    account: str = ""
    needs_consent: bool = False
    connection_config: Mapping[str, str] = field(default_factory=dict, hash=False)
    problem: str = ""
    not_kept: tuple[str, ...] = ()
    after: tuple[int, ...] = ()
    policy: tuple[PolicyNote, ...] = ()

    @property
    def destructive(self) -> bool:
        """True when something is deleted at Base44: never applied unless a person ticked it."""
        return self.kind.destructive

    def blocked_by(self, failed: Collection[int]) -> tuple[int, ...]:
        """Which failed actions, by their place in the plan, forbid this one; none: it may run.

        A removal depends on every set of its plan, for the new connector may be there to replace the old one. One
        that waits for consent has not failed; one with a problem has.
        """
        return tuple(place for place in self.after if place in failed)

    def as_json(self) -> dict[str, Any]:
        """The action as the shell prints it and a run records it; without secrets."""
        return {
            "type": self.type,
            "action": self.kind.value,
            "reason": self.reason,
            "scopes": list(self.scopes),
            "added": list(self.added),
            "removed": list(self.removed),
            "status_before": self.status_before,
            "account": self.account,
            "needs_consent": self.needs_consent,
            "destructive": self.destructive,
            "connection_config": dict(sorted(self.connection_config.items())),
            "problem": self.problem,
            "not_kept": list(self.not_kept),
            "after": list(self.after),
            "policy": [note.as_json() for note in self.policy],
        }


@dataclass(frozen=True, slots=True)
class Kept:
    """A connector that the plan leaves alone, and why."""

    type: str
    reason: str
    status: str = ""
    account: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same shape as an action's first keys, with "keep" as the action."""
        return {
            "type": self.type,
            "action": "keep",
            "reason": self.reason,
            "status_before": self.status,
            "account": self.account,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """What takes Base44's registered state to the declared one: actions in the order they run, and what stays.

    `fingerprint` changes when the registered state or the actions do: a plan made anew just before it is applied
    must have the fingerprint of the plan that was shown, or that one is stale.
    """

    actions: tuple[Action, ...] = ()
    kept: tuple[Kept, ...] = ()
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def is_empty(self) -> bool:
        """True when Base44 agrees with what is declared, as far as it could be compared."""
        return not self.actions

    @property
    def destructive(self) -> tuple[Action, ...]:
        """The removals: what a person must tick."""
        return tuple(action for action in self.actions if action.destructive)

    @property
    def problems(self) -> tuple[Action, ...]:
        """The actions that cannot be applied until something is put right."""
        return tuple(action for action in self.actions if action.problem)

    @property
    def removes_everything(self) -> bool:
        """True when no connector that Base44 lists would be left: most often a mistaken or empty folder."""
        touched = [action for action in self.actions if action.status_before and not action.destructive]
        return bool(self.destructive) and not self.kept and not touched

    @property
    def counts(self) -> dict[str, int]:
        """How many actions of each kind, and how many connectors are kept: every key is always there."""
        found = Counter(action.kind.value for action in self.actions)
        return {kind.value: found[kind.value] for kind in ActionKind} | {"keep": len(self.kept)}

    def rows(self) -> list[dict[str, Any]]:
        """Actions, then what is kept: the `results` of `plan_connectors --json`."""
        return [action.as_json() for action in self.actions] + [kept.as_json() for kept in self.kept]

    def as_json(self) -> dict[str, Any]:
        """The whole plan as JSON values; `from_json` gives an equal plan back."""
        return {
            "actions": [action.as_json() for action in self.actions],
            "kept": [kept.as_json() for kept in self.kept],
            "warnings": list(self.warnings),
            "fingerprint": self.fingerprint,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `as_json` wrote. Raises KeyError or ValueError for anything else."""
        return cls(
            actions=tuple(_action_from(row) for row in data["actions"]),
            kept=tuple(
                Kept(type=row["type"], reason=row["reason"], status=row["status_before"], account=row["account"])
                for row in data["kept"]
            ),
            warnings=tuple(data["warnings"]),
            fingerprint=data["fingerprint"],
        )


def fingerprint(registered: RegisteredState, actions: Collection[Action]) -> str:
    """SHA-256, in hex, over what Base44 said and what would be done; the order in which Base44 lists does not count.

    Reasons are left out, so that a reworded sentence does not make a plan stale.
    """
    told = [[c.type, c.status, sorted(c.scopes), c.account] for c in registered.connectors]
    done = [[a.kind, a.type, sorted(a.scopes), sorted(a.connection_config.items()), bool(a.problem)] for a in actions]
    text = json.dumps([sorted(told), registered.stripe_mode, sorted(done)], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _action_from(row: Mapping[str, Any]) -> Action:
    return Action(
        kind=ActionKind(row["action"]),
        type=row["type"],
        reason=row["reason"],
        scopes=tuple(row["scopes"]),
        added=tuple(row["added"]),
        removed=tuple(row["removed"]),
        status_before=row["status_before"],
        account=row["account"],
        needs_consent=row["needs_consent"],
        connection_config=dict(row["connection_config"]),
        problem=row["problem"],
        not_kept=tuple(row["not_kept"]),
        after=tuple(row["after"]),
        policy=tuple(PolicyNote.from_json(note) for note in row.get("policy", ())),
    )

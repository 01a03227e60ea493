"""Scopes as pages show them: what each means, how much harm it can do, and what the team notes on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.flows.scope_facts import ScopeFacts


@dataclass(frozen=True, slots=True)
class Chip:
    """One scope. `title` and `level` are "" when nobody knows them, `note` without one; `change` is add, del or ""."""

    name: str
    title: str = ""
    level: str = ""
    change: str = ""
    note: str = ""


def chips(
    facts: ScopeFacts, type_: str, *, added: Iterable[str] = (), removed: Iterable[str] = (), kept: Iterable[str] = ()
) -> list[Chip]:
    """What goes, what comes, then what stays. `facts` are one request's: they cost a query."""
    marked = [*((name, "del") for name in removed), *((name, "add") for name in added), *((name, "") for name in kept)]
    return [_chip(facts, type_, name, change) for name, change in marked]


def side_chips(
    facts: ScopeFacts,
    type_: str,
    scopes: Sequence[str] | None,
    other: Sequence[str] | None,
    agreed: Sequence[str] | None,
) -> list[Chip] | None:
    """One side of a difference, marked by what it changed since both sides `agreed`; None: it has no such connector.

    Where they never did, it is marked by what the `other` side lacks.
    """
    if scopes is None:
        return None
    base = (other or ()) if agreed is None else agreed
    return chips(
        facts,
        type_,
        added=[scope for scope in scopes if scope not in base],
        removed=[scope for scope in agreed or () if scope not in scopes],
        kept=[scope for scope in scopes if scope in base],
    )


def _chip(facts: ScopeFacts, type_: str, name: str, change: str) -> Chip:
    level = facts.sensitivity(type_, name)
    word = "" if level is None else level.name.lower()
    return Chip(name, facts.title(type_, name), word, change, facts.note(type_, name))

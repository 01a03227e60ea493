"""Scopes as pages show them: what each means, how much harm it can do, and what the team notes on it."""

from __future__ import annotations

from collections.abc import Iterable
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


def _chip(facts: ScopeFacts, type_: str, name: str, change: str) -> Chip:
    level = facts.sensitivity(type_, name)
    word = "" if level is None else level.name.lower()
    return Chip(name, facts.title(type_, name), word, change, facts.note(type_, name))

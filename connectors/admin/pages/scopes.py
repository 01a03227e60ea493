"""Scopes as pages show them: what each means and how much harm it can do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.core.catalog import load_catalog


@dataclass(frozen=True, slots=True)
class Chip:
    """One scope. `title` and `level` are "" when the catalogue does not know it; `change` is add, del or ""."""

    name: str
    title: str = ""
    level: str = ""
    change: str = ""


def chips(
    type_: str, *, added: Iterable[str] = (), removed: Iterable[str] = (), kept: Iterable[str] = ()
) -> list[Chip]:
    """What goes, what comes, then what stays."""
    marked = [*((name, "del") for name in removed), *((name, "add") for name in added), *((name, "") for name in kept)]
    return [_chip(type_, name, change) for name, change in marked]


def _chip(type_: str, name: str, change: str) -> Chip:
    info = load_catalog().scope(type_, name)
    if info is None:
        return Chip(name, change=change)
    return Chip(name, info.title, info.sensitivity.value, change)

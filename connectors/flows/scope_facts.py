"""What the catalogue and the team say of scopes, the team's word first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.core.catalog import load_catalog
from connectors.core.scopes import tidy
from connectors.models import CatalogueScope, Sensitivity


@dataclass(frozen=True, slots=True)
class TeamWord:
    """What the team says of one scope; a `sensitivity` of None leaves the catalogue's."""

    sensitivity: Sensitivity | None
    title: str
    note: str
    is_added: bool = False
    """The catalogue does not know the scope: only the team does."""


class ScopeFacts:
    """Sensitivity, title and note of any scope, for one request or one flow: the team's words are read once, here."""

    def __init__(self) -> None:
        self._catalog = load_catalog()
        rows = CatalogueScope.objects.said_by_the_team()
        self._team = {
            (provider, name): TeamWord(None if level is None else Sensitivity(level), title, note, not shipped)
            for provider, name, level, title, note, shipped in rows.values_list(
                "provider", "name", "team_sensitivity", "title", "team_note", "is_shipped"
            )
        }

    def provider(self, type_: str) -> str:
        """The provider behind an integration type, "" for a type that the catalogue does not know."""
        info = self._catalog.types.get(type_)
        return info.provider if info else ""

    def sensitivity(self, type_: str, scope: str) -> Sensitivity | None:
        """How much harm the scope can do; None when neither team nor catalogue knows, which does not mean harmless."""
        for said in self._said(type_, scope):
            if said.sensitivity is not None:
                return said.sensitivity
        info = self._catalog.scope(type_, scope)
        return Sensitivity(info.sensitivity.rank) if info else None

    def highest(self, type_: str, scopes: Iterable[str]) -> Sensitivity | None:
        """The gravest among the known scopes; None when none is known."""
        found = [level for scope in scopes if (level := self.sensitivity(type_, scope)) is not None]
        return max(found, default=None)

    def title(self, type_: str, scope: str) -> str:
        """What the scope allows, in words; "" when nobody knows."""
        info = self._catalog.scope(type_, scope)
        if info is not None:
            return info.title
        return next((said.title for said in self._said(type_, scope)), "")

    def note(self, type_: str, scope: str) -> str:
        """The team's note on the scope, "" for none."""
        return next((said.note for said in self._said(type_, scope) if said.note), "")

    def unknown(self, type_: str, scopes: Iterable[str]) -> tuple[str, ...]:
        """The scopes that neither the catalogue nor the team knows, in their order."""
        return tuple(
            scope
            for scope in tidy(scopes)
            if self._catalog.scope(type_, scope) is None and not self._said(type_, scope)
        )

    def added(self, type_: str) -> dict[str, TeamWord]:
        """By name, the scopes of this type's provider that the catalogue does not know and the team has added."""
        provider = self.provider(type_)
        return {name: said for (owner, name), said in self._team.items() if said.is_added and owner == provider}

    def _said(self, type_: str, scope: str) -> list[TeamWord]:
        """What is said of this very scope, then what is said of all scopes that begin like it."""
        if not self._team:
            return []
        info, provider = self._catalog.scope(type_, scope), self.provider(type_)
        names = dict.fromkeys([self._catalog.canonical(type_, scope), *([info.name] if info else [])])
        return [self._team[provider, name] for name in names if (provider, name) in self._team]

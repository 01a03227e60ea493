"""What the catalogue and the team say of scopes, the team's word first."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.core.catalog import load_catalog
from connectors.models import CatalogueScope, Sensitivity


@dataclass(frozen=True, slots=True)
class TeamWord:
    """What the team says of one scope; a `sensitivity` of None leaves the catalogue's."""

    sensitivity: Sensitivity | None
    title: str
    note: str


class ScopeFacts:
    """Sensitivity, title and note of any scope, for one request or one flow: the team's words are read once, here."""

    def __init__(self) -> None:
        self._catalog = load_catalog()
        rows = CatalogueScope.objects.said_by_the_team()
        self._team = {
            (provider, name): TeamWord(None if level is None else Sensitivity(level), title, note)
            for provider, name, level, title, note in rows.values_list(
                "provider", "name", "team_sensitivity", "title", "team_note"
            )
        }

    def provider(self, type_: str) -> str:
        """The provider behind an integration type, "" for a type that the catalogue does not know."""
        info = self._catalog.types.get(type_)
        return info.provider if info else ""

    def sensitivity(self, type_: str, scope: str) -> Sensitivity | None:
        """How much harm the scope can do; None when neither team nor catalogue knows, which does not mean harmless."""
        said = self._said(type_, scope)
        if said is not None and said.sensitivity is not None:
            return said.sensitivity
        info = self._catalog.scope(type_, scope)
        return Sensitivity(info.sensitivity.rank) if info else None

    def highest(self, type_: str, scopes: list[str] | tuple[str, ...]) -> Sensitivity | None:
        """The gravest among the known scopes; None when none is known."""
        found = [level for scope in scopes if (level := self.sensitivity(type_, scope)) is not None]
        return max(found, default=None)

    def title(self, type_: str, scope: str) -> str:
        """What the scope allows, in words; "" when nobody knows."""
        info = self._catalog.scope(type_, scope)
        if info is not None:
            return info.title
        said = self._said(type_, scope)
        return said.title if said else ""

    def note(self, type_: str, scope: str) -> str:
        """The team's note on the scope, "" for none."""
        said = self._said(type_, scope)
        return said.note if said else ""

    def _said(self, type_: str, scope: str) -> TeamWord | None:
        return self._team.get((self.provider(type_), self._catalog.canonical(type_, scope))) if self._team else None

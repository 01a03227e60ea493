"""What is known of Base44's integration types and of the OAuth scopes behind them, read from data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter

from connectors.core.catalog.oauth_facts import (
    GrantFacts,
    IdentityFacts,
    IntrospectFacts,
    Lifetimes,
    RevokeFacts,
    WireFacts,
)
from connectors.core.catalog.schema import (
    Access,
    ConfigField,
    IntegrationTypeInfo,
    OAuthFacts,
    ProviderScopes,
    RefreshFacts,
    ScopeInfo,
    Sensitivity,
)

__all__ = [
    "Access",
    "Catalog",
    "ConfigField",
    "GrantFacts",
    "IdentityFacts",
    "IntegrationTypeInfo",
    "IntrospectFacts",
    "Lifetimes",
    "OAuthFacts",
    "ProviderScopes",
    "RefreshFacts",
    "RevokeFacts",
    "ScopeInfo",
    "Sensitivity",
    "WireFacts",
    "load_catalog",
]

DATA = Path(__file__).parent


class Catalog:
    """The integration types at hand at once, each provider's scopes read on first use.

    A type that is missing here is *unknown*, not wrong: Base44 adds types, and decides which it accepts.
    """

    def __init__(self, directory: Path = DATA) -> None:
        self._directory = directory
        self._names: dict[str, Mapping[str, ScopeInfo]] = {}
        found = TypeAdapter(dict[str, IntegrationTypeInfo]).validate_json((directory / "providers.json").read_bytes())
        self.types: Mapping[str, IntegrationTypeInfo] = MappingProxyType(
            {slug: replace(info, slug=slug) for slug, info in found.items()}
        )

    def scopes_for(self, type_: str) -> tuple[ScopeInfo, ...]:
        """The scopes made for this integration type, in the catalogue's order; none for an unknown type."""
        return tuple(info for info in self.provider_scopes(type_) if type_ in info.types)

    def scope(self, type_: str, name: str) -> ScopeInfo | None:
        """What `name`, or another spelling of it, means at this type's provider; None when it is not known.

        Scopes of sibling types count: a calendar scope on a gmail connector is unusual, but its reach is known.
        """
        found = self._by_name(type_).get(name)
        if found or ":" not in name:
            return found
        patterns = (info for info in self.provider_scopes(type_) if info.name.endswith(":*"))
        return next((info for info in patterns if name.startswith(info.name[:-1])), None)

    def canonical(self, type_: str, name: str) -> str:
        """The provider's main spelling of a scope; an unknown one, and one known by its beginning, stays as it is."""
        info = self._by_name(type_).get(name)
        return info.name if info else name

    def provider_scopes(self, type_: str) -> tuple[ScopeInfo, ...]:
        """Every scope of the provider behind this type, also those made for its sibling types."""
        known = self._by_name(type_)
        return tuple(info for name, info in known.items() if name == info.name)

    def _by_name(self, type_: str) -> Mapping[str, ScopeInfo]:
        """Scopes of the type's provider by name and by alias."""
        info = self.types.get(type_)
        if info is None:
            return {}
        if info.provider not in self._names:
            self._names[info.provider] = _index(self._directory / "scopes" / f"{info.provider}.json")
        return self._names[info.provider]


@cache
def load_catalog() -> Catalog:
    """The project's catalogue, read once per process. Raises pydantic.ValidationError when a data file is broken."""
    return Catalog()


@cache
def _scopes_adapter() -> TypeAdapter[ProviderScopes]:
    return TypeAdapter(ProviderScopes)


def _index(path: Path) -> Mapping[str, ScopeInfo]:
    if not path.exists():  # stripe has no scopes and no file
        return {}
    file = _scopes_adapter().validate_json(path.read_bytes())
    found = [
        replace(info, source=info.source or file.source, confidence=info.confidence or file.confidence)
        for info in file.scopes
    ]
    index = {info.name: info for info in found}
    for info in found:
        for alias in info.aliases:
            index.setdefault(alias, info)
    return index

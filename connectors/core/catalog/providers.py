"""The companies behind the integration types: one OAuth client at a provider serves all of its types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from connectors.core.catalog import Catalog, IntegrationTypeInfo, load_catalog

_NAMES: Mapping[str, str] = {"google": "Google", "microsoft": "Microsoft", "slack": "Slack"}
"""Of the providers that stand behind several types; the others are called as their only type is."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: its id in the catalogue, how people call it, and its integration types by name."""

    id: str
    name: str
    types: tuple[IntegrationTypeInfo, ...]


@cache
def providers(catalog: Catalog | None = None) -> tuple[Provider, ...]:
    """All providers of the catalogue, by name."""
    found: dict[str, list[IntegrationTypeInfo]] = {}
    for info in (catalog or load_catalog()).types.values():
        found.setdefault(info.provider, []).append(info)
    made = (Provider(id_, _name(id_, types), tuple(types)) for id_, types in found.items())
    return tuple(sorted(made, key=lambda provider: provider.name.lower()))


def provider(id_: str, catalog: Catalog | None = None) -> Provider | None:
    """The provider of this id; None when the catalogue has none such."""
    return next((found for found in providers(catalog) if found.id == id_), None)


def provider_name(id_: str, catalog: Catalog | None = None) -> str:
    """`Google` for `google`; for a provider that the catalogue does not know, its id."""
    found = provider(id_, catalog)
    return found.name if found else id_


def _name(id_: str, types: list[IntegrationTypeInfo]) -> str:
    return _NAMES.get(id_) or (types[0].display_name if len(types) == 1 else id_)

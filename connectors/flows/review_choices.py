"""What a scope can be narrowed to: what it contains, then what of the same service is less grave."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from connectors.core.catalog import ScopeInfo, load_catalog


@dataclass(frozen=True, slots=True)
class Narrower:
    """Scopes to take instead: parts of the wide one, and others of the service that can do less harm."""

    contained: tuple[ScopeInfo, ...] = ()
    others: tuple[ScopeInfo, ...] = ()

    @property
    def all(self) -> tuple[ScopeInfo, ...]:
        """Both, the contained ones first."""
        return self.contained + self.others


@lru_cache(maxsize=2_048)
def narrower_than(type_: str, scope: str) -> Narrower:
    """What this scope can be narrowed to, from the catalogue; for one that it does not know, any of the service's."""
    catalog = load_catalog()
    usable = [info for info in catalog.scopes_for(type_) if not info.deprecated and not info.name.endswith(":*")]
    wide = catalog.scope(type_, scope)
    if wide is None:
        return Narrower(others=tuple(info for info in usable if info.name != scope))
    parts = {catalog.canonical(type_, name) for name in wide.implies} - {wide.name}
    found = (catalog.scope(type_, name) for name in sorted(parts))
    contained = [info for info in found if info is not None and not info.deprecated]
    rank = wide.sensitivity.rank
    others = [info for info in usable if info.name not in parts and info.sensitivity.rank < rank]
    return Narrower(tuple(sorted(contained, key=_gravest_last)), tuple(sorted(others, key=_gravest_last)))


def may_narrow_to(type_: str, scope: str, narrow_to: str) -> bool:
    """Whether `narrow_to` is one of them."""
    return any(info.name == narrow_to for info in narrower_than(type_, scope).all)


def _gravest_last(info: ScopeInfo) -> tuple[int, str]:
    return (info.sensitivity.rank, info.name)

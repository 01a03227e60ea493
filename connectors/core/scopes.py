"""Compare scope sets: which differences are real, and which have an explanation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.core.catalog import Catalog, load_catalog


@dataclass(frozen=True, slots=True)
class ScopeDifference:
    """What sets a declared scope set apart from a registered one.

    `added` is declared but not registered, in the declared order and spelling; `removed` is registered but not
    declared, in the registered order and spelling. `explained` pairs each scope that stands in one of the two only,
    yet makes no difference, with the reason, worded so that "<scope> <reason>" is a clause.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    explained: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """True when something really differs."""
        return bool(self.added or self.removed)


def tidy(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes to ask for: blanks and repeats dropped, order and spelling kept. `[" a", "", "a"]` → `("a",)`."""
    return tuple(dict.fromkeys(scope.strip() for scope in scopes if scope.strip()))


class ScopeRules:
    """How scopes compare, from the catalogue and from what Base44 says it adds by itself.

    `auto_added` is Base44's answer of `external-auth/auto-added-scopes`: integration type to scopes. Scopes are case
    sensitive. Unknown types and scopes compare by their exact spelling.
    """

    def __init__(self, catalog: Catalog | None = None, auto_added: Mapping[str, Iterable[str]] | None = None) -> None:
        self.catalog = load_catalog() if catalog is None else catalog
        self._auto_added = {type_: frozenset(tidy(scopes)) for type_, scopes in (auto_added or {}).items()}

    def canonical(self, type_: str, scope: str) -> str:
        """The provider's main spelling: `email` on a Google type → `https://www.googleapis.com/auth/userinfo.email`."""
        return self.catalog.canonical(type_, scope.strip())

    def normalise(self, type_: str, scopes: Iterable[str]) -> frozenset[str]:
        """The scopes as a set of main spellings, without blanks: two lists that mean the same give the same set."""
        return frozenset(self.canonical(type_, scope) for scope in tidy(scopes))

    def auto_added(self, type_: str) -> frozenset[str]:
        """Main spellings of the scopes that Base44 adds to this type by itself."""
        return self.normalise(type_, self._auto_added.get(type_, ()))

    def compare(self, type_: str, declared: Iterable[str], registered: Iterable[str]) -> ScopeDifference:
        """What differs between the declared and the registered scopes, and what only seems to. No I/O.

        A declared scope that is not registered is explained when a broader scope stands in both sets (GitHub lists
        `repo` and drops `repo:status`) or when the provider never reports it. A registered scope that is not declared
        is explained when Base44 or the provider adds it unasked. Declared `repo:status` against registered `repo` is
        a difference both ways: Base44 sets exactly what it is told, so the wider right would go.
        """
        wanted, held = tidy(declared), tidy(registered)
        if not held and self.has_no_scopes(type_):
            return ScopeDifference(explained=tuple((scope, self._why_no_scopes(type_)) for scope in wanted))
        wanted_as = self.normalise(type_, wanted)
        added: list[str] = []
        removed: list[str] = []
        explained: list[tuple[str, str]] = []
        for scope in wanted:
            _sort_in(scope, self._why_not_added(type_, scope, held, wanted_as), added, explained)
        for scope in held:
            if self.canonical(type_, scope) not in wanted_as:
                _sort_in(scope, self.why_unasked(type_, scope), removed, explained)
        return ScopeDifference(tuple(added), tuple(removed), tuple(explained))

    def without_auto_added(self, type_: str, scopes: Iterable[str]) -> tuple[str, ...]:
        """The scopes that somebody asked for, as well as can be told from a registered list.

        Once Base44 has said what it adds, that alone is left out: leaving out what the catalogue merely calls usual
        would drop a scope that was asked for at the next set. Until then the catalogue decides.
        """
        if self._auto_added:
            known = self.auto_added(type_)
            return tuple(scope for scope in tidy(scopes) if self.canonical(type_, scope) not in known)
        return tuple(scope for scope in tidy(scopes) if self.why_unasked(type_, scope) is None)

    def has_no_scopes(self, type_: str) -> bool:
        """True when the type's provider is known to have no OAuth scopes at all."""
        info = self.catalog.types.get(type_)
        return info is not None and not info.has_scopes

    def _why_no_scopes(self, type_: str) -> str:
        return f"means nothing to {self.catalog.types[type_].display_name}, which has no OAuth scopes"

    def _why_not_added(self, type_: str, scope: str, held: tuple[str, ...], wanted_as: frozenset[str]) -> str | None:
        """Why a declared scope needs no setting: "" when it is registered as it is, None when it does need it."""
        if scope in held:
            return ""
        held_as = {self.canonical(type_, name): name for name in held}
        if same := held_as.get(self.canonical(type_, scope)):
            return f"is another name of {same}"
        info = self.catalog.scope(type_, scope)
        if info is not None and info.never_reported:
            return "is never reported back by the provider"
        broader = (held_as[name] for name in held_as if name in wanted_as and self._implies(type_, name, scope))
        return next((f"is contained in {name}" for name in broader), None)

    def why_unasked(self, type_: str, scope: str) -> str | None:
        """Why a scope that nobody declared is in order, as in "is added by Base44 by itself"; None when it is not."""
        if self.canonical(type_, scope) in self.auto_added(type_):
            return "is added by Base44 by itself"
        info = self.catalog.scope(type_, scope)
        return "is added by the provider by itself" if info is not None and info.auto_added else None

    def _implies(self, type_: str, broader: str, scope: str) -> bool:
        info = self.catalog.scope(type_, broader)
        return info is not None and self.canonical(type_, scope) in info.implies


def _sort_in(scope: str, why: str | None, real: list[str], explained: list[tuple[str, str]]) -> None:
    if why is None:
        real.append(scope)
    elif why:
        explained.append((scope, why))

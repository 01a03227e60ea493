"""Compare the four sides of many connectors at tens of thousands a second.

A scope's verdict hangs on where it is listed, and for some on how it is spelled and which other scopes are listed. The
first is a small number, so such verdicts are kept; the rest is worked out each time. Nothing is kept per connector.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.core.catalog import GrantFacts
from connectors.core.catalog.providers import provider_name
from connectors.core.ledger.judge import Habits, Standing, judge
from connectors.core.ledger.reasons import reason_for
from connectors.core.ledger.sides import Side, Sides
from connectors.core.ledger.verdicts import ScopeVerdict
from connectors.core.scopes import ScopeRules, tidy

KEPT = 200_000
"""So many names and verdicts are kept before all are dropped: scopes that nobody knows could be without number."""

_BITS: Mapping[Side, int] = {side: 1 << number for number, side in enumerate(Side)}
_DECLARED, _REPOSITORY, _REGISTERED, _GRANTED = _BITS.values()
_HELD = 16
_ORDERED = [tuple(side for side, bit in _BITS.items() if mask & bit) for mask in range(16)]
_SIDES_IN = [frozenset(sides) for sides in _ORDERED]


class _Names(dict[str, str]):
    """Spellings to the main spelling of a type's scopes, "" for blanks; fills itself."""

    def __init__(self, rules: ScopeRules, type_: str) -> None:
        self._rules = rules
        self._type = type_

    def __missing__(self, name: str) -> str:
        self[name] = found = self._rules.canonical(self._type, name)
        return found


class _Table:
    """What is known of one integration type, and the verdicts kept for it.

    `kept` has for each context (the known sides and `held`) sixteen dictionaries, one for each set of sides that list
    a scope, from the scope to its verdict. Only verdicts that hang on nothing else are in there. `contained` are the
    scopes that some broader one implies.
    """

    __slots__ = ("contained", "counted", "habits", "kept", "names", "rules", "type")

    def __init__(self, rules: ScopeRules, type_: str) -> None:
        self.rules = rules
        self.type = type_
        self.names = _Names(rules, type_)
        self.kept: dict[int, list[dict[str, ScopeVerdict]]] = {}
        self.contained = {name for info in rules.catalog.provider_scopes(type_) for name in info.implies}
        self.habits = _habits(rules, type_)
        self.counted = 0

    def verdicts(self, context: int) -> list[dict[str, ScopeVerdict]]:
        """Those kept for a context; a new place for them when it is new."""
        return self.kept.get(context) or self.kept.setdefault(context, [{} for _ in _SIDES_IN])

    def news(self) -> int:
        """How many names came in since the last call."""
        before, self.counted = self.counted, len(self.names)
        return self.counted - before


class Comparer:
    """Compares connectors' sides by the catalogue's rules; keeps what it learns, so make one and use it for many."""

    def __init__(self, rules: ScopeRules) -> None:
        self._rules = rules
        self._tables: dict[str, _Table] = {}
        self._size = 0

    def compare(self, type_: str, sides: Sides) -> tuple[ScopeVerdict, ...]:
        """A verdict on each scope that any side lists, in the order of their first appearance. No I/O.

        Blanks and repeats are dropped. Unknown types and scopes compare by their exact spelling.
        """
        table = self._tables.get(type_) or self._new_table(type_)
        names = table.names
        listed: dict[str, int] = {}
        known, odd = 0, False
        for bit, side in _by_bit(sides):
            if side is None:
                continue
            known |= bit
            for name in side:
                scope = names[name]
                listed[scope] = listed.get(scope, 0) | bit
                if scope != name:
                    odd = True
        listed.pop("", None)
        kept = table.verdicts(known | _HELD if sides.held else known)
        if not odd:
            found = [verdict for scope, mask in listed.items() if (verdict := kept[mask].get(scope))]
            if len(found) == len(listed):
                return tuple(found)
        return self._work_out(_Case(table, sides, listed, known), kept)

    def _work_out(self, case: _Case, kept: list[dict[str, ScopeVerdict]]) -> tuple[ScopeVerdict, ...]:
        found = []
        for scope, mask in case.listed.items():
            verdict = None if scope in case.odd else kept[mask].get(scope)
            if verdict is None:
                verdict = case.verdict(scope)
                if case.stands_alone(scope):
                    kept[mask][scope] = verdict
                    self._size += 1
            found.append(verdict)
        self._count(case.table.news())
        return tuple(found)

    def _new_table(self, type_: str) -> _Table:
        self._count(1)
        self._tables[type_] = table = _Table(self._rules, type_)
        return table

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > KEPT:
            self._tables, self._size = {}, 0


class _Case:
    """One connector, for the scopes whose verdicts are not at hand."""

    def __init__(self, table: _Table, sides: Sides, listed: Mapping[str, int], known: int) -> None:
        self.table = table
        self.listed = listed
        self.held = sides.held
        self._known = known
        self.odd = self._odd(sides)
        reports = any(mask & (_REGISTERED | _GRANTED) for mask in listed.values())
        self._meaningless = table.habits.has_no_scopes and not reports

    def verdict(self, scope: str) -> ScopeVerdict:
        """The verdict on a scope that some side lists."""
        standing = self._standing(scope)
        verdict = judge(standing)
        spelled = next(iter(standing.spelled.values()))[0]
        sides = {side: side in standing.spelled for side in standing.known}
        declared, repository, registered, granted = (sides.get(side) for side in Side)
        reason = reason_for(standing, verdict)
        return ScopeVerdict(scope, verdict, reason, declared, repository, registered, granted, spelled)

    def stands_alone(self, scope: str) -> bool:
        """Whether its verdict hangs on nothing but the type, the known sides, and which of them list it."""
        if scope in self.odd or self.table.habits.has_no_scopes:
            return False
        return scope not in self.table.contained or self.listed[scope] == self._known

    def _standing(self, scope: str) -> Standing:
        mask = self.listed[scope]
        covered, undeclared = self._broader(scope, mask)
        spelled = self.odd.get(scope) or dict.fromkeys(_ORDERED[mask], (scope,))
        rules, type_ = self.table.rules, self.table.type
        return Standing(
            scope=scope,
            known=_SIDES_IN[self._known],
            spelled=spelled,
            covered=covered,
            undeclared=undeclared,
            info=rules.catalog.scope(type_, scope),
            unasked=rules.why_unasked(type_, scope),
            habits=self.table.habits,
            held=self.held,
            meaningless=self._meaningless,
        )

    def _broader(self, scope: str, mask: int) -> tuple[dict[Side, str], dict[Side, str]]:
        """For the known sides that do not list the scope: a broader one there, and whether it is declared as well.

        Without a declaration, one counts that stands on every side that lists the scope.
        """
        covered: dict[Side, str] = {}
        undeclared: dict[Side, str] = {}
        absent = self._known & ~mask
        if not absent or scope not in self.table.contained:
            return covered, undeclared
        needed = _DECLARED if self._known & _DECLARED else mask
        for name in sorted(self.listed):  # whatever the order of the lists, the same one is named
            if not self.table.rules.implies(self.table.type, name, scope):
                continue
            found = covered if self.listed[name] & needed == needed else undeclared
            for side in _ORDERED[absent & self.listed[name]]:
                found.setdefault(side, name)
        return covered, undeclared

    def _odd(self, sides: Sides) -> dict[str, dict[Side, tuple[str, ...]]]:
        """How each side spells the scopes that some side does not write in the main spelling."""
        spelled: dict[str, dict[Side, tuple[str, ...]]] = {}
        odd: set[str] = set()
        for side, (_, written) in zip(Side, _by_bit(sides), strict=True):
            for name in tidy(written or ()):
                scope = self.table.names[name]
                at = spelled.setdefault(scope, {})
                at[side] = (*at.get(side, ()), name)
                if name != scope:
                    odd.add(scope)
        return {scope: spelled[scope] for scope in odd}


def _by_bit(sides: Sides) -> tuple[tuple[int, tuple[str, ...] | None], ...]:
    return (
        (_DECLARED, sides.declared),
        (_REPOSITORY, sides.repository),
        (_REGISTERED, sides.registered),
        (_GRANTED, sides.granted),
    )


def _habits(rules: ScopeRules, type_: str) -> Habits:
    info = rules.catalog.types.get(type_)
    if info is None:
        return Habits(type_, type_, has_no_scopes=False, reports=True, grants=GrantFacts())
    return Habits(
        type_name=info.display_name,
        provider=provider_name(info.provider, rules.catalog),
        has_no_scopes=rules.has_no_scopes(type_),
        reports=info.oauth.reports_scopes,
        grants=info.oauth.grants,
    )

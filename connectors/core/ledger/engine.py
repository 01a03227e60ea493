"""Compare the four sides of many connectors at tens of thousands a second.

A scope's verdict hangs on where it is listed, and for some on how it is spelled and which other scopes are listed. The
first is a small number, so such verdicts are kept; the rest is worked out each time. Nothing is kept per connector.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, reduce
from operator import or_

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


_Written = tuple[tuple[str, int], ...]
"""The spellings of one scope, each with the sides that write it so, as bits."""


class _Kept:
    """The verdicts kept for one context: the known sides, and whether the portal holds a token.

    `plain` has sixteen dictionaries, one for each set of sides that list a scope in the main spelling, from the scope
    to its verdict. `spelled` is for scopes that some side spells differently: by what stands where.
    """

    __slots__ = ("plain", "spelled")

    def __init__(self) -> None:
        self.plain: list[dict[str, ScopeVerdict]] = [{} for _ in _ORDERED]
        self.spelled: dict[_Written, ScopeVerdict] = {}

    def get(self, scope: str, written: _Written) -> ScopeVerdict | None:
        """The verdict on a scope that is written so, when it is at hand."""
        if len(written) == 1 and written[0][0] == scope:
            return self.plain[written[0][1]].get(scope)
        return self.spelled.get(written)

    def keep(self, verdict: ScopeVerdict, written: _Written) -> None:
        """Have it at hand from now on."""
        if len(written) == 1 and written[0][0] == verdict.scope:
            self.plain[written[0][1]][verdict.scope] = verdict
        else:
            self.spelled[written] = verdict


class _Table:
    """What is known of one integration type, and the verdicts kept for it, by context.

    `names` leads from each spelling that was met to the main one ("" for blanks); `others` are those that differ from
    it. `contained` are the scopes that some broader one implies.
    """

    __slots__ = ("contained", "habits", "kept", "names", "others", "rules", "type")

    def __init__(self, rules: ScopeRules, type_: str) -> None:
        self.rules = rules
        self.type = type_
        self.names: dict[str, str] = {}
        self.others: set[str] = set()
        self.kept: dict[int, _Kept] = {}
        self.contained = {name for info in rules.catalog.provider_scopes(type_) for name in info.implies}
        self.habits = _habits(rules, type_)

    def by_scope(self, written: Mapping[str, int]) -> dict[str, _Written]:
        """What is written where, by scope and without blanks; learns the spellings that are new."""
        found: dict[str, _Written] = {}
        for name, mask in written.items():
            scope = self.names.get(name)
            if scope is None:
                scope = self._learn(name)
            if scope:
                found[scope] = (*found.get(scope, ()), (name, mask))
        return found

    def _learn(self, name: str) -> str:
        self.names[name] = scope = self.rules.canonical(self.type, name)
        if scope != name or not scope:
            self.others.add(name)
        return scope


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
        written: dict[str, int] = {}
        known = 0
        for bit, side in (
            (_DECLARED, sides.declared),
            (_REPOSITORY, sides.repository),
            (_REGISTERED, sides.registered),
            (_GRANTED, sides.granted),
        ):
            if side is not None:
                known |= bit
                for name in side:
                    written[name] = written.get(name, 0) | bit
        context = known | _HELD if sides.held else known
        kept = table.kept.get(context) or table.kept.setdefault(context, _Kept())
        if table.others.isdisjoint(written):
            plain = kept.plain
            found = [verdict for name, mask in written.items() if (verdict := plain[mask].get(name))]
            if len(found) == len(written):
                return tuple(found)
        return self._work_out(table, kept, written, known, held=sides.held)

    def _work_out(
        self, table: _Table, kept: _Kept, written: Mapping[str, int], known: int, *, held: bool
    ) -> tuple[ScopeVerdict, ...]:
        before = len(table.names)
        case = _Case(table, table.by_scope(written), known, held)
        found = []
        for scope, as_written in case.written.items():
            verdict = kept.get(scope, as_written)
            if verdict is None:
                verdict = case.verdict(scope)
                if case.stands_alone(scope):
                    kept.keep(verdict, as_written)
                    self._count(1)
            found.append(verdict)
        self._count(len(table.names) - before)
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
    """One connector, for the scopes whose verdicts are not at hand. `written` is what is written where, by scope."""

    def __init__(self, table: _Table, written: Mapping[str, _Written], known: int, held: bool) -> None:
        self.written = written
        self._table = table
        self._known = known
        self._held = held

    @cached_property
    def _listed(self) -> dict[str, int]:
        """The sides that list each scope, however they spell it."""
        return {scope: reduce(or_, (mask for _, mask in as_written)) for scope, as_written in self.written.items()}

    @cached_property
    def _meaningless(self) -> bool:
        reports = any(mask & (_REGISTERED | _GRANTED) for mask in self._listed.values())
        return self._table.habits.has_no_scopes and not reports

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
        if self._table.habits.has_no_scopes:
            return False
        return scope not in self._table.contained or self._listed[scope] == self._known

    def _standing(self, scope: str) -> Standing:
        covered, undeclared = self._broader(scope)
        rules, type_ = self._table.rules, self._table.type
        return Standing(
            scope=scope,
            known=_SIDES_IN[self._known],
            spelled=self._spelled(scope),
            covered=covered,
            undeclared=undeclared,
            info=rules.catalog.scope(type_, scope),
            unasked=rules.why_unasked(type_, scope),
            habits=self._table.habits,
            held=self._held,
            meaningless=self._meaningless,
        )

    def _broader(self, scope: str) -> tuple[dict[Side, str], dict[Side, str]]:
        """For the known sides that do not list the scope: a broader one there, and whether it is declared as well.

        Without a declaration, one counts that stands on every side that lists the scope.
        """
        covered: dict[Side, str] = {}
        undeclared: dict[Side, str] = {}
        mask = self._listed[scope]
        absent = self._known & ~mask
        if not absent or scope not in self._table.contained:
            return covered, undeclared
        needed = _DECLARED if self._known & _DECLARED else mask
        for name in sorted(self._listed):  # whatever the order of the lists, the same one is named
            if not self._table.rules.implies(self._table.type, name, scope):
                continue
            found = covered if self._listed[name] & needed == needed else undeclared
            for side in _ORDERED[absent & self._listed[name]]:
                found.setdefault(side, name)
        return covered, undeclared

    def _spelled(self, scope: str) -> dict[Side, tuple[str, ...]]:
        """How each side that lists the scope spells it."""
        found: dict[Side, tuple[str, ...]] = {}
        for side in _ORDERED[self._listed[scope]]:
            found[side] = tidy(name for name, mask in self.written[scope] if mask & _BITS[side])
        return found


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

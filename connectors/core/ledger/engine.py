"""Compare the four sides of many connectors at tens of thousands a second.

A scope's verdict hangs on which sides list it, for some on how each spells it, and for a few on a broader scope beside
it. These combinations are few, so a verdict is made once for each and kept. Nothing is kept per connector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_

from connectors.core.catalog import GrantFacts
from connectors.core.catalog.providers import provider_name
from connectors.core.ledger.judge import Habits, Standing, judge
from connectors.core.ledger.reasons import reason_for
from connectors.core.ledger.sides import Side, Sides
from connectors.core.ledger.verdicts import ScopeVerdict
from connectors.core.scopes import ScopeRules

KEEP = 200_000
"""So many types, names and verdicts are kept before all are dropped: names that nobody knows could be endless."""

_BITS: Mapping[Side, int] = {side: 1 << number for number, side in enumerate(Side)}
_DECLARED, _REPOSITORY, _REGISTERED, _GRANTED = _BITS.values()
_REPORTS = _REGISTERED | _GRANTED
_HELD = 16
_ORDERED = [tuple(side for side, bit in _BITS.items() if mask & bit) for mask in range(16)]
_SIDES_IN = [frozenset(sides) for sides in _ORDERED]


_Written = tuple[tuple[str, int], ...]
"""The spellings of one scope, each with the sides that write it so, as bits."""

_Beside = tuple[_Written, tuple[tuple[Side, str], ...], tuple[tuple[Side, str], ...]]
"""The same with the broader scopes that stand where it does not: declared ones, then others."""


class _Kept:
    """The verdicts kept for one context: the known sides, and whether the portal holds a token.

    `plain` is for scopes of one spelling: sixteen dictionaries, one for each set of sides that list it. `shared` is
    for scopes of several spellings, `beside` for those whose verdict hangs on the other scopes there.
    """

    __slots__ = ("beside", "plain", "shared")

    def __init__(self) -> None:
        self.plain: list[dict[str, ScopeVerdict]] = [{} for _ in _ORDERED]
        self.shared: dict[_Written, ScopeVerdict] = {}
        self.beside: dict[_Beside, ScopeVerdict] = {}


class _Table:
    """What is known of one integration type, and the verdicts kept for it, by context.

    `names` leads from each spelling that was met to the main one ("" for blanks), `spellings` back. `shared` are the
    spellings of which a scope has several, and the blanks. `broader` leads from a scope to those that contain it.
    """

    __slots__ = ("broader", "habits", "kept", "names", "rules", "shared", "spellings", "type")

    def __init__(self, rules: ScopeRules, type_: str) -> None:
        self.rules = rules
        self.type = type_
        self.names: dict[str, str] = {}
        self.spellings: dict[str, list[str]] = {}
        self.shared: set[str] = set()
        self.kept: dict[int, _Kept] = {}
        self.broader: dict[str, set[str]] = {}
        for info in rules.catalog.provider_scopes(type_):
            for name in info.implies:
                self.broader.setdefault(name, set()).add(info.name)
        self.habits = _habits(rules, type_)

    def learn(self, names: Iterable[str]) -> int:
        """Find out what these spellings stand for; returns how many are new."""
        new = [name for name in names if name not in self.names]
        for name in new:
            scope = self.rules.canonical(self.type, name)
            spellings = self.spellings.setdefault(scope, [])
            spellings.append(name)
            if len(spellings) > 1 or scope != name or not scope:
                self.shared.update(spellings)
            self.names[name] = scope  # last: another thread takes a name that is in here for learnt
        return len(new)

    def by_scope(self, written: Mapping[str, int]) -> dict[str, _Written]:
        """What is written where, by scope and without blanks; every spelling must have been learnt."""
        found: dict[str, _Written] = {}
        for name, mask in written.items():
            scope = self.names[name]
            if name not in self.shared:
                found[scope] = ((name, mask),)
            elif scope and scope not in found:
                found[scope] = tuple([(other, written[other]) for other in self.spellings[scope] if other in written])
        return found


class Comparer:
    """Compares connectors' sides by the catalogue's rules; keeps what it learns, so make one and use it for many."""

    def __init__(self, rules: ScopeRules, *, keep: int = KEEP) -> None:
        self._rules = rules
        self._keep = keep
        self._tables: dict[str, _Table] = {}
        self._kept = 0

    @property
    def kept(self) -> int:
        """How many types, names and verdicts are kept now."""
        return self._kept

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
        if table.shared.isdisjoint(written):
            plain = kept.plain
            found = [verdict for name, mask in written.items() if (verdict := plain[mask].get(name))]
            if len(found) == len(written):
                return tuple(found)
        return self._work_out(table, kept, written, known, held=sides.held)

    def _work_out(
        self, table: _Table, kept: _Kept, written: Mapping[str, int], known: int, *, held: bool
    ) -> tuple[ScopeVerdict, ...]:
        if not table.names.keys() >= written.keys():
            self._count(table.learn(written))
        by_scope = table.by_scope(written)
        case: _Case | None = None
        found = []
        for scope, as_written in by_scope.items():
            name, mask = as_written[0]
            verdict = kept.shared.get(as_written) if name in table.shared else kept.plain[mask].get(scope)
            if verdict is None:
                case = case or _Case(table, kept, by_scope, known, held=held)
                verdict, new = case.verdict(scope)
                self._count(new)
            found.append(verdict)
        return tuple(found)

    def _new_table(self, type_: str) -> _Table:
        self._count(1)
        self._tables[type_] = table = _Table(self._rules, type_)
        return table

    def _count(self, more: int) -> None:
        self._kept += more
        if self._kept > self._keep:
            self._tables, self._kept = {}, 0


class _Case:
    """One connector, for the scopes whose verdicts are not at hand. `by_scope`: what is written where."""

    def __init__(self, table: _Table, kept: _Kept, by_scope: Mapping[str, _Written], known: int, *, held: bool) -> None:
        self._table = table
        self._kept = kept
        self._by_scope = by_scope
        self._known = known
        self._held = held
        self._listed = {
            scope: as_written[0][1] if len(as_written) == 1 else reduce(or_, (mask for _, mask in as_written))
            for scope, as_written in by_scope.items()
        }

    def verdict(self, scope: str) -> tuple[ScopeVerdict, bool]:
        """The verdict on a scope that some side lists, and whether it was kept just now."""
        as_written = self._by_scope[scope]
        if self._table.habits.has_no_scopes:  # hangs on whether any scope is reported at all
            return self._make(scope, {}, {}), False
        if scope not in self._table.broader or self._listed[scope] == self._known:
            found = self._make(scope, {}, {})
            if as_written[0][0] in self._table.shared:
                self._kept.shared[as_written] = found
            else:
                self._kept.plain[as_written[0][1]][scope] = found
            return found, True
        covered, undeclared = self._broader(scope)
        beside = (as_written, tuple(covered.items()), tuple(undeclared.items()))
        if known := self._kept.beside.get(beside):
            return known, False
        self._kept.beside[beside] = found = self._make(scope, covered, undeclared)
        return found, True

    def _make(self, scope: str, covered: Mapping[Side, str], undeclared: Mapping[Side, str]) -> ScopeVerdict:
        rules, type_ = self._table.rules, self._table.type
        standing = Standing(
            scope=scope,
            known=_SIDES_IN[self._known],
            spelled=self._spelled(scope),
            covered=covered,
            undeclared=undeclared,
            info=rules.catalog.scope(type_, scope),
            unasked=rules.why_unasked(type_, scope),
            habits=self._table.habits,
            held=self._held,
            meaningless=self._table.habits.has_no_scopes and not any(map(_REPORTS.__and__, self._listed.values())),
        )
        verdict = judge(standing)
        sides = {side: side in standing.spelled for side in standing.known}
        declared, repository, registered, granted = (sides.get(side) for side in Side)
        spelled = next(iter(standing.spelled.values()))[0]
        reason = reason_for(standing, verdict)
        return ScopeVerdict(scope, verdict, reason, declared, repository, registered, granted, spelled)

    def _broader(self, scope: str) -> tuple[dict[Side, str], dict[Side, str]]:
        """For the known sides that do not list the scope: a broader one there, and whether it is declared as well.

        Without a declaration, one counts that stands on every side that lists the scope.
        """
        covered: dict[Side, str] = {}
        undeclared: dict[Side, str] = {}
        mask = self._listed[scope]
        absent = self._known & ~mask
        needed = _DECLARED if self._known & _DECLARED else mask
        for name in sorted(self._table.broader[scope] & self._listed.keys()):  # the same whatever the lists' order
            found = covered if self._listed[name] & needed == needed else undeclared
            for side in _ORDERED[absent & self._listed[name]]:
                found.setdefault(side, name)
        return covered, undeclared

    def _spelled(self, scope: str) -> dict[Side, tuple[str, ...]]:
        """How each side that lists the scope spells it, in alphabetical order: verdicts are kept for any order."""
        as_written = self._by_scope[scope]
        if len(as_written) == 1:
            return dict.fromkeys(_ORDERED[as_written[0][1]], (as_written[0][0].strip(),))
        return {
            side: tuple(sorted({name.strip() for name, mask in as_written if mask & _BITS[side]}))
            for side in _ORDERED[self._listed[scope]]
        }


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

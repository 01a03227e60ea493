"""The verdict on one scope, from where it stands and what the catalogue knows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.core.catalog import GrantFacts, ScopeInfo
from connectors.core.ledger.sides import Side
from connectors.core.ledger.verdicts import Verdict

REPORTS = frozenset({Side.REGISTERED, Side.GRANTED})
"""The sides that are an answer to what was asked for; the other two are what is asked for."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a type's provider treats grants. `type_name` and `provider` are for people: "Gmail", "Google"."""

    type_name: str
    provider: str
    has_no_scopes: bool
    reports: bool
    grants: GrantFacts


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one scope of a connector stands: all that its verdict depends on.

    `spelled` gives, for each side that lists the scope, the spellings there. `covered` gives, for sides that do not, a
    broader scope which is listed there and declared as well; `undeclared` one which is listed there and not declared.
    `info` is what the catalogue knows of the scope, None when it does not. `unasked`: why it is in order when nobody
    asked for it, as in "is added by Base44 by itself". `meaningless`: the provider has no scopes and lists none.
    """

    scope: str
    known: frozenset[Side]
    spelled: Mapping[Side, tuple[str, ...]]
    covered: Mapping[Side, str]
    undeclared: Mapping[Side, str]
    info: ScopeInfo | None
    unasked: str | None
    habits: Habits
    held: bool
    meaningless: bool

    @property
    def absent(self) -> frozenset[Side]:
        """The known sides that do not list it."""
        return self.known - self.spelled.keys()

    @property
    def unreported(self) -> frozenset[Side]:
        """The sides where its absence means nothing, because the provider honours it and never says so."""
        return self.absent & REPORTS if self.info is not None and self.info.never_reported else frozenset()

    @property
    def lacking(self) -> frozenset[Side]:
        """The known sides that do not list it, without any explanation.

        A declaration lists exactly what it wants, so a broader scope there explains nothing.
        """
        return self.absent - self.unreported - (self.covered.keys() - {Side.DECLARED})

    @property
    def undeclared_but_contained(self) -> bool:
        """Only the token lists it, and a declared scope contains it: the token can do nothing more for that."""
        return self.spelled.keys() == {Side.GRANTED} and Side.DECLARED in self.covered

    @property
    def differently_spelled(self) -> bool:
        """No spelling is common to the sides that list it."""
        return not frozenset.intersection(*map(frozenset, self.spelled.values()))

    @property
    def unconfirmed(self) -> bool:
        """Nothing shows what was granted: the provider of the portal's token did not say, or one side only is known."""
        return len(self.known) == 1 or (self.held and Side.GRANTED not in self.known)


def judge(standing: Standing) -> Verdict:
    """The verdict on one scope. No I/O."""
    if standing.meaningless:
        return Verdict.UNKNOWABLE if standing.unconfirmed else Verdict.AGREES
    if Side.DECLARED in standing.absent:
        return _not_declared(standing)
    if not standing.lacking:
        return _settled(standing)
    if Side.DECLARED in standing.known:
        return _declared_in_vain(standing)
    return Verdict.AUTO_ADDED if standing.unasked else Verdict.DRIFT


def _not_declared(standing: Standing) -> Verdict:
    if standing.unasked:
        return Verdict.AUTO_ADDED
    if standing.undeclared_but_contained:
        return Verdict.IMPLIED
    return Verdict.EXCESS if _decisive(standing) in standing.spelled else Verdict.DRIFT


def _settled(standing: Standing) -> Verdict:
    if standing.unconfirmed:
        return Verdict.UNKNOWABLE
    if standing.absent - standing.unreported:
        return Verdict.IMPLIED
    return Verdict.ALIAS if standing.differently_spelled else Verdict.AGREES


def _declared_in_vain(standing: Standing) -> Verdict:
    # Where a broader scope is listed that nobody declared, calls do not fail: the sides differ in another way.
    missing = standing.lacking - standing.undeclared.keys()
    return Verdict.MISSING if _decisive(standing) in missing else Verdict.DRIFT


def _decisive(standing: Standing) -> Side:
    """The side that shows best what calls can do."""
    return Side.GRANTED if Side.GRANTED in standing.known else Side.REGISTERED

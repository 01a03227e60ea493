"""No false alarm on sets that mean the same, and every real difference is found, whatever the scopes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.core.catalog import load_catalog
from connectors.core.ledger import Comparer, ScopeVerdict, Side, Sides
from connectors.core.scopes import ScopeRules

TYPES = ["gmail", "github", "slack", "slackbot", "outlook", "hubspot", "box", "salesforce", "databricks", "snowflake"]
TYPES_WITHOUT = ["notion", "stripe"]
UNKNOWN = "google_photos"

catalog = load_catalog()
rules = ScopeRules(auto_added={"gmail": ["openid", "email"], "github": ["read:user"], UNKNOWN: ["base"]})
lasting = Comparer(rules)
"""Used by all tests: what it keeps of one case must not change another."""

Lists = dict[Side, tuple[str, ...]]


def sides_of(lists: Mapping[Side, tuple[str, ...] | None], *, held: bool) -> Sides:
    return Sides(*(lists.get(side) for side in Side), held=held)  # type: ignore[misc, arg-type]


@cache
def names_of(type_: str) -> st.SearchStrategy[str]:
    """Main spellings: of the catalogue's, more often of those that some rule is about, and of unheard-of ones."""
    infos = catalog.provider_scopes(type_)
    peculiar = {name for info in infos if info.implies for name in (info.name, *info.implies)}
    peculiar |= {info.name for info in infos if info.aliases or info.auto_added or info.never_reported}
    made_up = ["unheard:of", "Unheard:of", "session:role:ADMIN", "base"]
    return st.sampled_from(sorted(peculiar) or made_up) | st.sampled_from([*(info.name for info in infos), *made_up])


@cache
def spellings_of(type_: str) -> st.SearchStrategy[str]:
    others = [name for info in catalog.provider_scopes(type_) for name in (info.name, *info.aliases)][:80]
    return names_of(type_) | st.sampled_from([*others, "email", "", "  ", " padded "])


@st.composite
def any_sides(draw: st.DrawFn, type_: str) -> Sides:
    lists = st.lists(spellings_of(type_), max_size=7).map(tuple)
    return sides_of({side: draw(st.none() | lists) for side in Side}, held=draw(st.booleans()))


any_cases = st.sampled_from([*TYPES, *TYPES_WITHOUT, UNKNOWN]).flatmap(
    lambda type_: st.tuples(st.just(type_), any_sides(type_))
)


@dataclass(frozen=True)
class Meant:
    """One meaning, told by each known side in its own way."""

    type: str
    scopes: tuple[str, ...]
    lists: Lists
    held: bool

    def sides(self) -> Sides:
        return sides_of(self.lists, held=self.held)

    def planted(self, side: Side, scopes: tuple[str, ...]) -> Sides:
        return replace(self, lists=self.lists | {side: scopes}).sides()


@st.composite
def meanings(draw: st.DrawFn) -> Meant:
    type_ = draw(st.sampled_from([*TYPES, UNKNOWN]))
    scopes = tuple(draw(st.lists(names_of(type_), unique=True, max_size=7)))
    others = draw(
        st.lists(st.sampled_from([side for side in Side if side is not Side.DECLARED]), unique=True, min_size=1)
    )
    random = draw(st.randoms(use_true_random=False))
    lists: Lists = {side: told(random, type_, scopes, side) for side in (Side.DECLARED, *others)}
    return Meant(type_, scopes, lists, draw(st.booleans()))


def told(random: Random, type_: str, scopes: tuple[str, ...], side: Side) -> tuple[str, ...]:
    """The scopes as this side may write them: other names, another order, repeats and blanks, what a rule explains."""
    names = [name for name in scopes if side is Side.DECLARED or not may_be_left_out(random, type_, name, scopes, side)]
    if side is not Side.DECLARED:
        unasked = {*rules.auto_added(type_), *(info.name for info in catalog.provider_scopes(type_) if info.auto_added)}
        names += [name for name in sorted(unasked - set(names) - set(scopes)) if random.random() < 0.5]
    written = [random.choice([name, *aliases(type_, name)]) for name in names]
    written += random.choices(["", " ", *written], k=random.randint(0, 2))
    random.shuffle(written)
    return tuple(written)


def may_be_left_out(random: Random, type_: str, name: str, scopes: tuple[str, ...], side: Side) -> bool:
    """A never reported scope, or one that a broader one contains which no other contains, so that it stays there."""
    info = catalog.scope(type_, name)
    silent = info is not None and info.never_reported and side in (Side.REGISTERED, Side.GRANTED)
    tops = (top for top in scopes if not broader(type_, top, scopes) and top in broader(type_, name, scopes))
    kept = (top for top in tops if not ((found := catalog.scope(type_, top)) and found.never_reported))
    return (silent or any(kept)) and random.random() < 0.5


def broader(type_: str, name: str, scopes: tuple[str, ...]) -> list[str]:
    infos = ((other, catalog.scope(type_, other)) for other in scopes)
    return [other for other, info in infos if info is not None and name in info.implies]


def aliases(type_: str, name: str) -> tuple[str, ...]:
    info = catalog.scope(type_, name)
    return info.aliases if info is not None else ()


def explained(type_: str, name: str, others: tuple[str, ...]) -> bool:
    """Whether some rule is about the scope when it stands on some sides only."""
    info = catalog.scope(type_, name)
    unasked = rules.why_unasked(type_, name) is not None
    return unasked or (info is not None and info.never_reported) or bool(broader(type_, name, others))


def alarms(found: tuple[ScopeVerdict, ...]) -> dict[str, ScopeVerdict]:
    return {verdict.scope: verdict for verdict in found if verdict.verdict.is_alarm}


def shuffled(random: Random, sides: Sides) -> Sides:
    lists: dict[Side, tuple[str, ...] | None] = {side: getattr(sides, side) for side in Side}
    mixed = {side: None if names is None else tuple(random.sample(names, len(names))) for side, names in lists.items()}
    return sides_of(mixed, held=sides.held)


@given(meanings())
@settings(max_examples=300)
def test_sides_that_mean_the_same_give_no_alarm_however_they_write_it(meant: Meant) -> None:
    assert alarms(lasting.compare(meant.type, meant.sides())) == {}


@given(meanings(), st.data())
@settings(max_examples=300)
def test_a_scope_added_on_one_side_is_found_there_and_nowhere_else(meant: Meant, data: st.DataObject) -> None:
    extra = data.draw(names_of(meant.type))
    assume(extra not in meant.scopes and not explained(meant.type, extra, meant.scopes))
    side = data.draw(st.sampled_from(sorted(meant.lists)))
    found = alarms(lasting.compare(meant.type, meant.planted(side, (*meant.lists[side], extra))))[extra]
    assert {known: getattr(found, known) for known in meant.lists} == {known: known is side for known in meant.lists}
    assert [getattr(found, unknown) for unknown in Side if unknown not in meant.lists] == [None] * (
        4 - len(meant.lists)
    )


@given(meanings(), st.data())
@settings(max_examples=300)
def test_a_scope_removed_on_one_side_is_found_missing_there(meant: Meant, data: st.DataObject) -> None:
    loose = [name for name in meant.scopes if not explained(meant.type, name, meant.scopes)]
    assume(loose)
    gone = data.draw(st.sampled_from(loose))
    side = data.draw(st.sampled_from(sorted(meant.lists)))
    left = tuple(name for name in meant.lists[side] if rules.canonical(meant.type, name) != gone)
    found = alarms(lasting.compare(meant.type, meant.planted(side, left)))[gone]
    assert {known: getattr(found, known) for known in meant.lists} == {
        known: known is not side for known in meant.lists
    }


@given(any_cases)
def test_a_plan_and_the_ledger_never_contradict_each_other(case: tuple[str, Sides]) -> None:
    type_, sides = case
    declared, registered = sides.declared or (), sides.registered or ()
    difference = rules.compare(type_, declared, registered)
    found = lasting.compare(type_, Sides(declared=declared, registered=registered, held=sides.held))
    assert alarms(found).keys() == rules.normalise(type_, [*difference.added, *difference.removed])


@given(any_cases)
def test_a_side_that_nobody_knows_gives_no_alarm(case: tuple[str, Sides]) -> None:
    type_, sides = case
    for side in Side:
        alone = sides_of({side: getattr(sides, side)}, held=sides.held)
        assert alarms(lasting.compare(type_, alone)) == {}
    unknown = [side for side in Side if getattr(sides, side) is None]
    found = lasting.compare(type_, sides)
    assert all(getattr(verdict, side) is None for verdict in found for side in unknown)


@given(any_cases, st.randoms(use_true_random=False))
def test_neither_order_nor_what_was_compared_before_changes_a_verdict(case: tuple[str, Sides], random: Random) -> None:
    type_, sides = case
    assert set(lasting.compare(type_, sides)) == set(Comparer(rules).compare(type_, shuffled(random, sides)))
    assert lasting.compare(type_, sides) == lasting.compare(type_, sides)


@given(any_cases)
def test_each_scope_of_any_side_has_one_verdict_that_says_where_it_stands(case: tuple[str, Sides]) -> None:
    type_, sides = case
    lists = {side: getattr(sides, side) for side in Side}
    meant = {side: rules.normalise(type_, list_) for side, list_ in lists.items() if list_ is not None}
    found = lasting.compare(type_, sides)
    assert len({verdict.scope for verdict in found}) == len(found)
    assert {verdict.scope for verdict in found} == frozenset().union(*meant.values())
    for verdict in found:
        assert {side: getattr(verdict, side) for side in meant} == {
            side: verdict.scope in meant[side] for side in meant
        }
        assert rules.canonical(type_, verdict.spelled) == verdict.scope


@given(any_cases)
def test_reasons_are_sentences_that_begin_with_where_the_scope_stands(case: tuple[str, Sides]) -> None:
    for verdict in lasting.compare(*case):
        assert re.fullmatch(r"(Declared|In the|Registered|Granted)\b.*\.", verdict.reason)
        assert not re.search(r"  | \.( |$)|\.\.|\bNone\b|[{}]", verdict.reason)


def test_sides_have_a_field_for_each_side() -> None:
    assert [field.name for field in fields(Sides)] == [*Side, "held"]

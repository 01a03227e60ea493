"""Comparing the four sides of a large fleet in memory, against the speed that the ledger needs."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from random import Random

from connectors.core.catalog import load_catalog
from connectors.core.ledger import Comparer, Sides, worst
from connectors.core.scopes import ScopeRules
from tests.bench.places import EMBEDDED
from tests.bench.results import Fact, Finding, Line, Options, Target

CONNECTORS = 100_000
A_SECOND = 50_000
AGAINST_NEED = Target(1)
AT_ONCE = 5_000
CHANGED = 0.1
"""This part of the connectors has a change on one or two sides; not every one makes a real difference."""

WEIGHTS = {
    "gmail": 20,
    "googlecalendar": 12,
    "googledrive": 10,
    "googlesheets": 10,
    "slack": 10,
    "outlook": 8,
    "slackbot": 6,
    "github": 6,
    "hubspot": 6,
    "one_drive": 4,
    "salesforce": 3,
    "linkedin": 2,
    "linear": 2,
    "notion": 1,
}
GOOGLE = ("openid", "email", "profile")
AUTO_ADDED = {
    "slack": ("identify",),
    "outlook": ("User.Read",),
    "one_drive": ("User.Read",),
    "linear": ("read",),
} | {type_: GOOGLE for type_ in WEIGHTS if load_catalog().types[type_].provider == "google"}

Row = tuple[str, dict[str, list[str] | None], bool]


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """The whole fleet with a comparer that knows nothing yet. No database takes part, so it is measured once."""
    if kind != EMBEDDED:
        return
    count = options.sized(CONNECTORS)
    texts = list(_fleet(count))
    _compare(texts[:1])
    rounds = [_compare(texts) for _ in range(options.rounds)]
    seconds = [spent for spent, _ in rounds]
    need = f"{A_SECOND:,} a second"
    yield Line(f"ledger: compare {count} connectors", seconds, need, [count / A_SECOND], AGAINST_NEED)
    speed = count / statistics.median(seconds)
    alarms = rounds[0][1]
    yield Fact(
        f"compared {speed:,.0f} connectors a second in memory on one core, {speed / A_SECOND:.1f} times the target; "
        f"{alarms} of {count} really differ"
    )


def _compare(texts: Sequence[str]) -> tuple[float, int]:
    """Seconds of one core for comparing all, and how many really differ.

    The lists are decoded anew, as from a database: a string computes its hash only once.
    """
    comparer = Comparer(ScopeRules(auto_added=AUTO_ADDED))
    seconds, alarms = 0.0, 0
    for text in texts:
        rows = [(type_, _sides(lists, held=held)) for type_, lists, held in json.loads(text)]
        started = time.process_time()
        found = [comparer.compare(type_, sides) for type_, sides in rows]
        seconds += time.process_time() - started
        alarms += sum(1 for verdicts in found if (gravest := worst(verdicts)) and gravest.is_alarm)
    return seconds, alarms


def _sides(lists: dict[str, list[str] | None], *, held: bool) -> Sides:
    known = {side: tuple(scopes) for side, scopes in lists.items() if scopes is not None}
    return Sides(**known, held=held)


def _fleet(count: int) -> Iterator[str]:
    """Connectors as JSON, a few thousand in each text."""
    random = Random(4)  # noqa: S311 - the same fleet in every run
    for start in range(0, count, AT_ONCE):
        yield json.dumps([_connector(random) for _ in range(min(AT_ONCE, count - start))])


def _connector(random: Random) -> Row:
    """One to twelve scopes; other names, unasked scopes and unknown sides as they occur, and now and then a change."""
    (type_,) = random.choices(list(WEIGHTS), list(WEIGHTS.values()))
    pool = [info.name for info in load_catalog().scopes_for(type_)]
    declared = random.sample(pool, min(len(pool), random.randint(1, 12)))
    if type_ in AUTO_ADDED and random.random() < 0.3:
        declared += [name for name in AUTO_ADDED[type_] if load_catalog().canonical(type_, name) not in declared]
    given = [name for name in declared if name != "offline_access"]
    unasked = [load_catalog().canonical(type_, name) for name in AUTO_ADDED.get(type_, ())]
    held = random.random() < 0.5
    lists: dict[str, list[str] | None] = {
        "declared": declared,
        "repository": declared[:] if random.random() < 0.8 else None,
        "registered": _shuffled(random, [*given, *AUTO_ADDED.get(type_, ())]),
        "granted": _shuffled(random, [*given, *unasked]) if held and type_ != "hubspot" else None,
    }
    if pool and random.random() < CHANGED:
        _change(random, [scopes for scopes in lists.values() if scopes is not None], pool)
    return type_, lists, held


def _shuffled(random: Random, names: list[str]) -> list[str]:
    return random.sample(found := list(dict.fromkeys(names)), len(found))


def _change(random: Random, lists: list[list[str]], pool: list[str]) -> None:
    for scopes in random.sample(lists, random.randint(1, 2)):
        if random.random() < 0.5 and scopes:
            scopes.remove(random.choice(scopes))
        else:
            scopes.append(random.choice(pool))

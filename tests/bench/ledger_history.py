"""The ledger on a date: the same page with a million periods behind it, and with those alone that are still so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.places import new_place
from tests.bench.processes import Portal, portal
from tests.bench.results import Fact, Finding, Line, Options, Target, interleaved

CONNECTORS = 10_000
OF_A_PROJECT = 10
ROWS = 1_000_000

PAGES = {"a year ago": (365, ""), "a year ago, one type": (365, "type=github"), "yesterday": (1, "")}
TARGET = Target(2)
PER_ROUND = 3
"""Requests of each page in a round, of which the fastest counts: a page takes little, and a busy machine shows."""


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Each page in two portals on databases of their own, by turns, through Django's test client as a superuser."""
    with ExitStack() as stack:
        long, short = (_filled(stack, kind, count) for count in (options.sized(ROWS), 0))
        rows = [int(ours.call("ledger_history_side:rows")) for ours in (long, short)]
        for title, (days_ago, query) in PAGES.items():
            sides = [_page(long, days_ago, query), _page(short, days_ago, query)]
            times = interleaved(options.rounds, *sides)
            yield Line(f"history, {title}", times[0], f"{rows[1]:,} periods, not {rows[0]:,}", times[1], TARGET)
        for line in long.call("ledger_history_side:plan", days_ago=365):
            yield Fact(f"plan of the page of a year ago: {line[:110]}")


def _filled(stack: ExitStack, kind: str, rows: int) -> Portal:
    ours = stack.enter_context(portal(stack.enter_context(new_place(kind))))
    projects = CONNECTORS // OF_A_PROJECT
    ours.call("ledger_history_side:prepare", projects=projects, connectors=OF_A_PROJECT, rows=rows)
    return ours


class _page:  # noqa: N801 - reads as a function
    """Seconds for one page of a portal; the first call of all warms templates up."""

    def __init__(self, ours: Portal, days_ago: int, query: str) -> None:
        self._ours = ours
        self._arguments = {"days_ago": days_ago, "query": query}
        self._ours.call("ledger_history_side:page", **self._arguments)

    def __call__(self) -> float:
        return min(float(self._ours.call("ledger_history_side:page", **self._arguments)) for _ in range(PER_ROUND))

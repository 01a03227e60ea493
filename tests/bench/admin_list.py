"""The admin's list of connectors: the same pages over a hundred thousand rows and over a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.places import new_place
from tests.bench.processes import Portal, portal
from tests.bench.results import Fact, Finding, Line, Options, Target, interleaved

MANY = 100_000
FEW = 1_000
CONNECTORS = 10
"""Of each project."""

PAGES = {
    "first page": "",
    "filtered: differing": "agrees=no",
    "search, a tenth hits": "q=project-77",
    "search, no hits": "q=nothing-like-it",
    "page in the middle": "p={middle}",
}
"""Query strings by what they show. One project in ten matches the search, so that both sizes fill a page with hits."""

TARGET = Target(1.5)
PER_ROUND = 3
"""Requests of each page in a round, of which the fastest counts: a page takes little, and a busy machine shows."""


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Each page in two portals on databases of their own, by turns, through Django's test client as a superuser."""
    sizes = (options.sized(MANY), FEW)
    with ExitStack() as stack:
        many, few = (_filled(stack, kind, size) for size in sizes)
        for title, query in PAGES.items():
            sides = [_page(many, sizes[0], query), _page(few, sizes[1], query)]
            times = interleaved(options.rounds, *sides)
            yield Line(f"connectors, {title}", times[0], f"{sizes[1]:,} rows, not {sizes[0]:,}", times[1], TARGET)
        yield Fact(f"queries of the first page: {many.call('admin_side:queries', query='')}")


def _filled(stack: ExitStack, kind: str, connectors: int) -> Portal:
    ours = stack.enter_context(portal(stack.enter_context(new_place(kind))))
    ours.call("admin_side:prepare", projects=connectors // CONNECTORS, connectors=CONNECTORS)
    return ours


class _page:  # noqa: N801 - reads as a function
    """Seconds for one page of a portal; the first call of all warms templates up."""

    def __init__(self, ours: Portal, rows: int, query: str) -> None:
        self._ours = ours
        self._query = query.format(middle=rows // 50 // 2)
        self._ours.call("admin_side:page", query=self._query)

    def __call__(self) -> float:
        return min(float(self._ours.call("admin_side:page", query=self._query)) for _ in range(PER_ROUND))

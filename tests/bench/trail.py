"""The audit trail: each filter of the activity against its first page without any, and how fast the trail verifies.

A million events; ten million with `--scale 10`.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.places import new_place
from tests.bench.processes import Portal, portal
from tests.bench.results import Fact, Finding, Line, Options, Target, interleaved

ROWS = 1_000_000
TARGET = Target(3)
FILTERS = {
    "what, often": "about=connector",
    "what, hardly ever": "about=keys",
    "exactly what": "verb=token.revoked",
    "door": "door=api",
    "person": "person=user7",
    "no such person": "person=nobody",
    "project": "project__id__exact=1",
    "workspace": "workspace__id__exact=1",
    "one object": "object=connector:77",
    "request": "request=request-500",
    "address": "address=192.0.2.7",
    "a week long ago": "at_from_0={old}&at_to_0={less_old}",
    "project and door": "project__id__exact=1&door=api",
    "search": "q=nothing-has-this-name",
}


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """All on one database, which is filled first; the pages through Django's test client as a superuser."""
    with new_place(kind) as place, portal(place) as ours:
        rows = options.sized(ROWS)
        filled = float(ours.call("trail_side:fill", rows=rows))
        yield Fact(f"trail: {rows:,} events written in {filled:.0f} s, {ours.call('trail_side:size')} on disk")
        first = _page(ours, "")
        for title, query in FILTERS.items():
            times = interleaved(options.rounds, _page(ours, query), first)
            yield Line(f"trail, {title}", times[0], "no filter", times[1], TARGET)
        sealed = float(ours.call("trail_side:seal_all"))
        yield Fact(f"trail: sealed in {sealed:.0f} s, {rows / sealed:,.0f} events a second")
        seconds, memory = ours.call("trail_side:verify_all")
        yield Fact(f"trail: verified in {seconds:.0f} s, {rows / seconds:,.0f} events a second, {memory} MB at most")


class _page:  # noqa: N801 - reads as a function
    """Seconds for one page, the fastest of three; the first call warms up."""

    def __init__(self, ours: Portal, query: str) -> None:
        self._ours, self._query = ours, query
        self._ours.call("trail_side:page", query=query)

    def __call__(self) -> float:
        return min(float(self._ours.call("trail_side:page", query=self._query)) for _ in range(3))

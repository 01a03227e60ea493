"""The fleet ledger beside the plain list of connectors, over the same hundred thousand connectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.admin_list import CONNECTORS, MANY, PER_ROUND
from tests.bench.places import new_place
from tests.bench.processes import Portal, portal
from tests.bench.results import Fact, Finding, Line, Options, Target, interleaved

PAGES = {
    "first page": ("ledgerentry_changelist", ""),
    "filtered: differing": ("ledgerentry_changelist", "verdict=differs"),
    "one account": ("ledgerentry_changelist", "account=team-7%40example.com"),
    "search, a tenth hits": ("ledgerentry_changelist", "q=project-77"),
    "not judged": ("ledgerentry_changelist", "sensitivity=unknown"),
}
"""What is shown, by the name of its page and its query string."""

GROUPS = {"by scope": ("ledgerentry_scopes", ""), "by account": ("ledgerentry_accounts", "")}
"""Pages that count the whole fleet: shown for what they take, without a target."""

TARGET = Target(2.0)


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Each page by turns with the first page of the list of connectors, in one portal."""
    with ExitStack() as stack:
        ours = stack.enter_context(portal(stack.enter_context(new_place(kind))))
        rows = options.sized(MANY)
        ours.call("admin_side:prepare", projects=rows // CONNECTORS, connectors=CONNECTORS)
        seconds = float(ours.call("admin_side:fill_ledger"))
        yield Fact(f"the ledger of {rows:,} connectors was made anew in {seconds:.0f} s")
        plain = _page(ours, "connector_changelist", "")
        for title, (name, query) in (PAGES | GROUPS).items():
            times = interleaved(options.rounds, _page(ours, name, query), plain)
            target = TARGET if title in PAGES else None
            yield Line(f"ledger, {title}", times[0], "the list of connectors", times[1], target)


class _page:  # noqa: N801 - reads as a function
    """Seconds for one page; the first call warms templates up."""

    def __init__(self, ours: Portal, name: str, query: str) -> None:
        self._ours, self._name, self._query = ours, name, query
        self()

    def __call__(self) -> float:
        asked = {"query": self._query, "name": self._name}
        return min(float(self._ours.call("admin_side:page", **asked)) for _ in range(PER_ROUND))

"""`make bench`: how fast the portal is, in ratios of things measured side by side.

    make bench                                  everything, at full size
    make bench ARGS="sync export"               some of it
    make bench ARGS="--rounds 3 --scale 0.1"    quicker; targets are not judged below full size
    make bench ARGS="load --minutes 10"         200 people at once in the admin, for ten minutes
    make bench ARGS="faults"                    100 kills while people work: what is wrong at the end

Exits 1 when a target is missed or a measurement fails, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.bench import (
    admin_list,
    export,
    faults,
    git,
    ledger_compare,
    ledger_history,
    ledger_list,
    load,
    places,
    refresh,
    sync,
    trail,
)
from tests.bench.processes import Failed
from tests.bench.results import Finding, Line, Options, shown

BENCHMARKS: dict[str, Callable[[Options, str], Iterator[Finding]]] = {
    "sync": sync.measure,
    "export": export.measure,
    "git": git.measure,
    "admin": admin_list.measure,
    "refresh": refresh.measure,
    "ledger": ledger_compare.measure,
    "fleet": ledger_list.measure,
    "history": ledger_history.measure,
    "trail": trail.measure,
    "load": load.measure,
    "faults": faults.measure,
}
ON_REQUEST = {"load", "faults"}
"""These judge whether anything breaks, and take long."""


@dataclass(slots=True)
class Report:
    """What was found so far, printed as it comes; `missed` counts targets, `failed` measurements that broke."""

    options: Options
    missed: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Say what is measured where, and head the table."""
        say(
            f"{os.cpu_count()} CPU cores, {platform.system()} {platform.machine()}, "
            f"Python {platform.python_version()}; "
            f"medians of {self.options.rounds} rounds, both sides in each round\n"
        )
        row("what", "on", "portal", "compared with", "", "ratio", "target", "")

    def add(self, kind: str, finding: Finding) -> None:
        """Print a line of the table, or keep a note for below it."""
        if isinstance(finding, Line):
            self._line(kind, finding)
        else:
            (self.unmeasured if finding.unmeasured else self.notes).append(f"{kind}: {finding.text}")

    def _line(self, kind: str, line: Line) -> None:
        judged = self.options.full_size and line.target is not None
        if judged and not line.met:
            self.missed += 1
        verdict = ("ok" if line.met else "MISSED") if judged else "not judged" if line.target else ""
        ours, theirs = map(shown, line.figures)
        row(line.what, kind, ours, line.against, theirs, line.ratio, str(line.target or ""), verdict)

    def fail(self, name: str, kind: str, error: Failed) -> None:
        """A measurement broke."""
        self.failed += 1
        self.unmeasured.append(f"{kind}: {name} FAILED: {error}")

    def finish(self) -> None:
        """Notes, what could not be measured, and the line that counts."""
        for note in self.notes:
            say(f"  {note}")
        for reason in self.unmeasured:
            say(f"not measured: {reason}")
        say(f"{self.missed} targets missed, {self.failed} measurements failed, {len(self.unmeasured)} not measured")


def main(arguments: list[str]) -> int:
    """Measure what was asked for; 1 when a target was missed or a measurement failed."""
    chosen = parse(arguments)
    report = Report(Options(chosen.scale, chosen.rounds, chosen.minutes))
    kinds, left_out = places.kinds()
    if chosen.only_embedded:
        kinds, left_out = kinds[:1], []
    if chosen.only_servers:
        kinds = kinds[1:]
    report.unmeasured += left_out
    report.start()
    for name in chosen.benchmarks or [name for name in BENCHMARKS if name not in ON_REQUEST]:
        for kind in kinds:
            try:
                for finding in BENCHMARKS[name](report.options, kind):
                    report.add(kind, finding)
            except Failed as error:
                report.fail(name, kind, error)
    report.finish()
    return 1 if report.missed or report.failed else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; exits with 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description="Measure the portal's speed, in ratios.")
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help=f"of {', '.join(BENCHMARKS)} (all)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is timed (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full size (1)")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the load lasts (1)")
    parser.add_argument("--only-embedded", action="store_true", help="leave out PostgreSQL and Redis")
    parser.add_argument("--only-servers", action="store_true", help="leave out SQLite and the disk")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.benchmarks if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    if chosen.rounds < 1 or min(chosen.scale, chosen.minutes) <= 0:
        parser.error("--rounds must be at least 1, --scale and --minutes above 0")
    return chosen


def row(*cells: str) -> None:
    """One row of the table."""
    widths = (34, 18, 9, 28, 9, 14, 14, 0)
    say("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Writing connector files for a large tree of projects, when nothing and when everything has changed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.bench.places import new_place
from tests.bench.processes import Portal, portal
from tests.bench.results import Finding, Line, Options, Target, interleaved

PROJECTS = 1000
CONNECTORS = 10
UNCHANGED = Target(2)
CHANGED = Target(3)


def measure(options: Options, kind: str) -> Iterator[Finding]:
    """Export of all projects to a directory tree, against a bare loop over the same files."""
    with new_place(kind) as place, portal(place) as ours:
        projects = options.sized(PROJECTS)
        tree = str(place.folder / "tree")
        ours.call("export_side:prepare", tree=tree, projects=projects, connectors=CONNECTORS)
        size = f"{projects} x {CONNECTORS}"
        times = _both(options, ours, "export_unchanged", "read_and_parse", tree)
        yield Line(f"export {size}, nothing changed", times[0], "read and parse the files", times[1], UNCHANGED)
        times = _both(options, ours, "export_changed", "write_all", tree)
        yield Line(f"export {size}, all changed", times[0], "write the files", times[1], CHANGED)


def _both(options: Options, ours: Portal, flow: str, bare: str, tree: str) -> list[list[float]]:
    def side(name: str) -> float:
        return float(ours.call(f"export_side:{name}", tree=tree))

    return interleaved(options.rounds, lambda: side(flow), lambda: side(bare))

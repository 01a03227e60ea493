"""`make test`: all tests on the embedded default, then those that touch database or broker on PostgreSQL and Redis.

The last line adds both runs up: `N passed, N failed, N skipped`. Arguments are handed to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import needs  # noqa: E402

# Pure Python, with a database of their own, or about what holds whatever the database is, such as who may do what: the
# round makes no difference to these.
SAME_ON_ANY_DATABASE = (
    "tests/admin/test_access.py",
    "tests/admin/test_unseen_rows.py",
    "tests/base44",
    "tests/bench",
    "tests/browser",
    "tests/commands/test_shell.py",
    "tests/core",
    "tests/faults",
    "tests/git",
    "tests/matrix",
    "tests/oauth/test_no_secret_leaks.py",
    "tests/servers",
    "tests/test_architecture.py",
    "tests/test_compose.py",
    "tests/test_demo.py",
    "tests/test_runner.py",
    "tests/test_supervisor.py",
)
# About locks on rows, which SQLite does not have; and strange values, of which PostgreSQL takes fewer.
NOT_ON_SQLITE = ("tests/flows/test_lock_order.py", "tests/fuzz/test_urls.py")
NO_TESTS_COLLECTED = 5


@dataclass(slots=True)
class Tally:
    """What one or more runs of pytest came to; `reasons` counts why tests were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Count the other run in."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.reasons += other.reasons

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def main(arguments: list[str]) -> int:
    """Run both rounds, say what was left out, end with the counting line; 1 when anything failed."""
    total, statuses = Tally(), []
    for title, env, options in rounds():
        sys.stdout.write(f"== {title}\n")
        sys.stdout.flush()
        status, tally = run_pytest([*options, *arguments], env)
        statuses.append(status)
        total.add(tally)
    left_out = why_no_second_round()
    if left_out:
        sys.stdout.write(f"Not run on PostgreSQL and Redis: {left_out}\n")
        if "all" in os.environ.get("PORTAL_TEST_REQUIRE", ""):
            total.failed += 1
    for reason, count in sorted(total.reasons.items()):
        sys.stdout.write(f"skipped {count}: {reason}\n")
    broken = [status for status in statuses if status not in (0, 1, NO_TESTS_COLLECTED)]
    if broken and not total.failed:
        total.failed += len(broken)  # pytest itself did not get through: never report that as success
    sys.stdout.write(f"{total}\n")
    return 1 if total.failed else 0


def rounds() -> list[tuple[str, Mapping[str, str], list[str]]]:
    """Title, environment and pytest options of each round that can run here."""
    embedded = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    found: list[tuple[str, Mapping[str, str], list[str]]] = [
        ("SQLite, broker and cache on disk", embedded, _without(NOT_ON_SQLITE))
    ]
    if not why_no_second_round():
        servers = embedded | {"DATABASE_URL": needs.POSTGRES_URL, "REDIS_URL": needs.REDIS_URL}
        found.append(("PostgreSQL and Redis", servers, _without(SAME_ON_ANY_DATABASE)))
    return found


def _without(paths: Iterable[str]) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def why_no_second_round() -> str | None:
    """What is missing for the round on PostgreSQL and Redis, None when both answer."""
    faults = [reason for marker in ("postgres", "redis") if (reason := needs.missing(marker))]
    return " and ".join(faults) or None


def run_pytest(options: list[str], env: Mapping[str, str]) -> tuple[int, Tally]:
    """One run of pytest, its output shown as it comes; returns its exit status and what its report counts."""
    # One more than there are cores: many tests wait for a browser, a worker or a server that they started.
    processes = os.environ.get("TEST_PROCESSES", str(min(4, (os.cpu_count() or 1) + 1)))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", processes, "--dist=worksteal", "--durations=25"]
        command += [f"--junitxml={report}", *options]
        status = subprocess.run(command, cwd=ROOT, env=dict(env), check=False, stdin=subprocess.DEVNULL).returncode
        return status, read_report(report) if report.exists() else Tally()


def read_report(report: Path) -> Tally:
    """Count the cases of a JUnit report: an error in set-up or tear-down is a failure, an expected failure passes."""
    tally = Tally()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - written by pytest a moment ago
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            tally.failed += 1
        elif skipped is not None and skipped.get("type") != "pytest.xfail":
            tally.skipped += 1
            tally.reasons[skipped.get("message", "no reason given")] += 1
        else:
            tally.passed += 1
    return tally


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""`make test` never counts a failure as a success."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs, run

REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure message="no"/></testcase>
<testcase name="c"><error message="set-up"/></testcase>
<testcase name="d"><skipped type="pytest.skip" message="no Chromium"/></testcase>
<testcase name="e"><skipped type="pytest.xfail" message="known"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_counted_with_errors_as_failures(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT, encoding="utf-8")
    assert str(run.read_report(tmp_path / "report.xml")) == "2 passed, 2 failed, 1 skipped"


def test_reasons_for_skipping_are_counted(tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT, encoding="utf-8")
    assert run.read_report(tmp_path / "report.xml").reasons == {"no Chromium": 1}


def runner(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    nowhere = {"TEST_DATABASE_URL": "postgres://127.0.0.1:1/none", "TEST_PROCESSES": "0"}
    return subprocess.run(
        [sys.executable, run.__file__, "-p", "no:cacheprovider", *arguments],
        env={"PATH": os.environ["PATH"], **nowhere, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_last_line_counts_and_what_was_left_out_is_said() -> None:
    done = runner("tests/test_architecture.py", "-k", "relative_imports")
    assert done.stdout.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"
    assert "Not run on PostgreSQL and Redis: no PostgreSQL answers" in done.stdout
    assert done.returncode == 0


def test_a_missing_server_fails_where_everything_is_required() -> None:
    done = runner("tests/test_architecture.py", "-k", "relative_imports", PORTAL_TEST_REQUIRE="all")
    assert done.stdout.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"
    assert done.returncode == 1


def test_a_run_that_pytest_could_not_begin_is_a_failure() -> None:
    done = runner("tests/no_such_file.py")
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"
    assert done.returncode == 1


def test_what_is_missing_is_skipped_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTAL_TEST_REQUIRE", "cli,redis")
    with pytest.raises(pytest.skip.Exception, match="no Chromium"):
        needs.require("browser", "no Chromium")


@pytest.mark.parametrize("wanted", ["all", "browser", "cli, browser"])
def test_what_is_missing_fails_where_it_is_required(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("PORTAL_TEST_REQUIRE", wanted)
    with pytest.raises(pytest.fail.Exception, match="no Chromium"):
        needs.require("browser", "no Chromium")

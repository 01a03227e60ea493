"""What the tests of commands share: a Base44, and a way to run a command and see all it says."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.flows.conftest import base44, client, live_project, live_workspace

__all__ = ["base44", "client", "live_project", "live_workspace"]


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code; `error` is the line that would go to stderr."""

    code: int
    out: str
    err: str
    error: str = ""

    @property
    def document(self) -> Any:
        """The JSON document on stdout."""
        return json.loads(self.out)

    def actions(self) -> dict[str, str]:
        """Action by type, of a command for one project run with --json."""
        return {row["type"]: row["action"] for row in self.document["results"]}


Run = Callable[..., Said]


@pytest.fixture
def run() -> Run:
    """Runs a command in this process: `run("sync_projects", "--all")`."""

    def run_command(*words: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err)
        except SystemExit as leaving:
            return Said(int(leaving.code or 0), out.getvalue(), err.getvalue())
        except CommandError as error:
            return Said(error.returncode, out.getvalue(), err.getvalue(), str(error))
        return Said(0, out.getvalue(), err.getvalue())

    return run_command

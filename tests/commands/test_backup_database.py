"""backup_database at the shell. That a backup can be restored is tried in tests/portal/test_restore.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.models import Event
from tests.commands.conftest import Run

pytestmark = pytest.mark.django_db


def test_a_backup_made_elsewhere_is_put_on_record(run: Run) -> None:
    document = json.loads(run("backup_database", "--made-elsewhere", "nightly", "--json").out)
    assert document == {"backup": "nightly", "bytes": None}
    assert Event.objects.get(verb="backup.made").after == {"backup": "nightly"}


def test_nothing_is_overwritten(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("as it was")
    said = run("backup_database", str(file))
    assert (said.code, file.read_text()) == (1, "as it was")
    assert "no backup is ever overwritten" in said.error


@pytest.mark.parametrize("arguments", [[], ["file", "--made-elsewhere", "nightly"]])
def test_either_a_file_or_a_name_is_asked_for(run: Run, arguments: list[str]) -> None:
    assert run("backup_database", *arguments).code == 2

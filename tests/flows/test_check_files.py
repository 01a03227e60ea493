"""The check tells where files, portal, Base44 and lock file differ, and never calls the same what was not compared."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.core.config_files import ConnectorFile, ProjectFiles, render_new
from connectors.core.errors import ConfigFileError
from connectors.core.lock_file import render
from connectors.core.specs import ConnectorSpec
from connectors.flows.check_files import Agreement, CheckResult, CheckRow, ToCheck, check, check_all
from connectors.flows.compare import RECOMPUTED, recompute, rules_of
from connectors.flows.lock_file import locks_of
from connectors.models import Connector, Project
from tests.factories import make_connector, make_fleet

pytestmark = pytest.mark.django_db

NOW = timezone.now()
SAME, DIFFERS, NOT_COMPARED = Agreement.SAME, Agreement.DIFFERS, Agreement.NOT_COMPARED


def files(root: str = "", /, **values: Any) -> ProjectFiles:
    """The files of a project at `root`: types with their scopes; other names are fields of ProjectFiles."""
    fields = {name: values.pop(name) for name in ("app_id", "problems", "has_directory") if name in values}
    specs = [ConnectorSpec(type_, tuple(scopes)) for type_, scopes in values.items()]
    found = tuple(ConnectorFile(f"base44/connectors/{spec.type}.jsonc", spec, render_new(spec)) for spec in specs)
    return ProjectFiles(
        root, **{"app_id": "", "problems": (), **fields}, name="", connectors_dir="base44/connectors", files=found
    )


def judged(project: Project) -> None:
    """Gives the connectors the state that a sync would have given them."""
    rows = list(project.connectors.all())
    recompute(rows, rules_of(project.workspace))
    Connector.objects.bulk_update(rows, RECOMPUTED)


def checked(project: Project, given: ProjectFiles, lock: bytes | None = None) -> CheckResult:
    judged(project)
    return check(project, given, lock, NOW)


def row_of(result: CheckResult) -> CheckRow:
    (row,) = result.rows
    return row


def test_when_all_say_the_same_nothing_differs(project: Project) -> None:
    make_connector(project, "slack", ["a", "b"], registered=["b", "a"], registered_at=NOW - dt.timedelta(hours=3))
    result = checked(project, files(slack=["b", "a", "a"]))
    assert (result.agrees, result.is_complete) == (True, True)
    assert row_of(result).reason == "File and portal agree. Base44 agrees, read 3 hours ago."


def test_scopes_that_file_and_portal_have_alone_are_named(project: Project) -> None:
    make_connector(project, "slack", ["a", "b"], registered=["a", "b"])
    row = row_of(checked(project, files(slack=["a", "c"])))
    assert (row.files, row.base44, row.action) == (DIFFERS, SAME, DIFFERS)
    assert row.reason.startswith("The file lacks b; the portal lacks c, which is in the file.")


def test_a_connector_without_a_file_differs(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    row = row_of(checked(project, files()))
    assert (row.files, row.file) == (DIFFERS, "")


def test_a_file_without_a_connector_differs(project: Project) -> None:
    row = row_of(checked(project, files("apps/shop", slack=["a"])))
    assert (row.files, row.file) == (DIFFERS, "apps/shop/base44/connectors/slack.jsonc")


def test_what_base44_has_otherwise_differs(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered=["a", "z"])
    row = row_of(checked(project, files(slack=["a"])))
    assert (row.files, row.base44) == (SAME, DIFFERS)
    assert "At Base44 and not declared: z. Base44 was read" in row.reason


def test_what_only_base44_has_differs(project: Project) -> None:
    make_connector(project, "slack", registered=["a"], is_declared=False)
    row = row_of(checked(project, files()))
    assert (row.files, row.base44) == (SAME, DIFFERS)


def test_what_base44_does_not_list_differs(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered_at=NOW)
    assert row_of(checked(project, files(slack=["a"]))).base44 == DIFFERS


def test_before_base44_was_asked_nothing_is_called_in_sync(project: Project) -> None:
    make_connector(project, "slack", ["a"])
    result = checked(project, files(slack=["a"]))
    assert (result.agrees, result.is_complete) == (True, False)
    assert (row_of(result).action, row_of(result).compared_at) == (NOT_COMPARED, None)
    assert "Not compared with Base44, which has not been asked yet." in row_of(result).reason


def test_an_old_look_at_base44_that_could_not_be_repeated_is_told(project: Project) -> None:
    project.sync_error = "Base44 does not answer."
    make_connector(project, "slack", ["a"], registered=["a"], registered_at=NOW - dt.timedelta(days=2))
    assert "read 2 days ago; reading it again has failed." in row_of(checked(project, files(slack=["a"]))).reason


def test_a_look_at_base44_this_minute_is_just_now(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    assert "Base44 agrees, read just now." in row_of(checked(project, files(slack=["a"]))).reason


def test_a_connector_with_only_a_token_left_is_no_difference(project: Project) -> None:
    make_connector(project, "slack", is_declared=False, registered_at=NOW)
    assert checked(project, files()).rows == ()


def test_a_file_that_cannot_be_read_differs_at_its_line(project: Project) -> None:
    broken = ConfigFileError("base44/connectors/slack.jsonc", "expected a comma", line=3, column=1)
    row = row_of(checked(project, files(problems=(broken,))))
    assert (row.action, row.file, row.line) == (DIFFERS, "base44/connectors/slack.jsonc", 3)


def test_beside_a_broken_file_a_connector_is_not_said_to_have_none(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    broken = ConfigFileError("base44/connectors/slack.jsonc", "expected a comma")
    _, row = checked(project, files(problems=(broken,))).rows
    assert row.files == NOT_COMPARED


def test_a_directory_that_is_gone_is_not_taken_for_removed_files(project: Project) -> None:
    make_connector(project, "slack", ["a"])
    result = checked(project, files("apps/shop", has_directory=False))
    assert (result.agrees, result.rows) == (False, ())
    assert result.problem == "There is no connectors directory in the folder apps/shop."


def test_a_project_that_declares_nothing_needs_no_directory(project: Project) -> None:
    assert checked(project, files(has_directory=False)).agrees


def test_files_of_another_app_are_not_compared(project: Project) -> None:
    result = checked(project, files(app_id="other", slack=["a"]))
    assert result.problem == "These files belong to the app other; crm is the app app-crm."


def test_a_lock_file_that_says_what_is_known_agrees(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    row = row_of(checked(project, files(slack=["a"]), render(locks_of([project])[project.pk])))
    assert (row.lock, row.action) == (SAME, SAME)


def test_a_lock_file_from_before_a_change_at_base44_differs(project: Project) -> None:
    connector = make_connector(project, "slack", ["a", "b"], registered=["a"])
    lock = render(locks_of([project])[project.pk])
    Connector.objects.filter(pk=connector.pk).update(registered_scopes=["a", "b"])
    row = row_of(checked(project, files(slack=["a", "b"]), lock))
    assert (row.files, row.base44, row.lock) == (SAME, SAME, DIFFERS)
    assert row.reason.endswith("The lock file is out of date: registered at Base44 now: b.")


def test_a_broken_lock_file_is_named(project: Project) -> None:
    row = row_of(checked(project, files("apps/shop"), b"{"))
    assert (row.file, row.lock) == ("apps/shop/base44/connectors.lock.json", DIFFERS)


def test_without_a_lock_file_none_is_compared(project: Project) -> None:
    make_connector(project, "slack", ["a"], registered=["a"])
    assert row_of(checked(project, files(slack=["a"]))).lock is None


def test_a_lock_file_that_has_to_be_there_and_is_not_differs(project: Project) -> None:
    (result,) = check_all([ToCheck(project, files(), wants_lock=True)], NOW)
    assert (row_of(result).lock, row_of(result).file) == (DIFFERS, "base44/connectors.lock.json")


def test_a_fleet_costs_three_queries(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    asked = [ToCheck(project, files(), b"{}") for project in make_fleet(12, 3)]
    with django_assert_num_queries(3):
        assert len(list(check_all(asked, NOW))) == 12

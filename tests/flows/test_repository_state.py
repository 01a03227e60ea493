"""When a repository counts as failing, and when it is tried again."""

from __future__ import annotations

import datetime as dt

import pytest

from connectors.core.crypto import UnreadableSecretError
from connectors.core.errors import PortalError
from connectors.core.git import Commit, Fault, GitError
from connectors.flows.repository_state import LONGEST_WAIT, note_failure, note_success
from connectors.models import Repository
from tests.factories import make_repository

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 5, 4, 9, 30, tzinfo=dt.UTC)
AWAY = GitError("The host does not answer.", Fault.UNREACHABLE, permanent=False)
COMMIT = Commit("c0ffee" * 6, "", "Mira", "mira@example.com", NOW, "Change files")


def failed(error: PortalError, times: int = 1) -> Repository:
    """A repository that failed so often in a row, as it is stored; a minute passes between two failures."""
    row = make_repository(state=Repository.State.WORKING)
    for number in range(times):
        note_failure(row, error, NOW + dt.timedelta(minutes=number))
    row.refresh_from_db()
    return row


@pytest.mark.parametrize(("times", "state"), [(1, "working"), (2, "working"), (3, "failing")])
def test_what_may_pass_by_itself_counts_as_failing_from_the_third_time(times: int, state: str) -> None:
    row = failed(AWAY, times)
    assert (row.state, row.failures, row.problem) == (state, times, str(AWAY))


@pytest.mark.parametrize(
    "error",
    [GitError("Wrong token.", Fault.CREDENTIAL, permanent=True), UnreadableSecretError("The key is lost.")],
    ids=["credential", "key"],
)
def test_what_no_other_attempt_can_help_counts_as_failing_at_once(error: PortalError) -> None:
    assert failed(error).state == "failing"


def test_it_is_failing_since_the_first_of_the_failures_in_a_row() -> None:
    assert failed(AWAY, 3).failing_since == NOW


def test_that_another_process_works_on_it_is_no_failure() -> None:
    row = failed(GitError("Busy.", Fault.BUSY, permanent=False), 5)
    assert (row.state, row.failures, row.problem) == ("working", 0, "")


def test_the_waits_double_up_to_six_hours() -> None:
    row = make_repository()
    waits = []
    for _ in range(12):
        note_failure(row, AWAY, NOW)
        assert row.next_read_at is not None
        waits.append(row.next_read_at - NOW)
    assert waits[:3] == [dt.timedelta(minutes=minutes) for minutes in (1, 2, 4)]
    assert waits[-1] == LONGEST_WAIT


def test_a_success_ends_the_failures_and_notes_the_commit() -> None:
    row = failed(AWAY, 3)
    note_success(row, COMMIT, NOW)
    row.refresh_from_db()
    assert (row.state, row.failures, row.failing_since, row.problem) == ("working", 0, None, "")
    assert (row.head, row.head_author, row.read_at) == (COMMIT.oid, "Mira <mira@example.com>", NOW)

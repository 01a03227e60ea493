"""What changed between two moments, and the timeline of one connector."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.flows import history_changes
from connectors.flows.history import Side, Wanted
from connectors.flows.history_changes import Difference, SideChange, difference, timeline
from connectors.models import Connector, Project, ScopePeriod
from tests.factories import make_connector, make_period, make_project

NOW = timezone.now()
MAY, JUNE, JULY, AUGUST = (NOW - dt.timedelta(days=days) for days in (120, 90, 60, 30))


@pytest.fixture
def slack(project: Project) -> Connector:
    """Declared since May; chat:write came in June and went in July, users:read came in July."""
    made = make_connector(project, "slack", ["channels:read", "users:read"])
    make_period(made, "declared", "", MAY, begun_through="project.imported", begun_by="ada")
    make_period(made, "declared", "channels:read", MAY, begun_through="project.imported", begun_by="ada")
    make_period(made, "declared", "chat:write", JUNE, JULY, ended_through="connector.changed", ended_by="grace")
    make_period(made, "declared", "users:read", JULY, begun_through="connector.changed", begun_by="grace")
    return made


def between(start: dt.datetime, end: dt.datetime, wanted: Wanted | None = None, **options: object) -> Difference:
    return difference(Project.objects.all(), start, end, wanted, **options)  # type: ignore[arg-type]


def test_the_two_ends_are_compared_and_each_step_between_is_kept(slack: Connector) -> None:
    (row,) = between(MAY, AUGUST).rows
    assert row.net == (SideChange(Side.DECLARED, ("users:read",), ()),)
    assert [(one.at, one.changes) for one in row.moments] == [
        (JULY, (SideChange(Side.DECLARED, ("users:read",), ("chat:write",)),)),
        (JUNE, (SideChange(Side.DECLARED, ("chat:write",), ()),)),
    ]


def test_what_was_taken_back_leaves_no_difference_and_its_steps(slack: Connector) -> None:
    ScopePeriod.objects.filter(scope="users:read").delete()
    (row,) = between(MAY, AUGUST).rows
    assert row.net == ()
    assert len(row.moments) == 2


def test_the_first_moment_does_not_count_and_the_last_does(slack: Connector) -> None:
    assert [one.at for one in between(JUNE, JULY).rows[0].moments] == [JULY]
    assert between(JULY, AUGUST).rows == ()


def test_each_step_names_its_cause_and_who_acted(slack: Connector) -> None:
    (step,) = between(JUNE, JULY).rows[0].moments
    assert (step.through, step.by, step.run) == ("connector.changed", "grace", None)


def test_connectors_without_a_change_are_left_out(slack: Connector) -> None:
    make_period(make_connector(slack.project, "gmail"), "declared", "", MAY)
    assert [row.place.type_slug for row in between(MAY, AUGUST).rows] == ["slack"]


def test_only_changes_of_the_wanted_scope_are_told(slack: Connector) -> None:
    (row,) = between(MAY, AUGUST, Wanted(scopes=("chat:write",))).rows
    assert row.net == ()
    assert [(one.changes[0].added, one.changes[0].removed) for one in row.moments] == [
        ((), ("chat:write",)),
        (("chat:write",), ()),
    ]


def test_pages_follow_each_other_and_the_count_is_of_all(slack: Connector) -> None:
    for slug in ("alpha", "zeta"):
        make_period(make_connector(make_project(slug), "gmail"), "declared", "", JULY)
    first = between(JUNE, AUGUST, limit=2)
    second = between(JUNE, AUGUST, limit=2, after=first.after)
    assert [row.place.label for row in (*first.rows, *second.rows)] == ["Alpha", "Crm", "Zeta"]
    assert (first.count, second.count, second.after) == (3, 3, "")


def test_projects_that_are_gone_come_last_for_those_who_see_everything(slack: Connector) -> None:
    gone = make_project("alpha")
    make_period(make_connector(gone, "gmail"), "declared", "", JUNE, JULY)
    Connector.objects.filter(project=gone).delete()
    gone.delete()
    assert [row.place.label for row in between(JUNE, AUGUST, with_gone=True).rows] == ["Crm", "Alpha"]
    assert [row.place.label for row in between(JUNE, AUGUST).rows] == ["Crm"]


def test_more_changes_than_are_looked_at_are_owned_up_to(slack: Connector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_changes, "MOST_CHANGES", 1)
    assert between(MAY, AUGUST).capped
    assert not between(JULY, AUGUST).capped


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"account": "a@acme.com"}, {"account": "b@acme.com"}, "The account changed from a@acme.com to b@acme.com."),
        ({}, {"is_listed": False}, "Base44 no longer lists it."),
        ({"is_listed": False}, {"account": "a@acme.com"}, "Base44 lists it with the account a@acme.com."),
        ({}, None, "What Base44 lists is no longer followed."),
        (None, {}, "Base44 lists it."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_becomes_of_a_side_is_said_in_words(
    slack: Connector, before: dict[str, Any] | None, now: dict[str, Any] | None, words: str
) -> None:
    if before is not None:
        make_period(slack, "registered", "", JUNE, JULY, **before)
    if now is not None:
        make_period(slack, "registered", "", JULY, **now)
    (row,) = between(JUNE, JULY, Wanted(side="registered")).rows
    assert row.net == (SideChange(Side.REGISTERED, (), (), words, whole="account changed" not in words),)
    assert row.moments[0].changes == row.net


def test_a_timeline_tells_the_newest_first_with_scopes_of_one_cause_together(slack: Connector) -> None:
    found = timeline(slack)
    assert [(one.at, one.by) for one in found.moments] == [(JULY, "grace"), (JUNE, "tests"), (MAY, "ada")]
    assert found.moments[0].changes == (SideChange(Side.DECLARED, ("users:read",), ("chat:write",)),)
    assert found.moments[2].changes == (
        SideChange(Side.DECLARED, ("channels:read",), (), "Declared in the portal.", whole=True),
    )
    assert found.before is None


def test_a_timeline_goes_on_where_it_was_cut(slack: Connector) -> None:
    first = timeline(slack, limit=2)
    assert [one.at for one in first.moments] == [JULY, JUNE]
    second = timeline(slack, before=first.before, limit=2)
    assert [one.at for one in second.moments] == [MAY]
    assert second.before is None


def test_a_timeline_without_history_is_empty(project: Project) -> None:
    assert timeline(make_connector(project, "slack")).moments == ()


def test_a_timeline_knows_nothing_of_the_same_type_elsewhere(slack: Connector) -> None:
    make_period(make_connector(make_project("other"), "slack"), "declared", "", AUGUST)
    assert [one.at for one in timeline(slack).moments] == [JULY, JUNE, MAY]


def test_costs_do_not_grow_with_the_rows(slack: Connector) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            between(MAY, AUGUST)
            timeline(slack)
        return len(seen)

    before = queries()
    for number in range(30):
        made = make_connector(make_project(), "github" if number % 2 else "gmail")
        make_period(made, "declared", "", JUNE, JULY)
        make_period(slack, "registered", f"scope:{number}", JUNE + dt.timedelta(hours=number))
    assert queries() == before == 9

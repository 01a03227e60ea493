"""The ledger as it was at a moment."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connectors.core.ledger import Verdict
from connectors.flows.history import State, Wanted, scopes_called, state_at
from connectors.models import Connector, Project, ScopePeriod
from tests.factories import make_connector, make_period, make_project, make_token

NOW = timezone.now()
MAY = NOW - dt.timedelta(days=100)
JUNE = NOW - dt.timedelta(days=70)
JULY = NOW - dt.timedelta(days=40)

READ, SEND = "https://www.googleapis.com/auth/gmail.readonly", "https://www.googleapis.com/auth/gmail.send"


@pytest.fixture
def gmail(project: Project) -> Connector:
    """Declared since May with one scope, since June with two; Base44 lists the first since May."""
    made = make_connector(project, "gmail", [READ, SEND])
    for side in ("declared", "registered"):
        make_period(made, side, "", MAY)
        make_period(made, side, READ, MAY)
    make_period(made, "declared", SEND, JUNE)
    return made


def at(moment: dt.datetime, wanted: Wanted | None = None, **options: object) -> State:
    return state_at(Project.objects.all(), moment, wanted, **options)  # type: ignore[arg-type]


def types(state: State) -> list[str]:
    return [row.place.type_slug for row in state.rows]


def test_before_anything_was_known_there_was_nothing(gmail: Connector) -> None:
    assert at(MAY - dt.timedelta(seconds=1)).rows == ()


def test_each_side_lists_what_it_listed_then(gmail: Connector) -> None:
    (row,) = at(MAY).rows
    assert row.standing.listed == {"declared": {READ}, "registered": {READ}}
    (row,) = at(JUNE).rows
    assert row.standing.listed == {"declared": {READ, SEND}, "registered": {READ}}


def test_a_side_that_nobody_knew_then_is_not_known_now(gmail: Connector) -> None:
    sides = at(MAY).rows[0].standing.sides()
    assert (sides.repository, sides.granted) == (None, None)


def test_verdicts_follow_from_what_was_listed_then(gmail: Connector) -> None:
    assert {one.scope: one.verdict for one in at(MAY).rows[0].verdicts} == {READ: Verdict.AGREES}
    assert {one.scope: one.verdict for one in at(JUNE).rows[0].verdicts} == {
        READ: Verdict.AGREES,
        SEND: Verdict.MISSING,
    }


def test_what_had_ended_by_then_is_gone_from_that_very_moment(gmail: Connector) -> None:
    ScopePeriod.objects.filter(scope=SEND).update(until=JULY)
    assert SEND in at(JULY - dt.timedelta(microseconds=1)).rows[0].standing.listed["declared"]
    assert SEND not in at(JULY).rows[0].standing.listed["declared"]


def test_a_connector_that_was_deleted_since_is_there(gmail: Connector) -> None:
    ScopePeriod.objects.update(until=JULY)
    gmail.delete()
    (row,) = at(JUNE).rows
    assert (row.place.type_slug, row.place.connector_id) == ("gmail", None)
    assert at(JULY).rows == ()


def test_a_project_that_was_deleted_since_is_there_for_those_who_see_everything(gmail: Connector) -> None:
    project = gmail.project
    ScopePeriod.objects.update(until=JULY)
    gmail.delete()
    project.delete()
    (row,) = at(JUNE, with_gone=True).rows
    assert (row.place.project, row.place.label, row.place.type_slug) == (None, "Crm", "gmail")
    assert row.standing.listed["declared"] == {READ, SEND}
    assert at(JUNE).rows == ()


def test_a_side_that_was_known_to_lack_the_connector_is_no_connector(project: Project) -> None:
    made = make_connector(project, "slack")
    make_period(made, "registered", "", MAY, is_listed=False)
    assert at(JUNE).rows == ()


def test_a_token_whose_provider_says_nothing_leaves_the_scope_open(gmail: Connector) -> None:
    make_token(gmail, authorised_at=MAY)
    assert {one.verdict for one in at(MAY).rows[0].verdicts} == {Verdict.UNKNOWABLE}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(type_slug="gmail"), ["gmail"]),
        (Wanted(scopes=(SEND,)), ["gmail"]),
        (Wanted(scopes=(SEND,), side="registered"), []),
        (Wanted(scopes=("nothing.like.it",)), []),
        (Wanted(side="granted"), []),
        (Wanted(side="registered"), ["gmail"]),
        (Wanted(type_slug="slack"), ["slack"]),
    ],
    ids=str,
)
def test_filters_look_at_what_was_so_then(gmail: Connector, wanted: Wanted, found: list[str]) -> None:
    make_period(make_connector(gmail.project, "slack"), "declared", "", MAY)
    assert types(at(JUNE, wanted)) == found


def test_with_a_scope_wanted_only_its_verdict_is_given(gmail: Connector) -> None:
    assert [one.scope for one in at(JUNE, Wanted(scopes=(SEND,))).rows[0].verdicts] == [SEND]


def test_pages_follow_each_other_by_project_and_type_and_end_with_what_is_gone(project: Project) -> None:
    for slug in ("alpha", "beta"):
        for type_ in ("slack", "github"):
            make_period(make_connector(make_or_get(slug), type_), "declared", "", MAY)
    gone = make_or_get("zeta")
    for type_ in ("notion", "gmail"):
        make_period(make_connector(gone, type_), "declared", "", MAY)
    Connector.objects.filter(project=gone).delete()
    gone.delete()
    seen, after = [], ""
    while True:
        page = at(JUNE, after=after, limit=2, with_gone=True)
        seen += [(row.place.label, row.place.type_slug) for row in page.rows]
        if not page.after:
            break
        after = page.after
    living = [(name, type_) for name in ("Alpha", "Beta") for type_ in ("github", "slack")]
    assert seen == [*living, ("Zeta", "gmail"), ("Zeta", "notion")]


def make_or_get(slug: str) -> Project:
    return Project.objects.filter(slug=slug).first() or make_project(slug)


def test_a_page_costs_the_same_queries_however_many_connectors_it_has(gmail: Connector) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            at(JUNE)
        return len(seen)

    before = queries()
    for number in range(20):
        make_period(make_connector(make_project(), "slack" if number % 2 else "github"), "declared", "", MAY)
    assert queries() == before == 4


def test_a_part_of_a_name_means_every_known_scope_that_contains_it(gmail: Connector) -> None:
    assert SEND in scopes_called("gmail.send")
    assert scopes_called("never.heard.of") == ("never.heard.of",)
    assert scopes_called("  ") == ()

"""Access reviews: what opening freezes and for whom, what a decision needs, and when a review may be closed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.declare import declare
from connectors.flows.review_choices import narrower_than
from connectors.flows.review_snapshot import EVIDENCE_FIELDS, FROZEN, evidence_rows, verify
from connectors.flows.reviews import (
    Ruling,
    by_owner,
    by_project,
    close_review,
    decide,
    delete_draft,
    items_to_decide,
    open_review,
    prospect,
)
from connectors.models import Connector, Event, LedgerEntry, Project, ReviewCampaign, ReviewItem, Sensitivity
from tests.factories import SHELL, make_connector, make_fleet, make_project, make_workspace
from tests.flows.reviewing import ALL_MAIL, READ, SEND, acting, draft, in_ledger, item, opened, rule

Decision, Outcome = ReviewItem.Decision, ReviewItem.Outcome


def open_now(campaign: ReviewCampaign) -> None:
    open_review(campaign, LedgerEntry.objects.all(), SHELL, now=timezone.now())
    campaign.refresh_from_db()


def close_now(campaign: ReviewCampaign, *, undecided_may_stay: bool = False) -> None:
    close_review(campaign, SHELL, now=timezone.now(), undecided_may_stay=undecided_may_stay)


# --- Opening -----------------------------------------------------------------------------------------------------


def test_opening_freezes_every_entry_of_the_ledger_with_all_that_it_says(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    entry, row = LedgerEntry.objects.get(scope=SEND), item(campaign)
    same = ["declared", "repository", "registered", "granted", "verdict", "sensitivity", "account", "person", "since"]
    assert [getattr(row, name) for name in same] == [getattr(entry, name) for name in same]
    assert (row.finding, row.project_label, row.type_slug) == (entry.reason, "Crm", "gmail")
    assert row.title
    assert campaign.item_count == 2


def test_what_is_frozen_stays_as_it_was(project: Project) -> None:
    connector = in_ledger(project)
    campaign = opened()
    declare(project, "gmail", [READ], {}, SHELL)
    Project.objects.update(name="Renamed")
    ledger.note([connector.pk], SHELL, "connector.changed")
    assert item(campaign).declared is True
    assert item(campaign).project_label == "Crm"
    assert verify(campaign).matches


def test_evidence_outlives_the_connector_and_its_project(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    Connector.objects.all().delete()
    project.delete()
    assert len(list(evidence_rows(campaign))) == 2
    assert verify(campaign).matches


@pytest.mark.parametrize(
    ("choice", "left"),
    [
        ({"environment": Project.Environment.PRODUCTION}, ["live"]),
        ({"environment": Project.Environment.STAGING}, ["trial"]),
        ({}, ["live", "trial"]),
    ],
)
def test_a_review_is_about_the_environment_that_it_names(choice: dict[str, Any], left: list[str], db: None) -> None:
    in_ledger(make_project("live", environment="production"), scopes=[SEND])
    in_ledger(make_project("trial", environment="staging"), scopes=[SEND])
    campaign = opened(**choice)
    assert sorted(campaign.items.values_list("project__slug", flat=True)) == left


def test_a_review_is_about_the_workspace_that_it_names(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    in_ledger(make_project("other", workspace=make_workspace("Elsewhere")), scopes=[SEND])
    assert opened(workspace=project.workspace).items.get().project == project


def test_scopes_that_nobody_has_judged_are_reviewed_with_the_grave_ones(project: Project) -> None:
    in_ledger(project, scopes=["openid", ALL_MAIL, "https://example.com/own-scope"])
    campaign = opened(min_sensitivity=Sensitivity.HIGH)
    assert set(campaign.items.values_list("scope", flat=True)) == {ALL_MAIL, "https://example.com/own-scope"}


def test_the_owner_of_the_project_decides(project: Project, viewer: User) -> None:
    Project.objects.update(owner=viewer)
    in_ledger(project)
    assert {row.owner for row in opened().items.all()} == {viewer}


@pytest.mark.parametrize("gone", [True, False])
def test_without_an_owner_who_can_log_in_whoever_it_escalates_to_decides(
    gone: bool, project: Project, operator: User
) -> None:
    if gone:
        Project.objects.update(owner=User.objects.create_user("gone", is_active=False))
    in_ledger(project, scopes=[SEND])
    row = item(opened(escalate_to=operator))
    assert (row.owner, row.owner_label) == (operator, "operator")


def test_where_nobody_is_left_the_scope_is_assigned_to_nobody(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    row = item(opened())
    assert (row.owner, row.owner_label) == (None, "")


def test_connectors_that_the_ledger_lacks_are_added_before_anything_is_frozen(project: Project) -> None:
    make_connector(project, "gmail", [SEND])
    assert opened().items.get().scope == SEND


def test_a_review_is_opened_once(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    with pytest.raises(Refused, match="opened before"):
        open_now(campaign)
    assert campaign.items.count() == 2


def test_a_review_of_nothing_stays_a_draft(project: Project) -> None:
    campaign = draft()
    with pytest.raises(Refused, match="No scope fits"):
        open_now(campaign)
    campaign.refresh_from_db()
    assert campaign.state == ReviewCampaign.State.DRAFT


def test_a_review_whose_day_is_over_cannot_be_opened(project: Project) -> None:
    in_ledger(project)
    with pytest.raises(Refused, match="has passed"):
        open_now(draft(due_at=timezone.now() - dt.timedelta(minutes=1)))


def test_thousands_of_scopes_are_frozen_in_a_few_statements(
    project: Project, django_assert_max_num_queries: Any
) -> None:
    make_fleet(500, 5)
    ledger.catch_up()
    campaign = draft()
    with django_assert_max_num_queries(200):  # SQLite takes 999 values in one statement
        open_now(campaign)
    assert campaign.item_count == 5_000
    assert verify(campaign).matches


def test_the_prospect_says_what_would_be_frozen_and_who_would_decide(project: Project, viewer: User) -> None:
    Project.objects.update(owner=viewer)
    in_ledger(project)
    in_ledger(make_project("orphan"), scopes=[SEND])
    found = prospect(draft(), LedgerEntry.objects.all())
    assert (found.scopes, found.connectors, found.projects) == (3, 2, 2)
    assert [(one.user, one.scopes, one.hindrance) for one in found.deciders] == [(viewer, 2, "")]
    assert (found.unowned, found.unowned_count, found.unassigned) == (("Orphan",), 1, 1)


def test_the_prospect_names_owners_who_cannot_enter_the_portal(project: Project, stranger: User) -> None:
    Project.objects.update(owner=stranger)
    in_ledger(project)
    (decider,) = prospect(draft(), LedgerEntry.objects.all()).deciders
    assert "may not enter" in decider.hindrance


def test_the_prospect_costs_the_same_for_many_projects(
    project: Project, viewer: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    make_fleet(40, 2)
    Project.objects.update(owner=viewer)
    ledger.catch_up()
    campaign = draft()
    with django_assert_num_queries(4):
        assert prospect(campaign, LedgerEntry.objects.all()).projects == 40


# --- The fingerprint ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FROZEN)
def test_the_fingerprint_notices_a_change_of_any_frozen_column(name: str, project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    other: Any = {"since": timezone.now(), "sensitivity": 1 if item(campaign).sensitivity != 1 else 0}
    for flag in ("declared", "repository", "registered", "granted"):
        other[flag] = not getattr(item(campaign), flag)
    campaign.items.filter(scope=SEND).update(**{name: other.get(name, "changed")})
    assert not verify(campaign).matches


def test_the_fingerprint_notices_a_row_that_is_gone(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    campaign.items.filter(scope=SEND).delete()
    assert not verify(campaign).matches


def test_decisions_leave_the_fingerprint_alone(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE)
    assert verify(campaign).matches


def test_evidence_has_one_row_for_each_scope_with_decision_and_fingerprint(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    campaign = opened()
    rule(campaign, Decision.KEEP, reason="It answers tickets.")
    (row,) = evidence_rows(campaign)
    found = dict(zip((*EVIDENCE_FIELDS, "digest"), row, strict=True))
    assert (found["scope"], found["decision"], found["decision_reason"]) == (SEND, "keep", "It answers tickets.")
    assert (found["sensitivity"], found["decided_by_label"]) == ("high", "tests")
    assert found["digest"] == campaign.snapshot_digest


# --- Deciding ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", [Decision.NARROW, Decision.REMOVE])
def test_what_takes_something_away_needs_a_reason(decision: str, project: Project) -> None:
    in_ledger(project, scopes=["openid", ALL_MAIL])
    campaign = opened()
    with pytest.raises(Refused, match="Say why"):
        rule(campaign, decision, ALL_MAIL, reason=" ", narrow_to=READ)
    assert item(campaign, ALL_MAIL).decision == ""


@pytest.mark.parametrize(("scope", "needs"), [(ALL_MAIL, True), (SEND, True), ("openid", False)])
def test_keeping_needs_a_reason_for_grave_scopes_alone(scope: str, needs: bool, project: Project) -> None:
    in_ledger(project, scopes=[scope])
    campaign = opened()
    if needs:
        with pytest.raises(Refused, match="Say why"):
            rule(campaign, Decision.KEEP, reason="")
    else:
        assert rule(campaign, Decision.KEEP, reason="") == 1


def test_a_decision_says_who_made_it_and_is_on_record(project: Project, operator: User) -> None:
    in_ledger(project, scopes=[SEND])
    campaign = opened()
    rule(campaign, Decision.REMOVE, reason="Nobody sends mail.", by=acting(operator))
    row = item(campaign)
    assert (row.decided_by, row.decided_by_label, row.outcome) == (operator, "operator", Outcome.WAITING)
    event = Event.objects.get(verb="review.decided")
    assert (event.project, event.after["scope"], event.after["decision"]) == (project, SEND, "remove")
    assert event.note == "Nobody sends mail."


def test_a_decision_can_be_changed_and_taken_back_while_the_review_is_open(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    campaign = opened()
    rule(campaign, Decision.REMOVE)
    rule(campaign, Decision.KEEP)
    assert (item(campaign).decision, item(campaign).outcome) == ("keep", "")
    rule(campaign, Decision.NONE)
    row = item(campaign)
    campaign.refresh_from_db()
    assert (row.decision, row.decided_at, row.decision_reason, campaign.decided_count) == ("", None, "", 0)


def test_a_scope_is_narrowed_to_one_that_it_contains(project: Project) -> None:
    in_ledger(project, scopes=[ALL_MAIL])
    campaign = opened()
    rule(campaign, Decision.NARROW, narrow_to=READ)
    assert item(campaign, ALL_MAIL).narrow_to == READ


@pytest.mark.parametrize("narrow_to", ["", ALL_MAIL, "https://www.googleapis.com/auth/drive", "nonsense"])
def test_a_scope_is_not_narrowed_to_what_is_not_narrower(narrow_to: str, project: Project) -> None:
    in_ledger(project, scopes=[ALL_MAIL])
    campaign = opened()
    with pytest.raises(Refused, match="Choose the scope"):
        rule(campaign, Decision.NARROW, narrow_to=narrow_to)


def test_an_unknown_decision_is_refused(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    with pytest.raises(Refused, match="Choose keep"):
        rule(opened(), "shred")


def test_one_unfit_scope_leaves_all_of_a_bulk_decision_undone(project: Project) -> None:
    in_ledger(project, scopes=["openid", SEND])
    campaign = opened()
    with pytest.raises(Refused, match="Say why"):
        rule(campaign, Decision.KEEP, reason="")
    assert not campaign.items.exclude(decision="").exists()


def test_a_scope_of_another_review_is_not_decided_with(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    other, campaign = opened("Other"), opened("This")
    assert decide(campaign, [item(other).pk], Ruling("keep", "x"), SHELL, now=timezone.now()) == 0
    assert item(other).decision == ""


def test_owners_decide_on_their_own_scopes_and_reviewers_on_all(
    project: Project, viewer: User, operator: User, stranger: User
) -> None:
    Project.objects.update(owner=viewer)
    in_ledger(project)
    in_ledger(make_project("orphan"), scopes=[SEND])
    campaign = opened()
    counts = [items_to_decide(campaign, user).count() for user in (viewer, operator, stranger)]
    assert counts == [2, 3, 0]


def test_what_a_broad_scope_contains_is_offered_before_anything_else() -> None:
    found = narrower_than("gmail", ALL_MAIL)
    assert READ in [info.name for info in found.contained]
    assert ALL_MAIL not in [info.name for info in found.all]
    assert not {info.name for info in found.contained} & {info.name for info in found.others}
    ranks = [info.sensitivity.rank for info in found.contained]
    assert ranks == sorted(ranks)


def test_a_harmless_scope_can_be_narrowed_to_nothing_graver() -> None:
    assert all(info.sensitivity.rank < 2 for info in narrower_than("gmail", READ).others)


# --- Progress and the end ----------------------------------------------------------------------------------------


def test_progress_is_told_by_owner_and_by_project(project: Project, viewer: User) -> None:
    Project.objects.update(owner=viewer)
    in_ledger(project)
    in_ledger(make_project("orphan"), scopes=[SEND])
    campaign = opened()
    rule(campaign, Decision.KEEP, READ)
    campaign.refresh_from_db()
    assert (campaign.item_count, campaign.decided_count, campaign.undecided_count) == (3, 1, 2)
    assert [(one.label, one.total, one.decided) for one in by_owner(campaign.items.all())] == [
        ("", 1, 0),
        ("viewer", 2, 1),
    ]
    assert [(one.label, one.undecided) for one in by_project(campaign.items.all())] == [("Crm", 1), ("Orphan", 1)]


def test_a_review_with_undecided_scopes_is_closed_only_when_that_is_said_to_be_in_order(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    with pytest.raises(Refused, match="2 scopes are undecided"):
        close_now(campaign)
    close_now(campaign, undecided_may_stay=True)
    assert Event.objects.get(verb="review.closed").after == {"decided": 0, "undecided": 2}


def test_nothing_is_decided_once_a_review_is_closed(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.KEEP)
    close_now(campaign)
    with pytest.raises(Refused, match="closed"):
        rule(campaign, Decision.REMOVE)
    with pytest.raises(Refused, match="Only an open review"):
        close_now(campaign)


def test_a_draft_can_be_deleted_and_evidence_cannot(project: Project) -> None:
    delete_draft(draft("Never"), SHELL)
    in_ledger(project)
    with pytest.raises(Refused, match="evidence"):
        delete_draft(opened(), SHELL)
    assert [campaign.name for campaign in ReviewCampaign.objects.all()] == ["Autumn"]

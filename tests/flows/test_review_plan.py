"""What a review decided, carried out: declarations for the plans, refusals noted scope by scope, outcomes."""

from __future__ import annotations

import pytest
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows import ledger, review_plan
from connectors.flows.review_plan import Carried, carry_out, plans_of, refresh_outcomes
from connectors.models import Connector, Event, PolicyRule, Project, ReviewCampaign, ReviewItem
from tests.factories import SHELL, make_project, make_token
from tests.flows.reviewing import ALL_MAIL, EMAIL, READ, SEND, draft, in_ledger, item, opened, rule

Decision, Outcome = ReviewItem.Decision, ReviewItem.Outcome


def carry(campaign: ReviewCampaign, *, again: bool = False) -> Carried:
    return carry_out(campaign, Connector.objects.all(), SHELL, again=again)


def test_a_removed_scope_is_declared_no_more_and_a_plan_takes_it_away(project: Project) -> None:
    connector = in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    assert carry(campaign) == Carried(declared=1, failed=0, left=0)
    connector.refresh_from_db()
    assert (connector.scopes, connector.sync_state) == ([READ], Connector.SyncState.DIFFERS)
    assert item(campaign).outcome == Outcome.DECLARED
    assert item(campaign, READ).outcome == ""
    assert Event.objects.filter(verb="review.carried_out").exists()


def test_a_narrowed_scope_stands_where_the_wide_one_stood(project: Project) -> None:
    connector = in_ledger(project, scopes=["openid", ALL_MAIL, "profile"])
    campaign = opened()
    rule(campaign, Decision.NARROW, ALL_MAIL, narrow_to=READ)
    carry(campaign)
    connector.refresh_from_db()
    assert connector.scopes == ["openid", READ, "profile"]


def test_a_scope_that_is_declared_under_another_name_is_found(project: Project) -> None:
    connector = in_ledger(project, scopes=["email", READ])
    campaign = opened()
    rule(campaign, Decision.REMOVE, EMAIL)
    carry(campaign)
    connector.refresh_from_db()
    assert connector.scopes == [READ]


def test_narrowing_to_a_scope_that_is_declared_already_does_not_repeat_it(project: Project) -> None:
    connector = in_ledger(project, scopes=[READ, ALL_MAIL])
    campaign = opened()
    rule(campaign, Decision.NARROW, ALL_MAIL, narrow_to=READ)
    carry(campaign)
    connector.refresh_from_db()
    assert connector.scopes == [READ]


def test_a_scope_that_is_to_go_does_not_come_back_as_a_narrower_one(project: Project) -> None:
    connector = in_ledger(project, scopes=[ALL_MAIL, READ, "openid"])
    campaign = opened()
    rule(campaign, Decision.NARROW, ALL_MAIL, narrow_to=READ)
    rule(campaign, Decision.REMOVE, READ)
    carry(campaign)
    connector.refresh_from_db()
    assert connector.scopes == ["openid"]


def test_carrying_out_twice_declares_once(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    assert carry(campaign) == Carried(declared=0, failed=0, left=0)
    assert Event.objects.filter(verb="connector.changed").count() == 1


def test_what_was_carried_out_is_decided_no_more(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    with pytest.raises(Refused, match="carried out"):
        rule(campaign, Decision.KEEP, SEND)


def test_a_review_that_was_never_opened_has_nothing_to_carry_out(project: Project) -> None:
    with pytest.raises(Refused, match="not been opened"):
        carry(draft())


def test_a_scope_that_base44_alone_has_is_left_to_the_plan(project: Project) -> None:
    connector = in_ledger(project, scopes=[READ], registered=[READ, SEND])
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    connector.refresh_from_db()
    assert connector.scopes == [READ]
    assert (item(campaign).outcome, item(campaign).outcome_note) == (Outcome.DECLARED, review_plan.IN_PLAN)


def test_narrowing_a_scope_that_base44_alone_has_declares_the_narrower_one(project: Project) -> None:
    connector = in_ledger(project, scopes=["openid"], registered=["openid", ALL_MAIL])
    campaign = opened()
    rule(campaign, Decision.NARROW, ALL_MAIL, narrow_to=READ)
    carry(campaign)
    connector.refresh_from_db()
    assert connector.scopes == ["openid", READ]


def test_a_scope_that_only_the_token_has_says_what_helps(project: Project) -> None:
    connector = in_ledger(project, scopes=[READ])
    make_token(connector, granted_scopes=[READ, SEND])
    ledger.note([connector.pk], SHELL, "token.authorised")
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    assert carry(campaign).failed == 1
    assert item(campaign).outcome_note == review_plan.ONLY_GRANTED


def test_a_scope_that_the_token_keeps_says_so(project: Project) -> None:
    connector = in_ledger(project)
    make_token(connector, granted_scopes=[READ, SEND])
    ledger.note([connector.pk], SHELL, "token.authorised")
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    assert (item(campaign).outcome, item(campaign).outcome_note) == (Outcome.DECLARED, review_plan.STILL_HELD)


def test_a_scope_that_base44_adds_by_itself_cannot_be_taken_away(project: Project) -> None:
    project.workspace.auto_added_scopes = {"gmail": [EMAIL]}
    project.workspace.save()
    in_ledger(project, scopes=[READ], registered=[READ, EMAIL])
    campaign = opened()
    rule(campaign, Decision.REMOVE, EMAIL)
    carry(campaign)
    assert item(campaign, EMAIL).outcome_note == review_plan.BY_ITSELF


def test_a_connector_that_the_portal_does_not_declare_says_what_helps(project: Project) -> None:
    in_ledger(project, scopes=[], registered=[SEND], is_declared=False)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    assert item(campaign).outcome_note == review_plan.NOT_DECLARED


def test_a_connector_of_which_nothing_is_left_is_undeclared_for_the_plan_to_remove(project: Project) -> None:
    connector = in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE)
    assert carry(campaign).declared == 2
    connector.refresh_from_db()
    assert connector.is_declared is False
    assert item(campaign).outcome_note == review_plan.REMOVE_WHOLE


def test_a_connector_with_a_token_is_not_deleted_by_a_review(project: Project) -> None:
    connector = in_ledger(project, scopes=[SEND], registered=None)
    make_token(connector)
    campaign = opened()
    rule(campaign, Decision.REMOVE)
    carry(campaign)
    assert Connector.objects.filter(pk=connector.pk, is_declared=True).exists()
    assert (item(campaign).outcome, item(campaign).outcome_note) == (Outcome.FAILED, review_plan.LAST_ONE)


def test_a_connector_that_base44_does_not_have_goes_with_its_last_scope(project: Project) -> None:
    in_ledger(project, scopes=[SEND], registered=None)
    campaign = opened()
    rule(campaign, Decision.REMOVE)
    carry(campaign)
    assert not Connector.objects.exists()
    assert item(campaign).outcome == Outcome.DONE


def test_a_refusal_by_a_policy_is_noted_and_holds_up_no_other_connector(project: Project) -> None:
    in_ledger(project, scopes=[ALL_MAIL])
    other = in_ledger(make_project("other"), scopes=[ALL_MAIL, "openid"])
    campaign = opened()
    calendar = "https://www.googleapis.com/auth/calendar"  # nothing that the old scope contains: it would be new
    PolicyRule.objects.create(name="No calendars", effect="block", is_enabled=True, scope_patterns=[calendar])
    campaign.items.filter(project=project).update(decision="narrow", narrow_to=calendar, outcome="waiting")
    campaign.items.filter(connector=other, scope=ALL_MAIL).update(decision="remove", outcome="waiting")
    assert carry(campaign) == Carried(declared=1, failed=1, left=0)
    failed = item(campaign, ALL_MAIL, project=project)
    assert failed.outcome == Outcome.FAILED
    assert "No calendars" in failed.outcome_note


def test_what_failed_is_tried_again_when_somebody_asks(project: Project) -> None:
    connector = in_ledger(project, scopes=[], registered=[SEND, READ], is_declared=False)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    Connector.objects.filter(pk=connector.pk).update(is_declared=True, scopes=[SEND, READ])
    ledger.note([connector.pk], SHELL, "connector.declared")
    assert carry(campaign) == Carried(0, 0, 0)
    assert carry(campaign, again=True) == Carried(1, 0, 0)


def test_connectors_that_one_may_not_see_are_left_alone(project: Project) -> None:
    in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    assert carry_out(campaign, Connector.objects.none(), SHELL) == Carried(0, 0, 0)
    assert item(campaign).outcome == Outcome.WAITING


def test_a_request_carries_out_only_so_many_connectors(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_plan, "AT_ONCE", 1)
    in_ledger(project)
    in_ledger(make_project("other"))
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    assert carry(campaign) == Carried(declared=1, failed=0, left=1)
    assert carry(campaign) == Carried(declared=1, failed=0, left=0)


def test_a_decision_is_done_when_nothing_lists_the_scope_any_more(project: Project) -> None:
    connector = in_ledger(project)
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    carry(campaign)
    assert refresh_outcomes() == 0
    Connector.objects.filter(pk=connector.pk).update(registered_scopes=[READ], registered_at=timezone.now())
    ledger.note([connector.pk], SHELL, "project.synced")
    assert refresh_outcomes() == 1
    assert item(campaign).outcome == Outcome.DONE
    assert item(campaign, READ).outcome == ""


def test_the_projects_whose_plans_matter_are_listed_those_with_work_left_first(project: Project) -> None:
    in_ledger(project, scopes=[SEND])
    in_ledger(make_project("other"))
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    campaign.items.filter(project=project).update(outcome="done")
    plans = [(one.name, one.waiting, one.done) for one in plans_of(campaign.items.all())]
    assert plans == [("Other", 1, 0), ("Crm", 0, 1)]

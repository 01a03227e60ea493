"""The pages of access reviews: who gets to them, what they say, and that each form does what a browser would post."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.models import Connector, Event, Project, ReviewCampaign, ReviewItem
from tests.admin.html import parse
from tests.factories import make_project, make_user
from tests.flows.reviewing import ALL_MAIL, READ, SEND, acting, draft, in_ledger, item, opened, rule
from tests.teams import browser_of

Decision, Outcome = ReviewItem.Decision, ReviewItem.Outcome


def address(page: str, campaign: ReviewCampaign, **query: str) -> str:
    return reverse(f"admin:connectors_reviewcampaign_{page}", args=[campaign.pk], query=query or None)


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


@pytest.fixture
def owned(project: Project, viewer: User) -> Project:
    """A project of the viewer's, who has no permission of the portal; two scopes of it are in the ledger."""
    Project.objects.update(owner=viewer)
    in_ledger(project)
    return project


def post_row(client: Client, campaign: ReviewCampaign, scope: str = SEND, **data: str) -> Any:
    values = {"item": str(item(campaign, scope).pk), "action": "save", "reason": "It answers tickets.", **data}
    return client.post(address("decide", campaign, owner="all"), values)


# --- The form and the list ---------------------------------------------------------------------------------------


def test_a_new_review_leads_to_the_page_that_opens_it(browser: Client) -> None:
    due = timezone.now() + dt.timedelta(days=9)
    data = {
        "name": "Spring",
        "due_at_0": f"{due:%Y-%m-%d}",
        "due_at_1": "12:00:00",
        "remind_every_days": "7",
        "min_sensitivity": "2",
    }
    answer = browser.post(reverse("admin:connectors_reviewcampaign_add"), data)
    campaign = ReviewCampaign.objects.get()
    assert answer["Location"] == address("open", campaign)
    assert Event.objects.get(verb="review.added").after["min_sensitivity"] == 2


def test_a_due_day_in_the_past_is_not_taken(browser: Client) -> None:
    data = {"name": "Late", "due_at_0": "2020-01-01", "due_at_1": "12:00:00", "remind_every_days": "7"}
    answer = browser.post(reverse("admin:connectors_reviewcampaign_add"), data)
    assert answer.status_code == 200
    assert not ReviewCampaign.objects.exists()


def test_what_a_review_is_about_cannot_be_changed_once_it_is_open(browser: Client, owned: Project) -> None:
    campaign = opened()
    form = parse(browser.get(address("change", campaign)).content).fields()
    assert "environment" not in form
    browser.post(address("change", campaign), {**form, "environment": "production", "remind_every_days": "3"})
    campaign.refresh_from_db()
    assert (campaign.environment, campaign.remind_every_days) == ("", 3)


def test_a_closed_review_has_no_form_to_save(browser: Client, owned: Project) -> None:
    campaign = opened()
    ReviewCampaign.objects.update(state="closed")
    assert b'name="_save"' not in browser.get(address("change", campaign)).content


def test_a_review_that_was_opened_cannot_be_deleted(browser: Client, owned: Project) -> None:
    campaign = opened()
    assert browser.post(address("delete", campaign), {"post": "yes"}).status_code == 403
    other = draft("Never")
    browser.post(address("delete", other), {"post": "yes"})
    assert list(ReviewCampaign.objects.all()) == [campaign]


def test_the_list_shows_progress_and_what_is_overdue(browser: Client, owned: Project) -> None:
    campaign = opened(due_at=timezone.now() - dt.timedelta(days=1))
    rule(campaign, Decision.KEEP, READ)
    found = text_of(browser.get(reverse("admin:connectors_reviewcampaign_changelist")))
    assert "1 of 2" in found
    assert "Overdue" in found


def test_the_page_of_a_review_tells_progress_by_owner_and_project(browser: Client, owned: Project) -> None:
    campaign = opened()
    found = text_of(browser.get(address("change", campaign)))
    assert "0 of 2" in found
    assert "viewer" in found
    assert "Crm" in found
    assert "EMAIL_URL is not set" in found


# --- Opening -----------------------------------------------------------------------------------------------------


def test_the_page_that_opens_a_review_says_what_and_who(browser: Client, owned: Project) -> None:
    in_ledger(make_project("orphan"), scopes=[SEND])
    campaign = draft()
    answer = browser.get(address("open", campaign))
    found = text_of(answer)
    assert answer.context["prospect"].scopes == 3
    assert "1 project without an owner" in found
    assert "Orphan" in found
    assert not campaign.items.exists()
    browser.post(address("open", campaign))
    assert campaign.items.count() == 3


def test_an_owner_who_cannot_enter_the_admin_is_named_before_opening(
    browser: Client, owned: Project, stranger: User
) -> None:
    Project.objects.update(owner=stranger)
    assert "may not enter the portal" in text_of(browser.get(address("open", draft())))


def test_what_keeps_a_review_from_being_opened_is_said(browser: Client, db: None) -> None:
    assert "No scope fits this review" in text_of(browser.post(address("open", draft())))


def test_an_open_review_is_not_opened_again(browser: Client, owned: Project) -> None:
    campaign = opened()
    assert browser.get(address("open", campaign))["Location"] == address("change", campaign)


# --- Deciding ----------------------------------------------------------------------------------------------------


def test_an_owner_without_any_permission_decides_on_their_own_list(owned: Project, viewer: User) -> None:
    campaign = opened()
    client = browser_of(viewer)
    assert "0 of 2 decided" in text_of(client.get(address("decide", campaign)))
    post_row(client, campaign, decision="remove")
    row = item(campaign)
    assert (row.decision, row.decided_by, row.decision_reason) == ("remove", viewer, "It answers tickets.")


def test_an_owner_sees_no_scope_of_others(owned: Project, viewer: User) -> None:
    in_ledger(make_project("foreign", name="Zebra"), scopes=[ALL_MAIL])
    campaign = opened()
    for owner in ("all", "none", "me"):
        assert "Zebra" not in text_of(browser_of(viewer).get(address("decide", campaign, owner=owner, show="all")))
    assert post_row(browser_of(viewer), campaign, ALL_MAIL, decision="remove").status_code == 403


def test_for_staff_who_own_nothing_there_is_no_review(owned: Project) -> None:
    campaign = opened()
    other = browser_of(make_user("other", staff=True))
    assert other.get(address("decide", campaign)).status_code == 404
    assert post_row(other, campaign, decision="remove").status_code == 404


def test_whoever_may_only_view_reviews_decides_nothing(owned: Project, reader: User) -> None:
    campaign = opened()
    page = browser_of(reader).get(address("decide", campaign, owner="all"))
    assert page.status_code == 200
    assert b'value="keep"' not in page.content
    assert post_row(browser_of(reader), campaign, decision="keep").status_code == 403
    assert item(campaign).decision == ""


def test_whoever_runs_reviews_decides_in_the_owners_stead(owned: Project) -> None:
    campaign = opened()
    runner = make_user("runner", staff=True)
    runner.user_permissions.set(
        Permission.objects.filter(codename__in=["view_reviewcampaign", "change_reviewcampaign"])
    )
    post_row(browser_of(runner), campaign, decision="keep")
    assert item(campaign).decided_by == runner


def test_a_decision_without_its_reason_is_told_beside_the_row_and_keeps_what_was_chosen(
    owned: Project, viewer: User
) -> None:
    campaign = opened()
    answer = post_row(browser_of(viewer), campaign, decision="remove", reason="")
    assert answer.status_code == 200
    (line,) = [line for group in answer.context["groups"] for line in group.lines if line.problem]
    assert (line.item.scope, line.decision) == (SEND, "remove")
    assert "Say why" in line.problem


def test_a_scope_is_narrowed_to_one_that_the_page_offers(owned: Project, viewer: User) -> None:
    in_ledger(make_project("second", owner=viewer), scopes=[ALL_MAIL])
    campaign = opened()
    client = browser_of(viewer)
    offered = parse(client.get(address("decide", campaign)).content).having("value", READ)
    assert offered
    post_row(client, campaign, ALL_MAIL, decision="narrow", narrow_to=READ)
    assert (item(campaign, ALL_MAIL).decision, item(campaign, ALL_MAIL).narrow_to) == ("narrow", READ)


def test_all_of_a_connector_is_kept_at_once_and_what_was_decided_stays(owned: Project, viewer: User) -> None:
    in_ledger(make_project("second", owner=viewer), scopes=[ALL_MAIL])
    campaign = opened()
    rule(campaign, Decision.REMOVE, READ)
    first = str(item(campaign).pk)
    data = {"item": first, "action": "keep_rest", "reason": "All of it is in use."}
    answer = browser_of(viewer).post(address("decide", campaign), data)
    assert answer.status_code == 302
    assert [item(campaign, scope).decision for scope in (SEND, READ, ALL_MAIL)] == ["keep", "remove", ""]


def test_a_decision_is_taken_back(owned: Project, viewer: User) -> None:
    campaign = opened()
    rule(campaign, Decision.KEEP)
    post_row(browser_of(viewer), campaign, action="take_back", decision="keep")
    assert item(campaign).decision == ""


@pytest.mark.parametrize("data", [{"decision": "shred"}, {"decision": ""}, {"item": "abc"}, {"item": "987654"}, {}])
def test_a_forged_form_decides_nothing(data: dict[str, str], owned: Project, viewer: User) -> None:
    campaign = opened()
    answer = post_row(browser_of(viewer), campaign, **{"action": "save", **data})
    assert answer.status_code in (200, 302, 403)
    assert not campaign.items.exclude(decision="").exists()


def test_a_closed_review_is_read_only(owned: Project, viewer: User) -> None:
    campaign = opened()
    rule(campaign, Decision.KEEP, reason="Every day.")
    ReviewCampaign.objects.update(state="closed")
    page = browser_of(viewer).get(address("decide", campaign, show="all"))
    assert "Every day." in text_of(page)
    assert b'name="decision"' not in page.content
    assert "closed" in text_of(post_row(browser_of(viewer), campaign, decision="remove"))


def test_only_what_is_undecided_is_listed_unless_everything_is_asked_for(owned: Project, viewer: User) -> None:
    campaign = opened()
    rule(campaign, Decision.KEEP, SEND)
    client = browser_of(viewer)
    shown = [
        [line.item.scope for group in answer.context["groups"] for line in group.lines]
        for answer in (client.get(address("decide", campaign)), client.get(address("decide", campaign, show="all")))
    ]
    assert shown == [[READ], [READ, SEND]]


def test_an_owners_list_costs_the_same_queries_for_many_connectors(owned: Project, viewer: User) -> None:
    campaign = opened("Small")
    for number in range(20):
        in_ledger(make_project(f"p{number}", owner=viewer))
    large, client = opened("Large"), browser_of(viewer)
    costs = []
    for one in (campaign, large):
        cache.clear()
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address("decide", one)).status_code == 200
        costs.append(len(seen))
    assert costs[0] == costs[1]


def test_texts_of_a_review_are_escaped(browser: Client, owned: Project) -> None:
    evil = "<script>alert(1)</script>"
    Project.objects.update(name=evil)
    campaign = opened(instructions=evil)
    rule(campaign, Decision.REMOVE, reason=evil)
    campaign.items.update(outcome="failed", outcome_note=evil)
    for page in ("change", "decide", "carry_out", "close", "evidence"):
        assert evil.encode() not in browser.get(address(page, campaign, owner="all", show="all")).content


# --- Plans, evidence, the end ------------------------------------------------------------------------------------


def test_decisions_are_declared_and_lead_to_the_plan(browser: Client, owned: Project) -> None:
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    assert "1 scope waits to be declared" in text_of(browser.get(address("carry_out", campaign)))
    answer = browser.post(address("carry_out", campaign), follow=True)
    assert Connector.objects.get().scopes == [READ]
    assert reverse("admin:connectors_project_plan", args=[owned.pk]) in text_of(answer)


def test_why_something_could_not_be_declared_is_listed(browser: Client, owned: Project) -> None:
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    campaign.items.filter(scope=SEND).update(outcome="failed", outcome_note="A policy forbids it.")
    assert "A policy forbids it." in text_of(browser.get(address("carry_out", campaign)))


@pytest.mark.parametrize("lacking", ["change_reviewcampaign", "change_connector"])
def test_declaring_asks_for_both_permissions(lacking: str, owned: Project) -> None:
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND)
    user = make_user("half", staff=True)
    names = {"view_reviewcampaign", "change_reviewcampaign", "change_connector"} - {lacking}
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    assert browser_of(user).post(address("carry_out", campaign)).status_code == 403
    assert item(campaign).outcome == Outcome.WAITING


def test_the_evidence_says_whether_the_rows_are_what_was_frozen(browser: Client, owned: Project) -> None:
    campaign = opened()
    path = address("evidence", campaign, verify="1")
    assert "The rows are what was frozen." in text_of(browser.get(path))
    campaign.items.filter(scope=SEND).update(account="someone@else.example")
    assert "The rows are not what was frozen." in text_of(browser.get(path))


@pytest.mark.parametrize("kind", ["csv", "json", "xlsx", "print"])
def test_the_evidence_is_taken_along_in_every_format(kind: str, browser: Client, owned: Project) -> None:
    campaign = opened()
    rule(campaign, Decision.REMOVE, SEND, reason="Nobody sends mail.")
    answer: Any = browser.get(address("evidence", campaign, download=kind))
    content = answer.getvalue()
    assert kind == "xlsx" or b"Nobody sends mail." in content
    assert Event.objects.get(verb="report.downloaded").target_label == "Autumn"


@override_settings(EMAIL_CONFIGURED=True)
def test_whoever_closes_a_review_says_that_scopes_may_stay_undecided(
    browser: Client, owned: Project, operator: User
) -> None:
    campaign = opened(by=acting(operator))
    assert "2 undecided scopes may stay undecided" in text_of(browser.get(address("close", campaign)))
    assert "2 scopes are undecided" in text_of(browser.post(address("close", campaign)))
    browser.post(address("close", campaign), {"undecided": "yes"})
    campaign.refresh_from_db()
    assert (campaign.state, campaign.closed_by_label) == ("closed", "operator")

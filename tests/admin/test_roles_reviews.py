"""Access reviews for people with roles at some places: what they see of a review of everything, and may do."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from connectors.models import Connector, Project, ReviewCampaign
from tests.admin.form_data import errors, save
from tests.factories import make_membership, make_project, make_user, make_workspace
from tests.flows.reviewing import SEND, in_ledger, opened, rule
from tests.teams import browser_of

LIST = "admin:connectors_reviewcampaign_changelist"


def page(name: str, campaign: ReviewCampaign, **query: str) -> str:
    return reverse(f"admin:connectors_reviewcampaign_{name}", args=[campaign.pk], query=query or None)


def due() -> dt.datetime:
    return timezone.now() + dt.timedelta(days=9)


@pytest.fixture
def ours(db: None) -> Project:
    """Ada's project, with two scopes in the ledger."""
    return in_ledger(make_project("ours", workspace=make_workspace("Our workspace"))).project


@pytest.fixture
def theirs(db: None) -> Project:
    """A project of another team, with three scopes."""
    project = make_project("zebra", workspace=make_workspace("Zebra workspace"), owner=make_user("zoe", staff=True))
    return in_ledger(project, scopes=[SEND, "a", "b"]).project


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", staff=True)


@pytest.fixture
def everything(ours: Project, theirs: Project) -> ReviewCampaign:
    """A review of both teams."""
    return opened()


def in_review(user: User, campaign: ReviewCampaign, name: str) -> Any:
    return browser_of(user).get(page(name, campaign))


@pytest.mark.parametrize("name", ["change", "decide", "carry_out", "evidence"])
def test_a_review_of_everything_shows_an_auditor_their_own_projects_alone(
    name: str, ada: User, ours: Project, everything: ReviewCampaign
) -> None:
    make_membership(ada, "auditor", project=ours)
    rule(everything, "remove", SEND)
    text = in_review(ada, everything, name).content.lower()
    assert b"ours" in text
    assert b"zebra" not in text
    assert b"zoe" not in text


def test_progress_counts_only_what_one_may_see(ada: User, ours: Project, everything: ReviewCampaign) -> None:
    make_membership(ada, "auditor", project=ours)
    (row,) = browser_of(ada).get(reverse(LIST)).context["cl"].result_list
    assert row.progress == (2, 0)
    assert in_review(ada, everything, "change").context["left"] == 2


def test_a_review_of_others_is_not_there(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    campaign = opened(workspace=theirs.workspace)
    assert [in_review(ada, campaign, name).status_code for name in ("open", "decide", "evidence")] == [404] * 3
    assert not browser_of(ada).get(reverse(LIST)).context["cl"].result_list


def test_a_review_of_everything_is_run_by_nobody_with_a_role_at_one_place(
    ada: User, ours: Project, everything: ReviewCampaign
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    for name in ("close", "carry_out"):
        assert browser_of(ada).post(page(name, everything), {"undecided": "yes"}).status_code == 403
    everything.refresh_from_db()
    assert everything.state == ReviewCampaign.State.OPEN


def test_the_owner_of_a_workspace_runs_its_review(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    campaign = opened(workspace=ours.workspace)
    browser_of(ada).post(page("close", campaign), {"undecided": "yes"})
    campaign.refresh_from_db()
    assert campaign.state == ReviewCampaign.State.CLOSED


def test_an_owner_at_one_place_has_to_name_the_workspace_that_is_reviewed(ada: User, ours: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    day = due()
    typed = {"name": "Ours", "due_at_0": f"{day:%Y-%m-%d}", "due_at_1": "12:00:00", "remind_every_days": "7"}
    assert "workspace" in errors(save(browser_of(ada), "reviewcampaign", **typed))
    save(browser_of(ada), "reviewcampaign", **typed, workspace=ours.workspace_id)
    assert ReviewCampaign.objects.get().workspace == ours.workspace


def test_a_workspace_of_others_cannot_be_chosen_for_a_review(ada: User, ours: Project, theirs: Project) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    make_membership(ada, "auditor", workspace=theirs.workspace)
    day = due()
    typed = {"name": "Ours", "due_at_0": f"{day:%Y-%m-%d}", "due_at_1": "12:00:00", "remind_every_days": "7"}
    assert "workspace" in errors(save(browser_of(ada), "reviewcampaign", **typed, workspace=theirs.workspace_id))


def test_a_role_at_one_project_begins_no_review(ada: User, ours: Project) -> None:
    make_membership(ada, "owner", project=ours)
    assert browser_of(ada).get(reverse("admin:connectors_reviewcampaign_add")).status_code == 403


def test_an_owner_decides_in_others_stead_only_where_their_role_holds(
    ada: User, ours: Project, theirs: Project, everything: ReviewCampaign
) -> None:
    make_membership(ada, "owner", project=ours)
    make_membership(ada, "auditor", project=theirs)

    def post(project: Project) -> int:
        row = everything.items.get(project=project, scope=SEND)
        values = {"item": str(row.pk), "action": "save", "decision": "keep", "reason": "Needed."}
        return browser_of(ada).post(page("decide", everything, owner="all"), values).status_code

    assert (post(ours), post(theirs)) == (302, 403)
    assert everything.items.get(project=theirs, scope=SEND).decision == ""


def test_whoever_is_only_asked_sees_their_own_scopes_and_not_how_the_review_is_run(
    ada: User, ours: Project, theirs: Project
) -> None:
    Project.objects.filter(pk=ours.pk).update(owner=ada)
    campaign = opened()
    answer = in_review(ada, campaign, "decide")
    assert answer.context["total"] == 2
    assert b"ebra" not in answer.content
    assert in_review(ada, campaign, "change").status_code == 403
    assert in_review(ada, campaign, "evidence").status_code == 403


def test_a_part_of_the_evidence_is_neither_downloaded_nor_verified(
    ada: User, ours: Project, everything: ReviewCampaign
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    browser = browser_of(ada)
    assert browser.get(page("evidence", everything)).context["seen"] == 2
    assert browser.get(page("evidence", everything, download="csv")).status_code == 403
    assert browser.get(page("evidence", everything, verify="1")).status_code == 403


def test_a_workspaces_evidence_stays_whole_for_its_people_when_a_project_goes(ada: User, ours: Project) -> None:
    make_membership(ada, "auditor", workspace=ours.workspace)
    campaign = opened(workspace=ours.workspace)
    Connector.objects.filter(project=ours).delete()
    ours.delete()
    answer = browser_of(ada).get(page("evidence", campaign, download="csv"))
    assert answer.getvalue().count(SEND.encode()) == 1


def test_decisions_are_carried_out_only_where_one_may_change_connectors(
    ada: User, ours: Project, theirs: Project
) -> None:
    Project.objects.filter(pk=theirs.pk).update(workspace=ours.workspace)
    make_membership(ada, "owner", workspace=ours.workspace)
    campaign = opened(workspace=ours.workspace)
    rule(campaign, "remove", SEND)
    Project.objects.filter(pk=theirs.pk).update(workspace=make_workspace())  # moved to another team meanwhile
    browser_of(ada).post(page("carry_out", campaign))
    assert SEND in Connector.objects.get(project=theirs).scopes
    assert SEND not in Connector.objects.get(project=ours).scopes

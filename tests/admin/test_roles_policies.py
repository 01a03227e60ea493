"""Policies for people with roles at some places: findings, rehearsals and exceptions of their own projects alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from connectors.flows.policies import recheck_all
from connectors.models import PolicyException, PolicyRule, Project
from tests.admin.form_data import address, errors, save
from tests.factories import make_exception, make_membership, make_project, make_rule, make_user, make_workspace
from tests.flows.reviewing import SEND, in_ledger
from tests.teams import browser_of

RULES = "admin:connectors_policyrule_changelist"
EXCEPTIONS = "admin:connectors_policyexception_changelist"


@pytest.fixture
def ours(db: None) -> Project:
    return in_ledger(make_project("ours", workspace=make_workspace("Our workspace"))).project


@pytest.fixture
def theirs(db: None) -> Project:
    return in_ledger(make_project("zebra", workspace=make_workspace("Zebra workspace"))).project


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada", staff=True)


@pytest.fixture
def no_sending(ours: Project, theirs: Project) -> PolicyRule:
    """In force, and broken by both teams."""
    rule = make_rule("No sending", effect="approval", scope_patterns=[SEND], is_enabled=True)
    recheck_all()
    return rule


def post(user: User, page: str, row: Any, **data: str) -> int:
    return browser_of(user).post(address(row._meta.model_name, page, row.pk), data).status_code


def test_findings_are_counted_and_shown_of_ones_own_projects_alone(
    ada: User, ours: Project, no_sending: PolicyRule
) -> None:
    make_membership(ada, "auditor", project=ours)
    (row,) = browser_of(ada).get(reverse(RULES)).context["cl"].result_list
    assert row.finding_count == 1
    page = browser_of(ada).get(address("policyrule", "change", no_sending.pk))
    assert [found.project for found in page.context["findings"]] == [ours]
    assert b"Zebra" not in page.content


def test_a_rehearsal_looks_at_the_projects_whose_ledger_one_may_see(
    ada: User, ours: Project, theirs: Project, no_sending: PolicyRule
) -> None:
    make_membership(ada, "auditor", project=ours)
    make_membership(ada, "viewer", project=theirs)
    page = browser_of(ada).get(address("policyrule", "rehearsal", no_sending.pk))
    assert (page.context["found"].looked_at, page.context["found"].counting) == (1, 1)
    assert b"Zebra" not in page.content


@pytest.mark.parametrize("role", ["editor", "owner"])
def test_policies_are_changed_by_nobody_with_a_role_at_one_place(
    role: str, ada: User, ours: Project, no_sending: PolicyRule
) -> None:
    make_membership(ada, role, workspace=ours.workspace)
    browser = browser_of(ada)
    assert browser.get(reverse("admin:connectors_policyrule_add")).status_code == 403
    assert post(ada, "change", no_sending, name="Another") == 403
    assert post(ada, "delete", no_sending, post="yes") == 403
    assert post(ada, "switch", no_sending, on="0") == 403
    assert PolicyRule.objects.get() == no_sending


def test_an_owner_of_the_whole_portal_switches_policies(ada: User, no_sending: PolicyRule) -> None:
    make_membership(ada, "owner")
    assert post(ada, "switch", no_sending, on="0") == 302
    assert not PolicyRule.objects.get().is_enabled


def asked(ada: User, rule: PolicyRule, project: Project) -> dict[str, list[str]]:
    until = (timezone.localdate() + dt.timedelta(days=9)).isoformat()
    typed = {"rule": rule.pk, "project": project.pk, "reason": "Needed.", "owner": ada.pk, "until": until}
    return errors(save(browser_of(ada), "policyexception", **typed))


def test_an_editor_asks_for_exceptions_in_their_own_projects(
    ada: User, ours: Project, theirs: Project, no_sending: PolicyRule
) -> None:
    make_membership(ada, "editor", project=ours)
    make_membership(ada, "auditor", project=theirs)
    assert "project" in asked(ada, no_sending, theirs)
    assert asked(ada, no_sending, ours) == {}
    assert PolicyException.objects.get().project == ours


def test_exceptions_of_others_are_not_there(ada: User, ours: Project, theirs: Project, no_sending: PolicyRule) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    make_exception(no_sending, ours)
    hidden = make_exception(no_sending, theirs)
    found = browser_of(ada).get(reverse(EXCEPTIONS)).context["cl"].result_list
    assert [row.project for row in found] == [ours]
    assert [post(ada, name, hidden, decision="grant") for name in ("decide", "withdraw")] == [404, 404]


def test_an_approver_decides_at_their_own_place_alone(
    ada: User, ours: Project, theirs: Project, no_sending: PolicyRule
) -> None:
    make_membership(ada, "approver", project=ours)
    make_membership(ada, "auditor", project=theirs)
    mine = make_exception(no_sending, ours, state="requested")
    other = make_exception(no_sending, theirs, state="requested")
    assert [post(ada, "decide", row, decision="grant") for row in (mine, other)] == [302, 403]
    assert set(PolicyException.objects.values_list("project__slug", "state")) == {
        ("ours", "granted"),
        ("zebra", "requested"),
    }


def test_exceptions_from_what_blocks_take_somebody_who_changes_the_policies(
    ada: User, ours: Project, no_sending: PolicyRule
) -> None:
    make_membership(ada, "owner", workspace=ours.workspace)
    PolicyRule.objects.update(effect="block")
    row = make_exception(no_sending, ours, state="requested")
    post(ada, "decide", row, decision="grant")
    row.refresh_from_db()
    assert row.state == "requested"
    make_membership(ada, "owner")
    post(ada, "decide", row, decision="grant")
    row.refresh_from_db()
    assert row.state == "granted"

"""Approvals: asked for, decided by somebody else, used once, and worth nothing for anything else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from connectors.core.actor import SCHEDULER
from connectors.core.errors import Refused
from connectors.flows.approval_decisions import decide, why_not_decide, withdraw
from connectors.flows.approvals import (
    ASKED_FOR,
    USABLE_FOR,
    ApprovalNeeded,
    Matter,
    allow,
    ask,
    check,
    demanded,
    expire,
)
from connectors.models import Approval, Event, Project
from connectors.models.approval import Subject
from tests.factories import SHELL, make_demand, make_membership, make_project, make_workspace
from tests.flows.approving import actor, member

pytestmark = pytest.mark.django_db

State = Approval.State


def matter(project: Project, what: str = "one") -> Matter:
    return Matter(Subject.PLAN, project, f"Do {what}", {"what": what}, {"lines": [what]})


def verbs() -> list[str]:
    return list(Event.objects.filter(verb__startswith="approval.").order_by("pk").values_list("verb", flat=True))


@pytest.fixture
def production(db: None) -> Project:
    """A project in production, where plans need approval."""
    make_demand("plan")
    return make_project("shop", environment="production")


@pytest.fixture
def ann(production: Project) -> User:
    """Asks; she is an owner, so that she could decide if it were not for the second pair of eyes."""
    return member("ann", "owner", production)


@pytest.fixture
def bob(production: Project) -> User:
    """Decides."""
    return member("bob", "owner", production)


@pytest.fixture
def asked(production: Project, ann: User) -> Approval:
    """What Ann asked for."""
    return ask(matter(production), actor(ann), "The shop needs it.")


def test_only_the_environment_and_workspace_of_a_rule_need_approval() -> None:
    here, elsewhere = make_workspace(), make_workspace()
    make_demand("plan", workspace=here)
    assert demanded(make_project(workspace=here, environment="production"), Subject.PLAN)
    assert not demanded(make_project(workspace=here, environment="staging"), Subject.PLAN)
    assert not demanded(make_project(workspace=elsewhere, environment="production"), Subject.PLAN)


def test_a_rule_for_one_thing_leaves_others_alone(production: Project) -> None:
    assert not demanded(production, Subject.REVOKE)


def test_where_nothing_is_demanded_nothing_is_needed(project: Project) -> None:
    assert allow([matter(project)], SHELL) == []


def test_without_an_approval_it_is_refused(production: Project, ann: User) -> None:
    with pytest.raises(ApprovalNeeded, match="Applying a plan needs another person's approval"):
        allow([matter(production)], actor(ann))


def test_asking_needs_a_reason(production: Project, ann: User) -> None:
    with pytest.raises(Refused, match="Say why"):
        ask(matter(production), actor(ann), "  ")


def test_asking_twice_for_the_same_asks_once(asked: Approval, production: Project, ann: User) -> None:
    assert ask(matter(production), actor(ann), "Again.") == asked
    assert verbs() == ["approval.asked"]


def test_what_waits_allows_nothing(asked: Approval, production: Project, ann: User) -> None:
    with pytest.raises(ApprovalNeeded, match=f"waits for another person's approval \\(#{asked.pk}\\)"):
        allow([matter(production)], actor(ann))


def test_nobody_decides_on_what_they_asked_for(asked: Approval, ann: User) -> None:
    assert "yourself" in why_not_decide(asked, ann, timezone.now())
    with pytest.raises(Refused, match="yourself"):
        decide(asked, ann, actor(ann), approve=True)


def test_a_superuser_does_not_decide_on_their_own_request(production: Project, operator: User) -> None:
    mine = ask(matter(production), actor(operator), "Why not.")
    with pytest.raises(Refused, match="yourself"):
        decide(mine, operator, actor(operator), approve=True)


@pytest.mark.parametrize("role", ["viewer", "auditor", "editor"])
def test_deciding_needs_the_role_in_that_project(asked: Approval, production: Project, role: str) -> None:
    user = member("carl", role, production)
    make_membership(user, "approver", project=make_project("other"))
    with pytest.raises(Refused, match="permission to approve"):
        decide(asked, user, actor(user), approve=True)


def test_approved_it_is_allowed_once(asked: Approval, production: Project, ann: User, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    assert allow([matter(production)], actor(ann)) == [asked]
    with pytest.raises(ApprovalNeeded):
        allow([matter(production)], actor(ann))
    assert verbs() == ["approval.asked", "approval.approved", "approval.used"]


def test_an_approval_is_for_exactly_what_was_asked(asked: Approval, production: Project, ann: User, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    with pytest.raises(ApprovalNeeded):
        allow([matter(production, "two")], actor(ann))


def test_an_approval_counts_in_its_project_alone(asked: Approval, ann: User, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    with pytest.raises(ApprovalNeeded):
        check(Subject.PLAN, make_project("twin", environment="production"), asked.fingerprint, actor(ann))


def test_who_approved_does_not_carry_it_out(asked: Approval, production: Project, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    with pytest.raises(ApprovalNeeded, match="You approved this yourself"):
        allow([matter(production)], actor(bob))


def test_a_third_person_and_the_shell_may_carry_it_out(asked: Approval, production: Project, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    assert allow([matter(production)], SHELL) == [asked]


def test_what_the_scheduler_asks_any_decider_may_approve(production: Project, bob: User) -> None:
    row = ask(matter(production), SCHEDULER, "By itself.")
    decide(row, bob, actor(bob), approve=True)
    assert allow([matter(production)], SCHEDULER) == [row]


def test_declining_needs_a_word_why(asked: Approval, bob: User) -> None:
    with pytest.raises(Refused, match="Say why"):
        decide(asked, bob, actor(bob), approve=False)


def test_what_was_declined_allows_nothing_and_can_be_asked_anew(
    asked: Approval, production: Project, ann: User, bob: User
) -> None:
    decide(asked, bob, actor(bob), approve=False, note="Not on a Friday.")
    with pytest.raises(ApprovalNeeded):
        allow([matter(production)], actor(ann))
    assert ask(matter(production), actor(ann), "It is Monday.") != asked
    assert Event.objects.get(verb="approval.declined").reason == "Not on a Friday."


def test_an_approval_lasts_a_day(asked: Approval, production: Project, ann: User, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    later = timezone.now() + USABLE_FOR + dt.timedelta(seconds=1)
    with pytest.raises(ApprovalNeeded):
        check(Subject.PLAN, production, asked.fingerprint, actor(ann), now=later)


def test_a_request_waits_a_week(asked: Approval, bob: User) -> None:
    later = timezone.now() + ASKED_FOR + dt.timedelta(seconds=1)
    with pytest.raises(Refused, match="expired"):
        decide(asked, bob, actor(bob), approve=True, now=later)


def test_what_is_over_is_ended_once_and_on_record(asked: Approval) -> None:
    later = timezone.now() + ASKED_FOR
    assert (expire(later), expire(later)) == (1, 0)
    asked.refresh_from_db()
    assert (asked.state, verbs()) == (State.EXPIRED, ["approval.asked", "approval.expired"])


def test_what_has_expired_unnoticed_can_be_asked_anew(asked: Approval, production: Project, ann: User) -> None:
    later = timezone.now() + ASKED_FOR
    assert ask(matter(production), actor(ann), "Still.", now=later) != asked


def test_a_withdrawn_approval_allows_nothing(asked: Approval, production: Project, ann: User, bob: User) -> None:
    withdraw(decide(asked, bob, actor(bob), approve=True), ann, actor(ann))
    with pytest.raises(ApprovalNeeded):
        allow([matter(production)], actor(ann))


def test_only_who_has_to_do_with_it_withdraws(asked: Approval, production: Project) -> None:
    editor = member("ed", "editor", production)
    with pytest.raises(Refused, match="not yours"):
        withdraw(asked, editor, actor(editor))


@pytest.mark.parametrize("what", ["left", "lost"])
def test_an_approval_ends_with_the_role_of_who_gave_it(
    asked: Approval, production: Project, ann: User, bob: User, what: str
) -> None:
    decide(asked, bob, actor(bob), approve=True)
    if what == "left":
        User.objects.filter(pk=bob.pk).update(is_active=False)
    else:
        bob.memberships.all().delete()
    with pytest.raises(ApprovalNeeded):
        allow([matter(production)], actor(ann))


def test_of_two_matters_both_are_allowed_or_none(asked: Approval, production: Project, ann: User, bob: User) -> None:
    decide(asked, bob, actor(bob), approve=True)
    with pytest.raises(ApprovalNeeded):
        allow([matter(production), matter(production, "two")], actor(ann))
    asked.refresh_from_db()
    assert asked.state == State.APPROVED


def at_once(*acts: Callable[[], object]) -> list[object]:
    """What came of each, all begun at the same moment in threads of their own: its value or its refusal."""
    start = Barrier(len(acts))

    def one(act: Callable[[], object]) -> object:
        start.wait()
        try:
            return act()
        except Refused as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def went_well(results: list[object]) -> int:
    return sum(not isinstance(result, Refused) for result in results)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_does(asked: Approval, production: Project, bob: User) -> None:
    cleo = member("cleo", "approver", production)
    rows = [Approval.objects.get(pk=asked.pk) for _ in range(2)]
    results = at_once(
        partial(decide, rows[0], bob, actor(bob), approve=True),
        partial(decide, rows[1], cleo, actor(cleo), approve=False, note="No."),
    )
    assert went_well(results) == 1
    assert Event.objects.filter(verb__in=["approval.approved", "approval.declined"]).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_deciding_and_withdrawing_at_once_one_happens(asked: Approval, ann: User, bob: User) -> None:
    rows = [Approval.objects.get(pk=asked.pk) for _ in range(2)]
    results = at_once(
        partial(decide, rows[0], bob, actor(bob), approve=True), partial(withdraw, rows[1], ann, actor(ann))
    )
    assert went_well(results) == 1


@pytest.mark.django_db(transaction=True)
def test_of_six_who_use_an_approval_at_once_one_does(
    asked: Approval, production: Project, ann: User, bob: User
) -> None:
    decide(asked, bob, actor(bob), approve=True)
    results = at_once(*[partial(allow, [matter(production)], actor(ann))] * 6)
    assert went_well(results) == 1
    assert Event.objects.filter(verb="approval.used").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_four_who_ask_for_the_same_at_once_one_request_is_made(production: Project, ann: User) -> None:
    results = at_once(*[partial(ask, matter(production), actor(ann), "Why.")] * 4)
    assert {row.pk for row in results if isinstance(row, Approval)} == {Approval.objects.get().pk}
    assert verbs() == ["approval.asked"]

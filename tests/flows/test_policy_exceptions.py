"""Exceptions: asked for with a reason and an end, decided by somebody else, on record throughout."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.policy_exceptions import (
    Wish,
    decide_exception,
    request_exception,
    why_not_decide,
    withdraw_exception,
)
from connectors.models import Event, LedgerEntry, PolicyException, PolicyRule, Project
from tests.factories import SHELL, make_connector, make_exception, make_rule, make_user

pytestmark = pytest.mark.django_db

State = PolicyException.State


def actor(user: User) -> Actor:
    return Actor(user.get_username(), Door.ADMIN, user.pk)


@pytest.fixture
def ann(db: None) -> User:
    """Asks."""
    return make_user("ann", staff=True)


@pytest.fixture
def decider(db: None) -> User:
    """May grant and decline, and not change policies."""
    user = make_user("dora", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="decide_policyexception"))
    return user


@pytest.fixture
def rule(db: None) -> PolicyRule:
    return make_rule("No sending", effect="approval", scope_patterns=["users:read"])


@pytest.fixture
def wish(rule: PolicyRule, project: Project, ann: User) -> Wish:
    return Wish(rule, project, "Until the importer is rebuilt.", ann, timezone.now() + dt.timedelta(days=30))


def test_a_request_changes_nothing_until_it_is_granted(wish: Wish, ann: User, decider: User, project: Project) -> None:
    connector = make_connector(project, "slackbot", ["users:read"])
    ledger.note([connector.pk], SHELL, "connector.declared")
    row = request_exception(wish, actor(ann))
    assert LedgerEntry.objects.get().policy == "approval"
    decide_exception(row, decider, actor(decider), grant=True)
    assert LedgerEntry.objects.get().policy == "excepted"
    withdraw_exception(row, actor(ann))
    assert LedgerEntry.objects.get().policy == "approval"


def test_every_step_is_on_record(wish: Wish, ann: User, decider: User, project: Project) -> None:
    row = request_exception(wish, actor(ann))
    decide_exception(row, decider, actor(decider), grant=True, note="For one month.")
    withdraw_exception(row, actor(ann), note="Rebuilt.")
    events = Event.objects.filter(target_type="policyexception").order_by("id")
    assert list(events.values_list("verb", "actor_label", "project", "note")) == [
        ("policy_exception.requested", "ann", project.pk, "Until the importer is rebuilt."),
        ("policy_exception.granted", "dora", project.pk, "For one month."),
        ("policy_exception.withdrawn", "ann", project.pk, "Rebuilt."),
    ]


def test_nobody_decides_on_their_own_request_superusers_neither(wish: Wish, operator: User) -> None:
    row = request_exception(wish, actor(operator))
    with pytest.raises(Refused, match="Somebody else has to decide"):
        decide_exception(row, operator, actor(operator), grant=True)
    row.refresh_from_db()
    assert row.state == State.REQUESTED


def test_a_policy_that_blocks_wants_somebody_who_may_change_policies(
    wish: Wish, ann: User, decider: User, operator: User
) -> None:
    PolicyRule.objects.update(effect="block")
    wish.rule.refresh_from_db()
    row = request_exception(wish, actor(ann))
    with pytest.raises(Refused, match="only somebody who may change the policies"):
        decide_exception(row, decider, actor(decider), grant=True)
    assert decide_exception(row, operator, actor(operator), grant=True).state == State.GRANTED


def test_deciding_needs_the_permission(wish: Wish, ann: User, viewer: User) -> None:
    assert "needs the permission" in why_not_decide(request_exception(wish, actor(ann)), viewer)


def test_declining_needs_a_word_why(wish: Wish, ann: User, decider: User) -> None:
    row = request_exception(wish, actor(ann))
    with pytest.raises(Refused, match="Say why"):
        decide_exception(row, decider, actor(decider), grant=False, note=" ")
    declined = decide_exception(row, decider, actor(decider), grant=False, note="Use the mail service.")
    assert (declined.state, declined.decided_by, declined.decision_note) == (
        State.DECLINED,
        decider,
        "Use the mail service.",
    )


def test_a_request_is_decided_on_once(wish: Wish, ann: User, decider: User) -> None:
    row = request_exception(wish, actor(ann))
    stale = PolicyException.objects.select_related("rule").get(pk=row.pk)
    decide_exception(row, decider, actor(decider), grant=True)
    with pytest.raises(Refused, match="meanwhile"):
        decide_exception(stale, decider, actor(decider), grant=False, note="Too late.")
    row.refresh_from_db()
    assert row.state == State.GRANTED


def test_a_request_whose_end_has_passed_cannot_be_granted(wish: Wish, ann: User, decider: User) -> None:
    row = request_exception(wish, actor(ann))
    with pytest.raises(Refused, match="has passed"):
        decide_exception(row, decider, actor(decider), grant=True, now=wish.expires_at)


def test_an_exception_that_is_over_is_not_withdrawn_again(wish: Wish, ann: User) -> None:
    row = request_exception(wish, actor(ann))
    withdraw_exception(row, actor(ann))
    with pytest.raises(Refused, match="over already"):
        withdraw_exception(row, actor(ann))


@pytest.mark.parametrize(
    ("days", "reason", "message"),
    [(30, "  ", "Say why"), (-1, "x", "in the future"), (400, "x", "a year at most")],
)
def test_a_request_needs_a_reason_and_a_near_end(wish: Wish, ann: User, days: int, reason: str, message: str) -> None:
    end = timezone.now() + dt.timedelta(days=days)
    with pytest.raises(Refused, match=message):
        request_exception(replace(wish, reason=reason, expires_at=end), actor(ann))
    assert not PolicyException.objects.exists()


def test_an_owner_has_to_be_able_to_log_in(wish: Wish, ann: User, stranger: User) -> None:
    with pytest.raises(Refused, match="cannot log in"):
        request_exception(replace(wish, owner=stranger), actor(ann))


def test_the_same_is_not_asked_for_twice(wish: Wish, ann: User) -> None:
    request_exception(wish, actor(ann))
    with pytest.raises(Refused, match="asked for already"):
        request_exception(wish, actor(ann))


def test_a_granted_exception_can_be_asked_for_again_to_last_longer(wish: Wish, ann: User) -> None:
    make_exception(wish.rule, wish.project, expires_at=timezone.now() + dt.timedelta(days=5))
    assert request_exception(wish, actor(ann)).state == State.REQUESTED

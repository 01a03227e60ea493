"""E-mails about approvals: to those who can decide, and to whoever asked; each once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import override_settings
from django.utils import timezone

from connectors import tasks
from connectors.flows.approval_decisions import decide
from connectors.flows.approval_mail import deciders, tell
from connectors.flows.approvals import Matter, ask
from connectors.models import Approval, Project
from connectors.models.approval import Subject
from tests.factories import make_demand, make_membership, make_project, make_user
from tests.flows.approving import actor, approve, member

pytestmark = pytest.mark.django_db


class AwayBackend(EmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError


@pytest.fixture(autouse=True)
def _mail() -> Iterator[None]:
    with override_settings(EMAIL_CONFIGURED=True, PORTAL_URL="https://portal.example.com"):
        yield


@pytest.fixture
def shop(db: None) -> Project:
    make_demand("plan")
    return make_project("shop", environment="production")


@pytest.fixture
def bob(shop: Project) -> User:
    return member("bob", "approver", shop)


@pytest.fixture
def asked(shop: Project) -> Approval:
    matter = Matter(Subject.PLAN, shop, "Apply a plan to Shop", {"what": 1}, {"lines": ["slack: set the scopes a"]})
    return ask(matter, actor(member("ann", "owner", shop)), "The shop needs it.")


def test_those_who_can_decide_get_one_mail_each(asked: Approval, bob: User) -> None:
    tell(timezone.now())
    assert tell(timezone.now()) == 0
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (["bob@example.com"], "To approve: Apply a plan to Shop")
    assert "slack: set the scopes a" in letter.body
    assert f"https://portal.example.com/admin/connectors/approval/{asked.pk}/change/" in letter.body


def test_deciders_come_from_roles_groups_and_superusers_of_that_project(shop: Project, bob: User) -> None:
    grouped, everywhere = make_user("gil", staff=True), make_user("eva", staff=True)
    root, gone = make_user("root", staff=True, superuser=True), member("gone", "approver", shop)
    group = Group.objects.create(name="Approvers")
    grouped.groups.add(group)
    make_membership(None, "approver", group=group, workspace=shop.workspace)
    make_membership(everywhere, "approver")
    member("ed", "editor", shop)
    member("else", "approver", make_project("other"))
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert deciders(shop, besides=None) == [bob, grouped, everywhere, root]
    assert bob not in deciders(shop, besides=bob.pk)


def test_whoever_asked_hears_of_the_decision(asked: Approval, bob: User) -> None:
    tasks.work_approvals()
    decide(asked, bob, actor(bob), approve=False, note="Not on a Friday.")
    tasks.work_approvals()
    letter = mail.outbox[-1]
    assert (letter.to, letter.subject) == (["ann@example.com"], "Declined: Apply a plan to Shop")
    assert "Not on a Friday." in letter.body


def test_what_was_used_before_anybody_was_told_is_not_told(asked: Approval, bob: User) -> None:
    approve(asked, bob)
    Approval.objects.update(state=Approval.State.USED)
    assert tell(timezone.now()) == 0


def test_a_mail_server_that_is_away_is_tried_again(asked: Approval, bob: User) -> None:
    with override_settings(EMAIL_BACKEND=f"{__name__}.AwayBackend"):
        assert tell(timezone.now()) == 0
    assert tell(timezone.now()) == 1


def test_without_mail_nothing_is_sent(asked: Approval, bob: User) -> None:
    with override_settings(EMAIL_CONFIGURED=False):
        assert tell(timezone.now()) == 0

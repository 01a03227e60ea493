"""E-mails about reviews: who gets one, how often, and what happens when the mail server does not answer."""

from __future__ import annotations

import datetime as dt
import smtplib
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.test import override_settings
from django.utils import timezone

from connectors import tasks
from connectors.flows.review_mail import escalate, remind
from connectors.models import Event, Project, ReviewCampaign, ReviewItem, ReviewNotice
from tests.factories import make_project, make_user
from tests.flows.reviewing import READ, SEND, acting, draft, in_ledger, opened, rule

DAY = dt.timedelta(days=1)


class AwayBackend(EmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError


class PickyBackend(EmailBackend):
    """A mail server that knows nobody called viewer."""

    def send_messages(self, messages: Any) -> int:
        if any("viewer" in address for message in messages for address in message.to):
            raise smtplib.SMTPRecipientsRefused({})
        return super().send_messages(messages)


@pytest.fixture(autouse=True)
def _mail() -> Iterator[None]:
    with override_settings(EMAIL_CONFIGURED=True, PORTAL_URL="https://portal.example.com"):
        yield


@pytest.fixture
def owned(project: Project, viewer: User) -> Project:
    """A project of the viewer's, with two scopes in the ledger."""
    Project.objects.update(owner=viewer)
    in_ledger(project)
    return project


def sent() -> list[tuple[list[str], str]]:
    return [(message.to, str(message.subject)) for message in mail.outbox]


def test_an_owner_hears_of_a_review_when_it_opens(owned: Project) -> None:
    campaign = opened(instructions="Look for mail that nobody sends.")
    assert remind(timezone.now()) == 1
    (letter,) = mail.outbox
    assert letter.to == ["viewer@example.com"]
    assert letter.subject.startswith("Autumn: 2 scopes to decide on, by ")
    assert f"https://portal.example.com/admin/connectors/reviewcampaign/{campaign.pk}/decide/" in letter.body
    assert "Look for mail that nobody sends." in letter.body


def test_an_owner_of_many_projects_gets_one_mail(owned: Project, viewer: User) -> None:
    in_ledger(make_project("second", owner=viewer))
    opened()
    assert remind(timezone.now()) == 1


def test_a_reminder_comes_after_the_days_that_the_review_names_and_not_before(owned: Project) -> None:
    opened(remind_every_days=3)
    now = timezone.now()
    assert [remind(now + days * DAY) for days in (0, 1, 2.9, 3, 3.1, 6)] == [1, 0, 0, 1, 0, 1]


def test_without_reminders_there_is_the_first_mail_alone(owned: Project) -> None:
    opened(remind_every_days=0)
    now = timezone.now()
    assert [remind(now + days * DAY) for days in (0, 40)] == [1, 0]


def test_whoever_has_decided_all_is_left_in_peace(owned: Project) -> None:
    campaign = opened()
    rule(campaign, ReviewItem.Decision.KEEP)
    assert remind(timezone.now()) == 0


@pytest.mark.parametrize("state", [ReviewCampaign.State.DRAFT, ReviewCampaign.State.CLOSED])
def test_only_open_reviews_are_mailed_about(state: str, owned: Project) -> None:
    opened()
    ReviewCampaign.objects.update(state=state, due_at=timezone.now() - DAY)
    assert (remind(timezone.now()), escalate(timezone.now())) == (0, 0)


@pytest.mark.parametrize("values", [{"is_staff": False}, {"is_active": False}, {"email": ""}])
def test_nobody_is_mailed_who_could_not_open_the_list(values: dict[str, Any], owned: Project) -> None:
    opened()
    User.objects.update(**values)
    assert remind(timezone.now()) == 0


def test_no_mail_is_tried_where_none_is_set_up(owned: Project) -> None:
    opened()
    with override_settings(EMAIL_CONFIGURED=False):
        assert remind(timezone.now()) == 0
    assert not ReviewNotice.objects.exists()


def test_a_mail_server_that_is_down_is_tried_again_and_nobody_is_mailed_twice(owned: Project) -> None:
    opened()
    now = timezone.now()
    with override_settings(EMAIL_BACKEND="tests.flows.test_review_mail.AwayBackend"):
        assert remind(now) == 0
    assert remind(now) == 1
    assert remind(now) == 0
    assert ReviewNotice.objects.get().count == 1


def test_a_wrong_address_holds_up_nobody_else(owned: Project, operator: User) -> None:
    in_ledger(make_project("second", owner=operator))
    opened()
    with override_settings(EMAIL_BACKEND="tests.flows.test_review_mail.PickyBackend"):
        assert remind(timezone.now()) == 1
    assert [to for to, _ in sent()] == [["operator@example.com"]]


def test_whoever_lost_the_claim_sends_nothing(owned: Project) -> None:
    campaign = opened()
    now = timezone.now()
    from connectors.flows import review_mail

    first, second = (list(review_mail._reminders(campaign, now)) for _ in range(2))
    assert (review_mail._post(now, first), review_mail._post(now, second)) == (1, 0)


def test_the_due_day_is_told_once_to_whoever_answers_for_the_review(owned: Project, operator: User) -> None:
    boss = make_user("boss", staff=True)
    opened(escalate_to=boss, by=acting(operator), due_at=timezone.now() - DAY)
    assert escalate(timezone.now()) == 2
    assert escalate(timezone.now() + 9 * DAY) == 0
    assert sorted(to for to, _ in sent()) == [["boss@example.com"], ["operator@example.com"]]
    assert "     2  viewer" in mail.outbox[0].body
    assert Event.objects.filter(verb="review.escalated").count() == 2


def test_whoever_is_both_hears_it_once(owned: Project, operator: User) -> None:
    opened(escalate_to=operator, by=acting(operator), due_at=timezone.now() - DAY)
    assert escalate(timezone.now()) == 1


def test_before_the_due_day_nothing_is_escalated(owned: Project, operator: User) -> None:
    opened(escalate_to=operator)
    assert escalate(timezone.now()) == 0


def test_a_review_that_is_decided_is_not_escalated(owned: Project, operator: User) -> None:
    campaign = opened(escalate_to=operator, due_at=timezone.now() - DAY)
    rule(campaign, ReviewItem.Decision.KEEP)
    assert escalate(timezone.now()) == 0


def test_a_name_with_a_line_break_does_not_break_the_mail(owned: Project) -> None:
    opened("Autumn\r\nBcc: all@example.com")
    assert remind(timezone.now()) == 1
    assert "\n" not in mail.outbox[0].subject


def test_the_task_mails_and_looks_what_is_done(owned: Project, operator: User) -> None:
    campaign = opened(escalate_to=operator, due_at=timezone.now() - DAY)
    rule(campaign, ReviewItem.Decision.REMOVE, SEND)
    campaign.items.filter(scope=SEND).update(connector=None)
    tasks.remind_reviewers()
    assert len(mail.outbox) == 2
    assert campaign.items.get(scope=SEND).outcome == ReviewItem.Outcome.DONE
    assert campaign.items.get(scope=READ).outcome == ""


def test_a_draft_mails_nobody(owned: Project) -> None:
    draft()
    assert remind(timezone.now()) == 0

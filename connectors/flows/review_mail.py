"""E-mails about reviews: to owners with undecided scopes every few days, and once to others when the day has come."""

from __future__ import annotations

import datetime as dt
import logging
import smtplib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db.models import Count, F
from django.urls import reverse
from django.utils import timezone

from connectors.core.actor import SCHEDULER
from connectors.flows.events import record_event
from connectors.models import ReviewCampaign, ReviewNotice
from connectors.models.review import ReviewNoticeQuerySet

log = logging.getLogger(__name__)

Kind = ReviewNotice.Kind


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail to one person."""

    notice: ReviewNotice
    user: Any
    subject: str
    text: str


class MailServerAway(Exception):
    """The mail server takes nothing now: the other letters would only wait for it too."""


def remind(now: dt.datetime) -> int:
    """Mails each owner who has undecided scopes when a review opens and then every few days; returns how many.

    One e-mail per owner and review. Whoever cannot open the list gets none. Does nothing where no mail is set up.
    """
    return _post(now, (letter for campaign in _open() for letter in _reminders(campaign, now)))


def escalate(now: dt.datetime) -> int:
    """Mails those who answer for an overdue review once what is undecided; returns how many mails went out."""
    overdue = [campaign for campaign in _open() if campaign.is_overdue(now) and campaign.undecided_count > 0]
    return _post(now, (letter for campaign in overdue for letter in _escalations(campaign)))


def _open() -> list[ReviewCampaign]:
    return list(ReviewCampaign.objects.open().select_related("escalate_to", "opened_by")) if mails() else []


def mails() -> bool:
    """Whether the portal can send e-mail."""
    return bool(settings.EMAIL_CONFIGURED)


def _reminders(campaign: ReviewCampaign, now: dt.datetime) -> Iterable[Letter]:
    counts: Mapping[int, int] = dict(
        campaign.items.filter(decision="").exclude(owner=None).order_by().values_list("owner").annotate(n=Count("pk"))
    )
    notices = _notices(campaign, _reachable(counts), Kind.REMINDER)
    every = campaign.remind_every_days
    due = notices.due(now - dt.timedelta(days=every)) if every else notices.filter(mailed_at=None)
    for notice in due:
        yield _reminder(campaign, notice, counts[notice.user_id], now)


def _escalations(campaign: ReviewCampaign) -> Iterable[Letter]:
    told = [key for key in (campaign.escalate_to_id, campaign.opened_by_id) if key is not None]
    for notice in _notices(campaign, _reachable(told), Kind.ESCALATION).filter(mailed_at=None):
        yield _escalation(campaign, notice)


def _reachable(ids: Iterable[int]) -> list[int]:
    """Those who can open what the mail links to, and have an address."""
    people = get_user_model()._default_manager.filter(pk__in=list(ids), is_active=True, is_staff=True)
    return list(people.exclude(email="").values_list("pk", flat=True))


def _notices(campaign: ReviewCampaign, users: list[int], kind: ReviewNotice.Kind) -> ReviewNoticeQuerySet:
    wanted = [ReviewNotice(campaign=campaign, user_id=user, kind=kind) for user in users]
    ReviewNotice.objects.bulk_create(wanted, ignore_conflicts=True)
    return ReviewNotice.objects.filter(campaign=campaign, kind=kind, user__in=users).select_related("user")


def _post(now: dt.datetime, letters: Iterable[Letter]) -> int:
    """Sends each letter that this worker is the first to claim. One that the server refused is tried again later."""
    sent = 0
    try:
        for letter in letters:
            sent += _send(letter, now)
    except MailServerAway as error:
        log.error("E-mails about reviews could not be sent: %s", error)
    return sent


def _send(letter: Letter, now: dt.datetime) -> bool:
    before = letter.notice.mailed_at
    mine = ReviewNotice.objects.filter(pk=letter.notice.pk, mailed_at=before)
    if not mine.update(mailed_at=now, count=F("count") + 1):
        return False
    try:
        EmailMessage(letter.subject, letter.text, to=[letter.user.email]).send()
    except smtplib.SMTPRecipientsRefused:
        # Only this address is wrong: the next person's may be right. It is tried again when it is due again.
        ReviewNotice.objects.filter(pk=letter.notice.pk).update(count=F("count") - 1)
        log.error("The mail server refuses the address of %s", letter.user.get_username())
        return False
    except (OSError, smtplib.SMTPException) as error:
        ReviewNotice.objects.filter(pk=letter.notice.pk).update(mailed_at=before, count=F("count") - 1)
        raise MailServerAway(type(error).__name__) from None
    if letter.notice.kind == Kind.ESCALATION:
        after = {"to": letter.user.get_username(), "undecided": letter.notice.campaign.undecided_count}
        record_event(SCHEDULER, "review.escalated", letter.notice.campaign, after=after)
    return True


def _reminder(campaign: ReviewCampaign, notice: ReviewNotice, count: int, now: dt.datetime) -> Letter:
    day = timezone.localtime(campaign.due_at).date().isoformat()
    late = campaign.is_overdue(now)
    subject = f"{_line(campaign.name)}: {_scopes(count)} to decide on, {'overdue since' if late else 'by'} {day}"
    lines = [
        f"You answer for apps whose access is being reviewed. {_scopes(count, capital=True)} still "
        f"{'waits' if count == 1 else 'wait'} for you: keep, narrow or remove each"
        + (f". This was due on {day}." if late else f", by {day}."),
        "",
        _link("decide", campaign),
    ]
    if campaign.instructions.strip():
        lines += ["", "What to look for:", campaign.instructions.strip()]
    return Letter(notice, notice.user, subject, "\n".join(lines))


def _escalation(campaign: ReviewCampaign, notice: ReviewNotice) -> Letter:
    day = timezone.localtime(campaign.due_at).date().isoformat()
    rows = campaign.items.filter(decision="").order_by().values_list("owner_label").annotate(n=Count("pk"))
    owners = sorted(rows, key=lambda row: (-row[1], row[0]))
    left, are = _scopes(campaign.undecided_count, capital=True), "is" if campaign.undecided_count == 1 else "are"
    lines = [
        f"The access review “{campaign.name}” was due on {day}. {left} of {campaign.item_count} {are} undecided:",
        "",
        *[f"{count:>6}  {owner or 'nobody in particular'}" for owner, count in owners[:50]],
        *([f"        and {len(owners) - 50} more"] if len(owners) > 50 else []),
        "",
        _link("change", campaign),
    ]
    subject = f"{_line(campaign.name)}: overdue, {_scopes(campaign.undecided_count)} undecided"
    return Letter(notice, notice.user, subject, "\n".join(lines))


def _scopes(count: int, *, capital: bool = False) -> str:
    if count == 1:
        return "One scope" if capital else "1 scope"
    return f"{count} scopes"


def _line(text: str) -> str:
    """Without line breaks, which no subject may have."""
    return " ".join(text.split())


def _link(page: str, campaign: ReviewCampaign) -> str:
    return f"{settings.PORTAL_URL}{reverse(f'admin:connectors_reviewcampaign_{page}', args=[campaign.pk])}"

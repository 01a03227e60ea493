"""E-mails about approvals: to those who can decide when something is asked, and to whoever asked when it is decided."""

from __future__ import annotations

import datetime as dt
import logging
import smtplib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db.models import F, Q
from django.urls import reverse

from connectors.flows.approvals import DECIDE
from connectors.models import Approval, Membership, Project
from connectors.models.visibility import may

log = logging.getLogger(__name__)

State = Approval.State
TOLD_OF = (State.OPEN, State.APPROVED, State.DECLINED)
AT_ONCE = 100
"""Approvals of which one round tells people; the next round comes soon."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail to one person."""

    user: Any
    subject: str
    text: str


def tell(now: dt.datetime) -> int:
    """Mails what people do not know of yet, each state of an approval once; how many mails went out.

    Does nothing where no mail is set up. When the mail server is away, the next round tries again.
    """
    if not settings.EMAIL_CONFIGURED:
        return 0
    rows = Approval.objects.filter(state__in=TOLD_OF, expires_at__gt=now).exclude(told_state=F("state"))
    declined = Approval.objects.filter(state=State.DECLINED, decided_at__gt=now - dt.timedelta(days=1))
    untold = rows | declined.exclude(told_state=State.DECLINED)
    sent = 0
    for row in untold.select_related("project", "asked_by").order_by("pk")[:AT_ONCE]:
        sent += _tell(row)
    return sent


def deciders(project: Project, *, besides: int | None) -> list[User]:
    """Those who may decide in the project, can log in and have an address; without the one who asked."""
    codename = DECIDE.partition(".")[2]
    roles = Membership.objects.at(project).allowing(codename)
    permission = {"codename": codename, "content_type__app_label": "connectors"}
    by_django = {f"user_permissions__{key}": value for key, value in permission.items()}
    by_group = {f"groups__permissions__{key}": value for key, value in permission.items()}
    candidates = User.objects.filter(
        Q(is_superuser=True)
        | Q(pk__in=roles.exclude(user=None).values("user"))
        | Q(groups__in=roles.exclude(group=None).values("group"))
        | Q(**by_django)
        | Q(**by_group),
        is_active=True,
        is_staff=True,
    ).exclude(email="")
    found = candidates.exclude(pk=besides or 0).distinct().order_by("pk")
    return [user for user in found if may(user, DECIDE, project)]


def _tell(row: Approval) -> int:
    """Claims the row, so that two workers never send one letter twice, and gives it back if nobody could be told."""
    before = row.told_state
    if not Approval.objects.filter(pk=row.pk, state=row.state, told_state=before).update(told_state=row.state):
        return 0
    sent, away = _post(list(_letters(row)))
    if away and not sent:
        Approval.objects.filter(pk=row.pk, told_state=row.state).update(told_state=before)
    return sent


def _post(letters: Iterable[Letter]) -> tuple[int, bool]:
    """How many letters the mail server took, and whether it was away."""
    sent = 0
    for letter in letters:
        try:
            EmailMessage(letter.subject, letter.text, to=[letter.user.email]).send()
            sent += 1
        except smtplib.SMTPRecipientsRefused:  # only this address is wrong: the next person's may be right
            log.error("The mail server refuses the address of %s", letter.user.get_username())
        except (OSError, smtplib.SMTPException) as error:
            log.error("E-mails about approvals could not be sent: %s", type(error).__name__)
            return sent, True
    return sent, False


def _letters(row: Approval) -> Iterable[Letter]:
    if row.state == State.OPEN:
        for user in deciders(row.project, besides=row.asked_by_id):
            yield Letter(user, f"To approve: {_line(row.title)}", _asked_text(row))
        return
    asker = row.asked_by
    if asker is not None and asker.is_active and asker.email:
        yield Letter(asker, f"{row.get_state_display()}: {_line(row.title)}", _decided_text(row))


def _asked_text(row: Approval) -> str:
    return "\n".join(
        [
            f"{row.asked_by_label} wants to do this, and somebody else has to agree:",
            "",
            *[f"  {line}" for line in row.proposal.get("lines", [])[:30]],
            "",
            f"Why: {row.reason}",
            "",
            f"Look at it and decide: {_link(row)}",
        ]
    )


def _decided_text(row: Approval) -> str:
    note = ["", f"Note: {row.decision_note}"] if row.decision_note else []
    word = "approved" if row.state == State.APPROVED else "declined"
    end = ["", "It can be done once, within a day."] if row.state == State.APPROVED else []
    return "\n".join([f"{row.decided_by_label} has {word} what you asked for.", *note, *end, "", _link(row)])


def _line(text: str) -> str:
    """Without line breaks, which no subject may have."""
    return " ".join(text.split())


def _link(row: Approval) -> str:
    return f"{settings.PORTAL_URL}{reverse('admin:connectors_approval_change', args=[row.pk])}"

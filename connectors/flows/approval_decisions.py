"""Deciding on what somebody else wants to do, and taking a request or an approval back."""

from __future__ import annotations

import datetime as dt

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from connectors.core.actor import Actor, Door
from connectors.core.errors import Refused
from connectors.flows.approvals import DECIDE, USABLE_FOR
from connectors.flows.events import record_event
from connectors.flows.export_choices import Choices
from connectors.flows.repository_runs import ask_export
from connectors.models import Approval, Event, Repository
from connectors.models.visibility import may

State = Approval.State

OVER = "This is over already: somebody else has decided on it, it was withdrawn, or its time is up."
CHANGE_DEMAND = "connectors.change_approvaldemand"
AUTHORS = ("connector.declared", "connector.changed", "connector.undeclared", "project.changed")
"""Events of whoever decides what a project declares and where it is written."""


def why_not_decide(row: Approval, user: User, now: dt.datetime) -> str:
    """Why this person cannot decide on the request, as a sentence; "" when they can."""
    if row.state != State.OPEN or row.expires_at <= now:
        state = State.EXPIRED if row.state == State.OPEN else State(row.state)
        return f"Nothing is to be decided here any more: {state.label.lower()}."
    if row.asked_by_id == user.pk:
        return "You asked for this yourself. Somebody else has to decide on it."
    if row.asked_by_id is None and _is_author(row, user):
        return "Nobody in person asked for this, and it holds what you changed yourself. Somebody else has to decide."
    if not may(user, DECIDE, row.project):
        return "Deciding needs the permission to approve what others want to do in this project."
    return ""


def _is_author(row: Approval, user: User) -> bool:
    """Whether this person has changed what the project declares since somebody last approved such a thing there.

    What the portal or the shell asks for has no asker in person: without this, one who lets a schedule ask for what
    they declared themself could agree to it as well.
    """
    done = Approval.objects.filter(project=row.project_id, subject=row.subject, state=State.USED)
    last = done.aggregate(at=Max("used_at"))["at"]
    theirs = Event.objects.filter(project=row.project_id, user=user.pk, verb__in=AUTHORS).order_by()
    return (theirs.filter(at__gt=last) if last is not None else theirs).exists()


@transaction.atomic
def decide(
    row: Approval, user: User, actor: Actor, *, approve: bool, note: str = "", now: dt.datetime | None = None
) -> Approval:
    """Approves what another person asked for, or declines it; what was approved is usable for a day, once.

    An export to a repository that was approved is asked for at once. Raises Refused as `why_not_decide` says, for a no
    without a word why, and when somebody else was quicker.
    """
    now = now or timezone.now()
    if problem := why_not_decide(row, user, now):
        raise Refused(problem)
    if not approve and not note.strip():
        raise Refused("Say why you decline: whoever asked has to know what to do instead.")
    state = State.APPROVED if approve else State.DECLINED
    said = {"decided_by": user, "decided_by_label": actor.label[:200], "decided_at": now, "decision_note": note.strip()}
    ends = {"expires_at": now + USABLE_FOR} if approve else {}
    if not Approval.objects.filter(pk=row.pk, state=State.OPEN, expires_at__gt=now).update(state=state, **said, **ends):
        raise Refused(OVER)
    row.refresh_from_db()
    after = {"what": row.title, "asked_by": row.asked_by_label}
    record_event(actor, f"approval.{state.value}", row, after=after, reason=row.decision_note)
    if approve:
        _carry_on(row)
    return row


def may_withdraw(row: Approval, user: User) -> bool:
    """Whoever asked, whoever approved, and whoever may say what needs approval there; while there is anything left."""
    if row.state not in (State.OPEN, State.APPROVED):
        return False
    return user.pk in (row.asked_by_id, row.decided_by_id) or may(user, CHANGE_DEMAND, row.project)


@transaction.atomic
def withdraw(row: Approval, user: User, actor: Actor, *, note: str = "") -> Approval:
    """Takes back a request, or an approval that nobody has used yet.

    Raises Refused for somebody else's, and for one that is over.
    """
    if not may_withdraw(row, user):
        raise Refused(OVER if row.state not in (State.OPEN, State.APPROVED) else "This is not yours to take back.")
    if not Approval.objects.filter(pk=row.pk, state=row.state).update(state=State.WITHDRAWN):
        raise Refused(OVER)
    before = {"state": row.state}
    row.refresh_from_db()
    record_event(actor, "approval.withdrawn", row, before=before, after={"what": row.title}, reason=note.strip())
    return row


def _carry_on(row: Approval) -> None:
    """Lets an export that waited go on. Its run finds the approval by itself, if nothing has changed."""
    if "repository" not in row.proposal:
        return
    repository = Repository.objects.in_use().filter(pk=row.proposal["repository"]).first()
    if repository is not None:
        asker = Actor(row.asked_by_label, Door.TASK, row.asked_by_id)
        ask_export(repository, asker, row.reason[:200], Choices.from_json(row.proposal["choices"]))

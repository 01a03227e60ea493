"""Four eyes: what needs another person's approval, asking for it, and using it up, each approval once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.approval import fingerprint_of
from connectors.core.errors import Refused
from connectors.flows.events import record_event
from connectors.models import Approval, ApprovalDemand, Project
from connectors.models.approval import ApprovalQuerySet, Subject
from connectors.models.visibility import may

State = Approval.State

DECIDE = "connectors.decide_approval"

ASKED_FOR = dt.timedelta(days=7)
"""How long somebody can decide on what was asked."""

USABLE_FOR = dt.timedelta(hours=24)
"""How long an approval allows what it is about; after a day somebody looks again."""


class ApprovalNeeded(Refused):
    """Another person has to approve this first; nothing was done. `approval` is the one that waits, if any does."""

    def __init__(self, text: str, approval: Approval | None = None) -> None:
        super().__init__(text)
        self.approval = approval


@dataclass(frozen=True, slots=True)
class Matter:
    """What somebody wants to do in one project, exactly.

    `facts` are what an approval covers (see `core.approval.fingerprint_of`). `shown` is what people are shown of it;
    its `lines` say in words all that would be done, one line each. Neither holds a secret.
    """

    subject: Subject
    project: Project
    title: str
    facts: Mapping[str, Any]
    shown: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Another one as soon as anything else would be done, or in another project."""
        return fingerprint_of(self.subject.value, {"project": self.project.pk, **self.facts})

    @property
    def lines(self) -> list[str]:
        return list(self.shown.get("lines", ()))


def demanded(project: Project, subject: Subject) -> bool:
    """Whether this needs another person's approval in the project's environment."""
    return project.pk in demanding([project], subject)


def demanding(projects: Collection[Project], subject: Subject) -> set[int]:
    """The ids of those of the projects in which this needs another person's approval. One query."""
    workspaces = {project.workspace_id for project in projects}
    rows = ApprovalDemand.objects.filter(Q(workspace=None) | Q(workspace__in=workspaces)).order_by()
    places = {
        (workspace, environment)
        for workspace, environment, subjects in rows.values_list("workspace", "environment", "subjects")
        if subject.value in subjects
    }
    return {
        project.pk
        for project in projects
        if {(None, project.environment), (project.workspace_id, project.environment)} & places
    }


@transaction.atomic
def ask(matter: Matter, actor: Actor, reason: str, *, now: dt.datetime | None = None) -> Approval:
    """What waits for another person now: a new request, or the one for exactly this that there is already.

    One that was approved already is given back when `actor` may use it. Raises Refused without a reason, and where
    nobody else has to approve it.
    """
    now = now or timezone.now()
    if not demanded(matter.project, matter.subject):
        raise Refused(f"{matter.subject.label} needs nobody else's approval in {matter.project}.")
    if not reason.strip():
        raise Refused("Say why: whoever decides has nothing else to go by.")
    same = of_print(matter.subject, matter.project, matter.fingerprint)
    end(same.filter(expires_at__lte=now), now)
    if found := standing(same, actor, now):
        return found
    try:
        with transaction.atomic():
            made = _made(matter, actor, reason.strip(), now)
    except IntegrityError:
        return same.get(state=State.OPEN)  # somebody else asked for just this at the same moment
    record_event(actor, "approval.asked", made, after={"what": made.title, "lines": matter.lines}, reason=made.reason)
    return made


def standing(same: ApprovalQuerySet, actor: Actor, now: dt.datetime) -> Approval | None:
    """Of these the one that counts for `actor`: approved by somebody else, or still waiting."""
    usable = next((row for row in same.usable(now).select_related("decided_by") if counts_for(row, actor)), None)
    return usable or same.waiting(now).first()


@transaction.atomic
def check(
    subject: Subject,
    project: Project,
    fingerprint: str,
    actor: Actor,
    *,
    again: bool = False,
    now: dt.datetime | None = None,
) -> Approval | None:
    """Uses up another person's approval of exactly this; None where none is needed.

    Call it in the transaction of what it allows, so that both stand or fall together. With `again` one that was used
    before counts too, for what does no more when it is done twice. Raises ApprovalNeeded where there is none.
    """
    if not demanded(project, subject):
        return None
    now = now or timezone.now()
    same = of_print(subject, project, fingerprint).select_related("project", "decided_by")
    if again and (used := next((row for row in same.filter(state=State.USED) if counts_for(row, actor)), None)):
        return used
    for row in same.usable(now):
        if counts_for(row, actor) and _use(row, actor, now):
            return row
    raise _needed(subject, project, same, actor, now)


def allow(matters: Iterable[Matter], actor: Actor) -> list[Approval]:
    """As `check`, for all of these or for none; gives the approvals that were used. One query where none is needed."""
    wanted = needing(matters)
    if not wanted:
        return []
    with transaction.atomic():
        used = [check(matter.subject, matter.project, matter.fingerprint, actor) for matter in wanted]
    return [approval for approval in used if approval is not None]


def needing(matters: Iterable[Matter]) -> list[Matter]:
    """Those of these that need another person's approval. One query for each kind of matter."""
    listed = list(matters)
    subjects = {matter.subject for matter in listed}
    watched = {subject: demanding([m.project for m in listed if m.subject is subject], subject) for subject in subjects}
    return [matter for matter in listed if matter.project.pk in watched[matter.subject]]


def of_print(subject: Subject, project: Project, fingerprint: str) -> ApprovalQuerySet:
    """All that was ever asked for exactly this, the newest first."""
    return Approval.objects.filter(project=project, subject=subject, fingerprint=fingerprint).order_by("-pk")


def counts_for(row: Approval, actor: Actor) -> bool:
    """Whether an approval was given by another person than the one who acts, who may still give such approvals.

    Nobody is behind the shell and the scheduler, so that every person is another one.
    """
    if row.decided_by is None or row.decided_by_id in (actor.user_id, row.asked_by_id):
        return False
    return may(row.decided_by, DECIDE, row.project)


def expire(now: dt.datetime) -> int:
    """Ends what nobody decided on or used in time; returns how many."""
    return end(Approval.objects.filter(expires_at__lte=now), now)


def end(rows: ApprovalQuerySet, now: dt.datetime) -> int:
    """Ends those of these that are waiting or approved and whose time is up, each once and on record."""
    ended = 0
    for row in rows.filter(state__in=[State.OPEN, State.APPROVED], expires_at__lte=now).select_related("project"):
        with transaction.atomic():
            mine = Approval.objects.filter(pk=row.pk, state=row.state, expires_at__lte=now)
            if mine.update(state=State.EXPIRED):
                record_event(SCHEDULER, "approval.expired", row, before={"state": row.state})
                ended += 1
    return ended


def _made(matter: Matter, actor: Actor, reason: str, now: dt.datetime) -> Approval:
    return Approval.objects.create(
        subject=matter.subject,
        project=matter.project,
        title=matter.title[:200],
        proposal=dict(matter.shown),
        fingerprint=matter.fingerprint,
        reason=reason,
        asked_by_id=actor.user_id,
        asked_by_label=actor.label[:200],
        expires_at=now + ASKED_FOR,
    )


def _use(row: Approval, actor: Actor, now: dt.datetime) -> bool:
    """Takes the approval; False when somebody else was quicker, or it was withdrawn this moment."""
    mine = Approval.objects.filter(pk=row.pk, state=State.APPROVED, expires_at__gt=now)
    if not mine.update(state=State.USED, used_at=now):
        return False
    row.state, row.used_at = State.USED, now
    record_event(actor, "approval.used", row, after={"what": row.title, "approved_by": row.decided_by_label})
    return True


def _needed(
    subject: Subject, project: Project, same: ApprovalQuerySet, actor: Actor, now: dt.datetime
) -> ApprovalNeeded:
    """Why it may not be done now, and what to do about that."""
    own = same.usable(now).filter(decided_by=actor.user_id).first() if actor.user_id else None
    if own is not None:
        text = f"You approved this yourself (approval #{own.pk}): somebody else has to carry it out."
        return ApprovalNeeded(text, own)
    if waiting := same.waiting(now).first():
        text = f"This waits for another person's approval (#{waiting.pk}), asked for by {waiting.asked_by_label}."
        return ApprovalNeeded(f"{text} Nothing was done.", waiting)
    what = f"{subject.label} needs another person's approval in {project}."
    return ApprovalNeeded(f"{what} Nothing was done: ask for it, and give a reason.")

"""Exceptions from policies: asked for with a reason and an end, decided by somebody else, and over when it is time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.errors import Refused
from connectors.flows.approvals import demanded
from connectors.flows.events import Change, record_event, record_events
from connectors.flows.policies import recheck
from connectors.models import PolicyException, PolicyRule, Project
from connectors.models.approval import Subject

State = PolicyException.State

LONGEST = dt.timedelta(days=366)
"""No exception lasts for ever: after a year somebody has to want it anew."""

DECIDE = "connectors.decide_policyexception"
CHANGE_RULE = "connectors.change_policyrule"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for. `type_slug` "" means all types of the project, `scope` "" all that the rule means."""

    rule: PolicyRule
    project: Project
    reason: str
    owner: User
    expires_at: dt.datetime
    type_slug: str = ""
    scope: str = ""


@transaction.atomic
def request_exception(wish: Wish, actor: Actor, *, now: dt.datetime | None = None) -> PolicyException:
    """Asks for an exception; nothing changes until somebody else grants it.

    Raises Refused without a reason, for an end that is past or more than `LONGEST` away, for an owner who cannot log
    in, and while the same is waiting or granted already.
    """
    refuse_faults(wish, now or timezone.now())
    row = PolicyException.objects.create(
        rule=wish.rule,
        project=wish.project,
        type_slug=wish.type_slug,
        scope=wish.scope.strip(),
        reason=wish.reason.strip(),
        owner=wish.owner,
        owner_label=wish.owner.get_username()[:200],
        expires_at=wish.expires_at,
        requested_by_id=actor.user_id,
        requested_by_label=actor.label[:200],
    )
    record_event(actor, "policy_exception.requested", row, after=_shown(row), note=row.reason)
    return row


def why_not_decide(row: PolicyException, user: User) -> str:
    """Why this person cannot decide on the request, as a sentence; "" when they can."""
    if row.state != State.REQUESTED:
        return f"This request is not waiting any more: it is {row.get_state_display().lower()}."
    if row.requested_by_id == user.pk:
        return "You asked for this exception yourself. Somebody else has to decide on it."
    if demanded(row.project, Subject.EXCEPTION) and not user.has_perm(DECIDE, row):
        return "Here it takes a person who may grant and decline policy exceptions, whoever may change the policies."
    if row.rule.effect == PolicyRule.Effect.BLOCK:
        if not user.has_perm(CHANGE_RULE, row.rule):
            return "This policy blocks: only somebody who may change the policies can decide on exceptions from it."
    elif not user.has_perm(DECIDE, row.project):
        return "Deciding needs the permission to grant and decline policy exceptions."
    return ""


@transaction.atomic
def decide_exception(
    row: PolicyException, user: User, actor: Actor, *, grant: bool, note: str = "", now: dt.datetime | None = None
) -> PolicyException:
    """Grants or declines a request; a granted one counts at once.

    Raises Refused as `why_not_decide` says, for one whose end has come meanwhile, and for no without a word why.
    """
    now = now or timezone.now()
    if problem := why_not_decide(row, user):
        raise Refused(problem)
    if grant and row.expires_at <= now:
        raise Refused("The end that was asked for has passed. Ask for a new exception.")
    if not grant and not note.strip():
        raise Refused("Say why you decline: whoever asked has to know what to do instead.")
    state = State.GRANTED if grant else State.DECLINED
    said = {"decided_by": user, "decided_by_label": actor.label[:200], "decided_at": now, "decision_note": note.strip()}
    if not PolicyException.objects.filter(pk=row.pk, state=State.REQUESTED).update(state=state, **said):
        raise Refused("Somebody else has decided on this request meanwhile.")
    row.refresh_from_db()
    record_event(actor, f"policy_exception.{state.value}", row, after=_shown(row), note=row.decision_note)
    recheck([row.project_id], now=now)
    return row


@transaction.atomic
def withdraw_exception(row: PolicyException, actor: Actor, *, note: str = "") -> PolicyException:
    """Takes back a request, or ends a granted exception before its time: the rule counts again at once.

    Raises Refused for one that is over already.
    """
    open_ = PolicyException.objects.filter(pk=row.pk, state__in=[State.REQUESTED, State.GRANTED])
    if not open_.update(state=State.WITHDRAWN):
        raise Refused("This exception is over already.")
    before = {"state": row.state}
    row.refresh_from_db()
    record_event(actor, "policy_exception.withdrawn", row, before=before, after=_shown(row), note=note.strip())
    recheck([row.project_id])
    return row


@transaction.atomic
def expire(now: dt.datetime) -> int:
    """Ends the exceptions whose time is up, so that their rules count again; returns how many there were."""
    over = PolicyException.objects.select_for_update().filter(state=State.GRANTED, expires_at__lte=now)
    rows = list(over)
    PolicyException.objects.filter(pk__in=[row.pk for row in rows]).update(state=State.ENDED)
    record_events(SCHEDULER, "policy_exception.ended", [Change(row, {"state": row.state}) for row in rows])
    recheck({row.project_id for row in rows}, now=now)
    return len(rows)


def refuse_faults(wish: Wish, now: dt.datetime) -> None:
    """Raises Refused for a request that makes no sense, or that is there already."""
    if not wish.reason.strip():
        raise Refused("Say why the exception is needed: whoever decides has nothing else to go by.")
    if wish.expires_at <= now:
        raise Refused("The end of the exception has to lie in the future.")
    if wish.expires_at > now + LONGEST:
        raise Refused("An exception lasts a year at most; it can be asked for again.")
    if not (wish.owner.is_active and wish.owner.is_staff):
        raise Refused(f"{wish.owner.get_username()} cannot log in here, so nobody would answer for the exception.")
    if twin := _same(wish).first():
        raise Refused(f"This was asked for already: exception #{twin.pk} is {twin.get_state_display().lower()}.")


def _same(wish: Wish) -> QuerySet[PolicyException]:
    """Requests of just this that wait or are granted. A granted one can be asked for again to make it last longer."""
    same = PolicyException.objects.filter(
        rule=wish.rule, project=wish.project, type_slug=wish.type_slug, scope=wish.scope.strip()
    )
    return same.filter(state=State.REQUESTED) | same.filter(state=State.GRANTED, expires_at__gte=wish.expires_at)


def _shown(row: PolicyException) -> dict[str, str]:
    return {
        "policy": row.rule.name,
        "type": row.type_slug or "all",
        "scope": row.scope or "all",
        "owner": row.owner_label,
        "expires": row.expires_at.isoformat(timespec="minutes"),
        "state": row.state,
    }

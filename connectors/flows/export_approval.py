"""Where an export to a repository needs approval: what another person approved is written, the rest is asked for."""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction

from connectors.flows.approval_matters import repository_matter
from connectors.flows.approvals import ApprovalNeeded, Matter, ask, check, demanding, of_print
from connectors.flows.export_order import Order
from connectors.flows.export_terms import ProjectExport, RepositoryExport
from connectors.models import Approval, Project, Repository
from connectors.models.approval import Subject

BY_ITSELF = "The portal exports this by itself."
ENDED = frozenset({Approval.State.DECLINED, Approval.State.WITHDRAWN})


def needing_approval(plan: RepositoryExport) -> list[Project]:
    """The projects of the plan whose files another person has to approve."""
    found = [row.project for row in plan.projects if _holds_connectors(row)]
    watched = demanding(found, Subject.EXPORT) if found else set()
    return [project for project in found if project.pk in watched]


def withhold(order: Order, plan: RepositoryExport) -> RepositoryExport:
    """The plan without the files that need an approval which nobody has given: it is asked for, once for each content.

    What was approved is used up here, before anything is written, and stays allowed to the later attempts of the same
    run. A pull request that is brought up to date once more may hold what was approved for it.
    """
    watched = {project.pk for project in needing_approval(plan)}
    if not watched:
        return plan
    projects = (
        _judged(order, row) if row.project.pk in watched and _holds_connectors(row) else row for row in plan.projects
    )
    return replace(plan, projects=tuple(projects))


def _holds_connectors(row: ProjectExport) -> bool:
    return any(file.type for file in row.files)


def _judged(order: Order, row: ProjectExport) -> ProjectExport:
    matter = repository_matter(order.repository, row, order.choices)
    if matter.fingerprint in order.allowed:
        return row
    again = order.repository.mode == Repository.Mode.PULL_REQUEST
    try:
        with transaction.atomic():
            check(matter.subject, matter.project, matter.fingerprint, order.actor, again=again)
            order.on_allowed([*order.allowed, matter.fingerprint])
    except ApprovalNeeded:
        return replace(row, files=(), problem=_asked(order, matter), waits=True)
    order.allowed.add(matter.fingerprint)
    return row


def _asked(order: Order, matter: Matter) -> str:
    """Asks for the approval, and says so. What was declined is asked for again only when a person wants just that."""
    last = of_print(matter.subject, matter.project, matter.fingerprint).first()
    if last is not None and last.state in ENDED and not (order.actor.user_id and order.fingerprint):
        return f"not written: its approval #{last.pk} was {last.get_state_display().lower()}."
    waiting = ask(matter, order.actor, order.reason or BY_ITSELF)
    return f"not written: it waits for another person's approval (#{waiting.pk})."

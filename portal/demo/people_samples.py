"""The demo's people: what each may do where, what needs a second pair of eyes, and a request that waits for one."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, User
from django.db import transaction

from connectors.flows.approval_matters import plan_matter
from connectors.flows.approval_rules import save_demand
from connectors.flows.approvals import ask
from connectors.flows.memberships import grant
from connectors.flows.plan import stored_plan
from connectors.models import Approval, ApprovalDemand, Membership, Project, Workspace
from portal.demo.ledger_samples import JONAS, MAYA, actor_of

AUDITORS, LENA = "Auditors", "lena"
NEEDS_APPROVAL = "staging"
"""Not production: what a newcomer tries first must not wait for a colleague."""


@transaction.atomic
def seed_roles(login: str, workspace: Workspace, password: str | None) -> None:
    """Gives the colleagues their roles, and the demo's password while it is known. What is there stays."""
    if Membership.objects.exists():
        return
    giver, actor = _user(login), actor_of(login)
    lena = get_user_model().objects.create(
        username=LENA, first_name="Lena", last_name="Okafor", email=f"{LENA}@acme.example", is_staff=True
    )
    auditors = Group.objects.create(name=AUDITORS)
    lena.groups.add(auditors)
    for name in (MAYA, JONAS, LENA) if password else ():
        person = _user(name)
        person.set_password(password)
        person.save(update_fields=["password"])
    projects = {row.slug: row for row in Project.objects.filter(workspace=workspace)}
    grant(actor, giver, group=auditors, role="auditor", workspace=workspace)
    for name, role, slug in (
        (MAYA, "owner", "helpdesk"),
        (MAYA, "viewer", "storefront"),
        (JONAS, "editor", "helpdesk"),
        (JONAS, "owner", "insights"),
    ):
        if slug in projects:
            grant(actor, giver, user=_user(name), role=role, project=projects[slug])


def seed_approvals(login: str, workspace: Workspace) -> None:
    """Lets staging demand a second person, and has Jonas ask for one. Nothing where anything is demanded already."""
    if ApprovalDemand.objects.exists() or Approval.objects.exists():
        return
    rule = ApprovalDemand(workspace=workspace, environment=NEEDS_APPROVAL, subjects=["plan", "revoke"])
    save_demand(rule, actor_of(login))
    project = Project.objects.filter(workspace=workspace, environment=NEEDS_APPROVAL).first()
    if project is None:
        return
    plan = stored_plan(project)
    if plan is not None and plan.actions:
        ask(plan_matter(project, plan, ()), actor_of(JONAS), "Support wants tickets from the web form by Monday.")


def _user(name: str) -> User:
    return User.objects.get(username=name)

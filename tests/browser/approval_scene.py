"""Rules that demand a second person, and what was asked for: waiting, changed since, approved, declined."""

from __future__ import annotations

from django.contrib.auth.models import User

from connectors.core.actor import Actor, Door
from connectors.flows.apply import ask_to_apply
from connectors.flows.approval_decisions import decide
from connectors.flows.approval_matters import files_matter
from connectors.flows.approvals import ask
from connectors.flows.export_files import plan_zip
from connectors.flows.plan import stored_plan
from connectors.models import Approval, ApprovalDemand, Connector, Project, Workspace
from tests.factories import make_connector, make_demand, make_project

WHY = "The release bot has to post into the channel of the launch, which is on Thursday.\nAgreed upon with the team."


def make_approvals(admin: User) -> tuple[ApprovalDemand, Approval]:
    """The rule and the approval that show most: a plan that waits for the admin."""
    rule = make_demand("plan", "export", workspace=Workspace.objects.get(name="Acme Labs"), environment="staging")
    ben = Actor("ben", Door.ADMIN, User.objects.get(username="ben").pk)
    notes = Project.objects.select_related("workspace").get(slug="release-notes")
    old = _ask_plan(notes, ben)
    row = Connector.objects.filter(project=notes, is_declared=True).exclude(scopes=[])[0]
    Connector.objects.filter(pk=row.pk).update(scopes=[*row.scopes[:-1], "channels:history"])
    waiting = _ask_plan(notes, ben)
    assert old != waiting
    _ask_files(notes, ben)
    retired = make_project("old-notes", workspace=notes.workspace, environment="staging")
    make_connector(retired, "slackbot", ["chat:write"])
    declined = _ask_files(retired, ben)
    decide(declined, admin, Actor("ada", Door.ADMIN, admin.pk), approve=False, note="It is to be switched off.")
    return rule, waiting


def _ask_plan(project: Project, actor: Actor) -> Approval:
    plan = stored_plan(project)
    assert plan is not None
    return ask_to_apply(project, plan, [action.type for action in plan.destructive], actor, WHY)


def _ask_files(project: Project, actor: Actor) -> Approval:
    (result,) = plan_zip([project])
    return ask(files_matter(project, result.changes), actor, "For the yearly audit.")

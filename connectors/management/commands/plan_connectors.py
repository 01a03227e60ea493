"""`manage.py plan_connectors`: what a push would do at Base44."""

from __future__ import annotations

from typing import Any

from connectors.core.errors import PortalError
from connectors.core.plan import Plan
from connectors.flows.plan import show_plan
from connectors.management.commands._base import DONE, FAILED, Clients, ProjectCommand, shell_actor
from connectors.management.commands._plans import plan_rows, plan_summary
from connectors.models import Project


class Command(ProjectCommand):
    """Reads Base44, changes nothing there."""

    help = "Show what push_connectors would do at Base44"

    def work(self, options: dict[str, Any]) -> int:
        """One plan for each project; 1 when Base44 could not be read for one."""
        clients, projects, documents = Clients(), self.projects(options), []
        with self.progress(len(projects), "Planning") as advance:
            for project in projects:
                documents.append(self._plan(project, clients, options))
                advance(1)
        self.print_projects(options, documents)
        return FAILED if any(document["problem"] for document in documents) else DONE

    def _plan(self, project: Project, clients: Clients, options: dict[str, Any]) -> dict[str, Any]:
        try:
            plan = show_plan(project, clients.of(project), shell_actor())
        except PortalError as error:
            self.warn(f"{project.slug}: {error}")
            return {"project": project.slug, "results": [], "warnings": [], "problem": str(error)}
        self.heading(options, project, plan_summary(plan))
        self.print_rows(plan_rows(plan))
        policies = (note.text for action in plan.actions for note in action.policy if not note.stops)
        for warning in (*plan.warnings, *policies):
            self.warn(f"{project.slug}: {warning}")
        return document_of(project, plan)


def document_of(project: Project, plan: Plan) -> dict[str, Any]:
    """The JSON of one plan."""
    return {"project": project.slug, "results": plan.rows(), "warnings": list(plan.warnings), "problem": ""}

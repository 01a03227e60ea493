"""`manage.py discover_projects`: the apps of a workspace, and projects made from them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from connectors.flows.connect import client_for
from connectors.flows.discover import FoundApp, choose, create_projects, list_apps
from connectors.management.commands._base import DONE, PortalCommand, find_workspace, shell_actor
from connectors.models import Project


class Command(PortalCommand):
    """Without --create or --create-all it only lists."""

    help = "List the apps of a workspace at Base44, and create projects from them"

    def add_arguments(self, parser: CommandParser) -> None:
        """The workspace, and which apps to take."""
        super().add_arguments(parser)
        parser.add_argument("--workspace", metavar="NAME", required=True)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--create", metavar="APP_ID", nargs="+", action="extend", help="make projects of these apps")
        which.add_argument("--create-all", action="store_true", help="make projects of all apps that have none")
        parser.add_argument(
            "--environment", choices=Project.Environment.values, help="of the new projects (default: development)"
        )

    def work(self, options: dict[str, Any]) -> int:
        """Lists, creates, and prints one row for each app."""
        workspace, actor = find_workspace(options["workspace"]), shell_actor()
        found = list_apps(workspace, client_for(workspace))
        chosen = found.new if options["create_all"] else choose(found, options["create"] or [])
        created = create_projects(workspace, chosen, actor, options["environment"])
        by_app = {project.app_id: project for project in created}
        rows = [_row(app, by_app.get(app.app_id)) for app in found.apps]
        for row in rows:
            if not self.as_json:
                place = f"  -> {row['project']}" if row["project"] else ""
                self.say(f"  {row['action']:<7}  {row['app_id']}  {row['name']}{place}")
        if not self.as_json:
            self.say(_summary(rows))
        if found.capped:
            self.warn("Base44 lists at most 50 apps, and listed 50: there may be more. Add those with add_project.")
        self.print_json({"workspace": workspace.name, "capped": found.capped, "results": rows})
        return DONE


def _row(app: FoundApp, created: Project | None) -> dict[str, Any]:
    project = created or app.project
    action, reason = ("created", "A project was made.") if created else ("new", "It has no project yet.")
    if app.project:
        action, reason = "known", "It has a project."
    return {
        "type": "app",
        "action": action,
        "reason": reason,
        "app_id": app.app_id,
        "name": app.name,
        "project": project.slug if project else None,
    }


def _summary(rows: list[dict[str, Any]]) -> str:
    actions = [row["action"] for row in rows]
    counts = ", ".join(f"{actions.count(word)} {word}" for word in ("created", "new", "known") if word in actions)
    return f"{len(rows)} apps: {counts}." if rows else "Base44 lists no apps in this workspace."

"""`manage.py add_project`: one Base44 app that the portal is to manage."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from connectors.flows.setup import add_project
from connectors.management.commands._base import DONE, PortalCommand, find_workspace, shell_actor
from connectors.models import Project


class Command(PortalCommand):
    """Adding the same project again is fine; with other values it is refused."""

    help = "Add a project: one Base44 app"

    def add_arguments(self, parser: CommandParser) -> None:
        """SLUG and the app."""
        super().add_arguments(parser)
        parser.add_argument("slug", metavar="SLUG", help="short name, for the shell and for folders")
        parser.add_argument("--workspace", metavar="NAME", required=True)
        parser.add_argument("--app-id", metavar="ID", required=True, help="the id in the app's address at Base44")
        parser.add_argument("--environment", choices=Project.Environment.values, help="(default: development)")
        parser.add_argument("--name", help="the project's name (default: its slug)")

    def work(self, options: dict[str, Any]) -> int:
        """Adds it, or finds it as it should be."""
        slug = options["slug"]
        new = not Project.objects.filter(slug=slug).exists()
        workspace = find_workspace(options["workspace"])
        add_project(slug, workspace, options["app_id"], options["environment"], shell_actor(), name=options["name"])
        action = "added" if new else "unchanged"
        if not self.as_json:
            self.say(f"{slug} {action}.")
        self.print_json({"project": slug, "results": [{"type": "project", "action": action, "reason": ""}]})
        return DONE

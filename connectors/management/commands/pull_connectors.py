"""`manage.py pull_connectors`: what differs at Base44, and into the portal with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandParser

from connectors.core.errors import PortalError
from connectors.core.pull import PullChange
from connectors.flows.pull import accept_pull, show_pull
from connectors.management.commands._base import DONE, FAILED, Clients, ProjectCommand, shell_actor
from connectors.models import Project


class Command(ProjectCommand):
    """Changes nothing at Base44. Without --accept it changes nothing in the portal either."""

    help = "Show what differs at Base44; with --accept take it into the portal"

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether to take it in."""
        super().add_arguments(parser)
        parser.add_argument("--accept", action="store_true", help="take the differences into the portal")
        parser.add_argument(
            "--allow-remove",
            metavar="TYPE",
            nargs="+",
            action="extend",
            default=[],
            help="with --accept: also take these types out of the portal if Base44 has them no more, or all of them",
        )

    def work(self, options: dict[str, Any]) -> int:
        """One project after the other; 1 when one could not be read or taken in."""
        clients, projects, documents = Clients(), self.projects(options), []
        with self.progress(len(projects), "Pulling") as advance:
            for project in projects:
                documents.append(self._pull(project, clients, options))
                advance(1)
        self.print_projects(options, documents)
        return FAILED if any(document["problem"] for document in documents) else DONE

    def _pull(self, project: Project, clients: Clients, options: dict[str, Any]) -> dict[str, Any]:
        try:
            changes = show_pull(project, clients.of(project), shell_actor())
            taken = _chosen(changes, options["allow_remove"]) if options["accept"] else set()
            if taken:
                accept_pull(project, changes, taken, shell_actor())
        except PortalError as error:
            self.warn(f"{project.slug}: {error}")
            return {"project": project.slug, "results": [], "problem": str(error)}
        rows = [_row(change, accepted=change.type in taken) for change in changes]
        verb = f"{len(taken)} taken in" if options["accept"] else "differs"
        self.heading(options, project, verb if rows else "nothing differs")
        self.print_rows(rows)
        left = [change.type for change in changes if change.destructive and change.type not in taken]
        if options["accept"] and left:
            self.warn(
                f"{project.slug}: still in the portal: {', '.join(left)}. "
                f"To take them out: --accept --allow-remove {' '.join(left)}"
            )
        return {"project": project.slug, "results": rows, "problem": ""}


def _chosen(changes: Sequence[PullChange], allowed: Sequence[str]) -> set[str]:
    return {change.type for change in changes if not change.destructive or "all" in allowed or change.type in allowed}


def _row(change: PullChange, *, accepted: bool) -> dict[str, Any]:
    return {
        "type": change.type,
        "action": change.kind.value,
        "reason": change.reason,
        "added": list(change.added),
        "removed": list(change.removed),
        "accepted": accepted,
    }

"""`manage.py import_connectors`: connector files into the portal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from connectors.core.config_files import ProjectFiles, locate_project, locate_projects
from connectors.core.errors import PortalError
from connectors.flows.import_files import Match, apply_import, match_projects
from connectors.flows.import_plan import ImportPlan, plan_import
from connectors.management.commands._base import DONE, FAILED, ProjectCommand, Usage, shell_actor
from connectors.models import Project


class Command(ProjectCommand):
    """Connectors that the files lack stay in the portal, and are named."""

    help = "Import connector files: a file, a connectors or project directory, a zip, or a tree of projects"

    def add_arguments(self, parser: CommandParser) -> None:
        """PATH and whether to write."""
        parser.add_argument("path", metavar="PATH")
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would be imported, and write nothing")

    def work(self, options: dict[str, Any]) -> int:
        """Imports each project whole or not at all; 1 when one was refused."""
        path = Path(options["path"])
        if not path.exists():
            raise Usage(f"There is no file or directory {path}.")
        matches = match_projects(locate_projects(path)) if options["all"] else (_match(path, options, self),)
        documents = []
        with self.progress(len(matches), "Importing") as advance:
            for match in matches:
                documents.append(self._import(match, options))
                advance(1)
        self.print_projects(options, documents)
        refused = [document for document in documents if document["problem"]]
        if options["all"] and not self.as_json:
            self.say(f"{len(documents) - len(refused)} projects imported, {len(refused)} refused.")
        return FAILED if refused else DONE

    def _import(self, match: Match, options: dict[str, Any]) -> dict[str, Any]:
        """Plans, shows and applies one project; the JSON document of it."""
        place = match.files.root or options["path"]
        if match.project is None:
            self.warn(f"{place}: {match.problem}")
            return {"project": None, "path": place, "results": [], "problem": match.problem}
        plan = plan_import(match.project, match.files)
        self._show(plan, options)
        problem = _refusal(plan)
        if not options["dry_run"]:
            # Also when files are refused: the attempt is put on record.
            try:
                apply_import(plan, shell_actor())
            except PortalError as error:
                problem = str(error)
        if problem:
            self.warn(f"{match.project.slug}: {problem}")
        return {"project": match.project.slug, "path": place, "results": plan.rows(), "problem": problem}

    def _show(self, plan: ImportPlan, options: dict[str, Any]) -> None:
        counts = ", ".join(f"{count} {name}" for name, count in plan.counts.items() if count)
        tense = "would be imported: " if options["dry_run"] else ""
        self.heading(options, plan.project, f"{tense}{counts or 'no connector files'}")
        self.print_rows([{**row, "type": row["type"] or row["file"]} for row in plan.rows()])
        for change in plan.changes:
            for note in (*change.notes, *(said.text for said in change.policy if not said.stops)):
                self.warn(f"{plan.project.slug}: {change.type}: {note}")
        for warning in plan.warnings:
            self.warn(f"{plan.project.slug}: {warning}")


def _match(path: Path, options: dict[str, Any], command: ProjectCommand) -> Match:
    (project,) = command.projects(options)
    return Match(_located(path, project), project)


def _located(path: Path, project: Project) -> ProjectFiles:
    """The project's files; of a tree with several projects the one that is this project's."""
    try:
        return locate_project(path)
    except PortalError as error:
        if path.is_file() and path.suffix.lower() != ".zip":
            raise
        try:
            mine = [match.files for match in match_projects(locate_projects(path)) if match.project == project]
        except PortalError:
            raise error from None
        if len(mine) != 1:
            raise
        return mine[0]


def _refusal(plan: ImportPlan) -> str:
    """Why nothing of the project is written, "" when it can be."""
    if not plan.refused:
        stopped = [note.text for change in plan.changes for note in change.policy if note.stops]
        return f"nothing was imported. {' '.join(stopped)}" if stopped else ""
    first, more = str(plan.refused[0]), len(plan.refused) - 1
    return f"nothing was imported. {first}{f' (and {more} more)' if more else ''}"

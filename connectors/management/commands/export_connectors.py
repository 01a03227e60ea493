"""`manage.py export_connectors`: connector files out of the portal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from connectors.core.config_files import FileChange, unified_diff
from connectors.flows.export_files import (
    ExportResult,
    export_all,
    export_to_directory,
    plan_zip,
    record_zip,
    zip_results,
)
from connectors.management.commands._base import DONE, FAILED, ProjectCommand, Usage, shell_actor
from connectors.models import Project

REASONS = {
    "new": "It has no file here yet.",
    "edited": "Its scopes differ from the file's.",
    "unchanged": "The file says the same already.",
    "removed": "The portal does not declare it any more.",
    "kept": "The portal does not declare it any more; --prune removes the file.",
}


class Command(ProjectCommand):
    """Existing files are edited in place; those that say the same already are not touched."""

    help = "Export connector files to a directory or a zip archive"

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and how."""
        super().add_arguments(parser)
        parser.add_argument("directory", metavar="DIR", nargs="?")
        parser.add_argument("--zip", metavar="FILE", help="write a zip archive instead of a directory")
        parser.add_argument("--prune", action="store_true", help="remove files of connectors that no longer exist")
        parser.add_argument("--check", action="store_true", help="write nothing, show a diff, exit 1 if any")

    def work(self, options: dict[str, Any]) -> int:
        """Exports; 1 when `--check` found differences or a project could not be exported."""
        if bool(options["directory"]) == bool(options["zip"]):
            raise Usage("Say where to: a directory DIR, or --zip FILE, not both.")
        projects = self.projects(options)
        if options["zip"]:
            return self._to_zip(projects, Path(options["zip"]), options)
        documents, differs = [], False
        with self.progress(len(projects), "Exporting") as advance:
            for result in _results(projects, options):
                self._show(result, options)
                documents.append(_document(result, str(result.directory)))
                differs = differs or bool(result.problem) or (options["check"] and result.differs)
                advance(1)
        self.print_projects(options, documents)
        if options["all"] and not self.as_json:
            self.say(_summary(documents, check=options["check"]))
        return FAILED if differs else DONE

    def _to_zip(self, projects: list[Project], path: Path, options: dict[str, Any]) -> int:
        results = plan_zip(projects)
        content = zip_results(results)
        same = path.is_file() and path.read_bytes() == content
        if not options["check"]:
            _replace(path, content)
            record_zip(results, shell_actor())
        self.print_projects(options, [_document(result, result.directory.as_posix()) for result in results])
        if not self.as_json:
            files = sum(len(result.changes) for result in results)
            verb = ("is up to date" if same else "differs") if options["check"] else "written"
            self.say(f"{path} {verb}: {files} files of {len(results)} projects.")
        return FAILED if options["check"] and not same else DONE

    def _show(self, result: ExportResult, options: dict[str, Any]) -> None:
        if result.problem:
            self.warn(f"{result.project.slug}: nothing was written. {result.problem}")
            return
        if self.as_json or (options["all"] and not result.differs):
            return
        nothing = "" if result.changes else ", nothing is declared"
        self.heading(options, result.project, f"{result.directory}{nothing}")
        self.print_rows([_row(change) | {"type": change.path} for change in result.changes])
        if options["check"]:
            for change in result.changes:
                self.stdout.write(unified_diff(change), ending="")


def _results(projects: list[Project], options: dict[str, Any]) -> Iterator[ExportResult]:
    target, actor = Path(options["directory"]), shell_actor()
    how = {"prune": options["prune"], "check": options["check"]}
    if options["all"]:
        return export_all(projects, target, actor, **how)
    return iter([export_to_directory(projects[0], target, actor, **how)])


def _row(change: FileChange) -> dict[str, Any]:
    return {"type": change.type, "action": change.kind, "reason": REASONS[change.kind], "file": change.path}


def _document(result: ExportResult, directory: str) -> dict[str, Any]:
    rows = [_row(change) | {"diff": unified_diff(change)} for change in result.changes]
    return {"project": result.project.slug, "directory": directory, "results": rows, "problem": result.problem}


def _summary(documents: list[dict[str, Any]], *, check: bool) -> str:
    actions = [row["action"] for document in documents for row in document["results"]]
    counts = ", ".join(f"{actions.count(kind)} {kind}" for kind in REASONS if kind in actions) or "no files"
    broken = sum(bool(document["problem"]) for document in documents)
    failed = f"; {broken} projects could not be {'checked' if check else 'exported'}" if broken else ""
    return f"{len(documents)} projects: {counts}{failed}."


def _replace(path: Path, content: bytes) -> None:
    """Writes beside the place and moves there: a full disk must not leave half an archive under the name."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()

"""`manage.py export_connectors`: connector files out of the portal."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from connectors.core.config_files import FileChange, unified_diff
from connectors.flows.check_files import Agreement, CheckResult, CheckRow, check_all, exported
from connectors.flows.export_files import (
    ExportResult,
    ask_to_export,
    export_all,
    export_to_directory,
    plan_zip,
    record_zip,
    zip_results,
)
from connectors.flows.sync import sync_projects
from connectors.management.commands._base import DONE, FAILED, ProjectCommand, Usage, shell_actor
from connectors.models import Project, SyncRun

REASONS = {
    "new": "It has no file here yet.",
    "edited": "Its scopes differ from the file's.",
    "unchanged": "The file says the same already.",
    "removed": "The portal does not declare it any more.",
    "kept": "The portal does not declare it any more; --prune removes the file.",
}
LOCK_REASONS = {
    "new": "There is no lock file yet.",
    "edited": "It is out of date.",
    "unchanged": "The file says the same already.",
}


class Command(ProjectCommand):
    """Existing files are edited in place; those that say the same already are not touched."""

    help = "Export connector files to a directory or a zip archive"

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and how."""
        super().add_arguments(parser)
        parser.add_argument("directory", metavar="DIR", nargs="?")
        parser.add_argument("--zip", metavar="FILE", help="write a zip archive instead of a directory")
        parser.add_argument(
            "--ask", metavar="REASON", help="where another person has to approve it: ask them, and write nothing now"
        )
        parser.add_argument("--prune", action="store_true", help="remove files of connectors that no longer exist")
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 if files, portal, Base44 or lock file differ"
        )
        parser.add_argument(
            "--lock", action="store_true", help="write connectors.lock.json as well, or with --check ask for it"
        )
        parser.add_argument(
            "--registered",
            action="store_true",
            help="with --check: ask Base44 first; what cannot be compared then fails, too",
        )

    def work(self, options: dict[str, Any]) -> int:
        """Exports; 1 when `--check` found differences or a project could not be exported."""
        _refuse_nonsense(options)
        projects = self.projects(options)
        if options["ask"] is not None:
            return self._ask(projects, options)
        if options["zip"]:
            return self._to_zip(projects, Path(options["zip"]), options)
        if options["check"]:
            return self._check(projects, options)
        documents = []
        with self.progress(len(projects), "Exporting") as advance:
            for result in _results(projects, options):
                self._show(result, options)
                documents.append(_document(result, str(result.directory)))
                advance(1)
        self.print_projects(options, documents)
        if options["all"] and not self.as_json:
            self.say(_summary(documents))
        return FAILED if any(document["problem"] for document in documents) else DONE

    def _ask(self, projects: list[Project], options: dict[str, Any]) -> int:
        """Asks for each project that needs it; the same command without --ask writes what was approved."""
        results = plan_zip(projects) if options["zip"] else list(_results(projects, {**options, "check": True}))
        asked = ask_to_export(results, shell_actor(), options["ask"])
        rows = [{"project": row.project.slug, "approval": row.pk, "state": row.state} for row in asked]
        for row in rows:
            self.say(f"{row['project']}: approval #{row['approval']}, {row['state']}. Nothing was written.")
        self.print_json({"results": rows})
        return DONE

    def _check(self, projects: list[Project], options: dict[str, Any]) -> int:
        """Compares and shows what differs; 1 for that, and with `--registered` for what could not be compared."""
        if options["registered"]:
            self._ask_base44(projects)
        documents, failed = [], 0
        for result, checked in _checked(projects, options):
            self._show_check(result, checked, options)
            checks = [row.as_json() for row in checked.rows]
            documents.append(_document(result, str(result.directory)) | {"checks": checks})
            failed += not checked.agrees or (options["registered"] and not checked.is_complete)
        self.print_projects(options, documents)
        if options["all"] and not self.as_json:
            self.say(_summary(documents, check=True))
        return FAILED if failed else DONE

    def _ask_base44(self, projects: list[Project]) -> None:
        with self.progress(len(projects), "Comparing") as advance:
            runs = sync_projects(projects, shell_actor(), progress=advance)
        slugs = {project.pk: project.slug for project in projects}
        for run in runs:
            if run.state != SyncRun.State.DONE:
                self.warn(f"{slugs[run.project_id]}: {run.message}")
        for project in projects:
            project.refresh_from_db(fields=["synced_at", "sync_error"])

    def _to_zip(self, projects: list[Project], path: Path, options: dict[str, Any]) -> int:
        results = plan_zip(projects)
        content = zip_results(results)
        same = path.is_file() and path.read_bytes() == content
        if not options["check"]:
            record_zip(results, shell_actor())  # first: it refuses what another person has not approved yet
            _replace(path, content)
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
        self.print_rows([_row(change) | {"type": change.path} for change in result.all_changes])

    def _show_check(self, result: ExportResult, checked: CheckResult, options: dict[str, Any]) -> None:
        if checked.problem:
            self.warn(f"{result.project.slug}: could not be checked. {checked.problem}")
            return
        if self.as_json or (options["all"] and checked.agrees):
            return
        self.heading(options, result.project, str(result.directory))
        self.print_rows([_check_row(row) for row in checked.rows])
        for change in result.all_changes:
            self.stdout.write(unified_diff(change), ending="")


def _refuse_nonsense(options: dict[str, Any]) -> None:
    if bool(options["directory"]) == bool(options["zip"]):
        raise Usage("Say where to: a directory DIR, or --zip FILE, not both.")
    if options["ask"] is not None and options["check"]:
        raise Usage("--ask goes without --check.")
    if options["zip"] and (options["lock"] or options["registered"]):
        raise Usage("--lock and --registered go with a directory DIR.")
    if options["registered"] and not options["check"]:
        raise Usage("--registered goes with --check.")


def _checked(projects: list[Project], options: dict[str, Any]) -> Iterator[tuple[ExportResult, CheckResult]]:
    """What an export would do, and how it all compares, project by project."""
    results = list(_results(projects, options))
    asked = (exported(result, wants_lock=options["lock"]) for result in results if not result.problem)
    checks = check_all(asked, timezone.now())
    for result in results:
        yield result, CheckResult(result.project, problem=result.problem) if result.problem else next(checks)


def _results(projects: list[Project], options: dict[str, Any]) -> Iterator[ExportResult]:
    target, actor = Path(options["directory"]), shell_actor()
    how = {"prune": options["prune"], "check": options["check"], "lock": options["lock"]}
    if options["all"]:
        return export_all(projects, target, actor, **how)
    return iter([export_to_directory(projects[0], target, actor, **how)])


def _row(change: FileChange) -> dict[str, Any]:
    reason = REASONS[change.kind] if change.type else LOCK_REASONS[change.kind]
    return {"type": change.type, "action": change.kind, "reason": reason, "file": change.path}


def _check_row(row: CheckRow) -> dict[str, str]:
    return {"type": row.type or "-", "action": row.action.replace("_", " "), "reason": row.reason}


def _document(result: ExportResult, directory: str) -> dict[str, Any]:
    rows = [_row(change) | {"diff": unified_diff(change)} for change in result.changes]
    lock = {"action": result.lock.kind, "diff": unified_diff(result.lock)} if result.lock else None
    return {
        "project": result.project.slug,
        "directory": directory,
        "results": rows,
        "lock": lock,
        "problem": result.problem,
    }


def _summary(documents: list[dict[str, Any]], *, check: bool = False) -> str:
    actions = [row["action"] for document in documents for row in document["checks" if check else "results"]]
    words = list(Agreement) if check else list(REASONS)
    counts = ", ".join(f"{actions.count(word)} {word.replace('_', ' ')}" for word in words if word in actions)
    counts = counts or "no files"
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

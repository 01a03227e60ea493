"""`manage.py sync_projects`: read what Base44 has registered, here and now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from connectors.flows.sync import sync_projects
from connectors.management.commands._base import DONE, FAILED, ProjectCommand, shell_actor
from connectors.models import Connector, Project, SyncRun

ALREADY = "It is being synced already."


class Command(ProjectCommand):
    """Reads Base44, changes nothing there. Waits for the rate budget where it must."""

    help = "Read the registered state of connectors from Base44"

    def work(self, options: dict[str, Any]) -> int:
        """Syncs all at once; 1 when one failed."""
        projects = self.projects(options)
        with self.progress(len(projects), "Syncing") as advance:
            runs = {run.project_id: run for run in sync_projects(projects, shell_actor(), progress=advance)}
        documents = _documents(projects, runs)
        for project, document in zip(projects, documents, strict=True):
            if document["problem"]:
                self.warn(f"{project.slug}: {document['problem']}")
                continue
            self.heading(options, project, document["message"])
            if not options["all"]:
                self.print_rows(document["results"])
        failed = sum(bool(document["problem"]) for document in documents)
        if options["all"] and not self.as_json:
            self.say(f"{len(projects) - failed} projects synced, {failed} failed.")
        self.print_projects(options, documents)
        return FAILED if failed else DONE


def _documents(projects: Sequence[Project], runs: dict[int, SyncRun]) -> list[dict[str, Any]]:
    rows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    columns = (
        "project_id",
        "integration_type_id",
        "sync_state",
        "sync_note",
        "registered_status",
        "registered_account",
    )
    for project_id, type_, state, note, status, account in (
        Connector.objects.filter(project__in=projects).values_list(*columns).iterator()
    ):
        rows[project_id].append({"type": type_, "action": state, "reason": note, "status": status, "account": account})
    return [_document(project, runs.get(project.pk), rows[project.pk]) for project in projects]


def _document(project: Project, run: SyncRun | None, rows: list[dict[str, Any]]) -> dict[str, Any]:
    message = run.message if run else ALREADY
    failed = run is not None and run.state != SyncRun.State.DONE
    return {
        "project": project.slug,
        "results": [] if failed else rows,
        "message": message,
        "problem": message if failed else "",
    }

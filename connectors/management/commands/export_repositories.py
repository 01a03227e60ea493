"""`manage.py export_repositories`: write what the portal declares into repositories, here and now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandParser

from connectors.core.commit_message import counted
from connectors.core.errors import PortalError
from connectors.flows.export_terms import ProjectExport, RepositoryExport
from connectors.flows.repository_export import preview_export
from connectors.flows.repository_runs import ask_export
from connectors.management.commands._base import DONE, FAILED, shell_actor
from connectors.management.commands._repositories import RepositoryCommand, carry_out, problem_of
from connectors.models import Project, Repository, RepositoryRun

REASON = "Asked for at the shell."
WRITTEN = {"new": "It has no file there yet.", "edited": "Its scopes differ from the file's."}
LOCK_FILE = "The lock file is out of date."


class Command(RepositoryCommand):
    """Writes what only the portal changed, as a worker would; never a removal, and nothing that is in conflict."""

    help = "Export connector files to repositories, as a commit or a pull request"

    def add_arguments(self, parser: CommandParser) -> None:
        """Which, and whether only to look."""
        super().add_arguments(parser)
        parser.add_argument(
            "--check", action="store_true", help="write nothing, show a diff, exit 1 if anything differs"
        )

    def work(self, options: dict[str, Any]) -> int:
        """1 when something was left alone or failed; with `--check` when repository and portal differ."""
        documents = []
        for repository in self.repositories(options):
            documents.append(_check(repository) if options["check"] else _export(repository))
            self.show(documents[-1])
            if not self.as_json:
                for row in documents[-1]["results"]:
                    self.stdout.write(row.get("diff", ""), ending="")
        self.print_repositories(options, documents)
        return FAILED if any(document["problem"] or document["differs"] for document in documents) else DONE


def _export(repository: Repository) -> dict[str, Any]:
    run = carry_out(ask_export(repository, shell_actor(), REASON))
    told = {int(pk): project for pk, project in run.detail.get("projects", {}).items()}
    slugs = dict(Project.objects.filter(pk__in=list(told)).values_list("pk", "slug"))
    partial = run.state == RepositoryRun.State.PARTIAL
    return {
        "repository": repository.name,
        "commit": run.commit,
        "pull_request": run.pull_request.url if run.pull_request else None,
        "message": run.message,
        "results": [row for pk, project in told.items() for row in _told(slugs[pk], project)],
        "differs": partial,
        "problem": "" if partial else problem_of(run),
    }


def _told(slug: str, project: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a run noted of one project."""
    shared = {"project": slug, "type": "", "reason": ""}
    for action in ("written", "removed"):
        for path in project[action]:
            yield shared | {"action": action, "file": path}
    for left in project["left"]:
        action = "conflict" if left["path"] in project["conflicts"] else "left"
        yield shared | {"action": action, "file": left["path"], "reason": left["reason"]}
    if project["problem"]:
        yield shared | {"action": "problem", "file": "", "reason": project["problem"]}


def _check(repository: Repository) -> dict[str, Any]:
    document: dict[str, Any] = {
        "repository": repository.name,
        "commit": "",
        "pull_request": None,
        "results": [],
        "message": "",
    }
    try:
        plan = preview_export(repository, shell_actor())
    except PortalError as error:
        return document | {"differs": True, "problem": str(error)}
    rows = [row for project in plan.projects for row in _planned(project)]
    message = _summary(plan) if rows else "Repository and portal agree."
    return document | {
        "commit": repository.head,
        "results": rows,
        "message": message,
        "differs": bool(rows),
        "problem": "",
    }


def _planned(project: ProjectExport) -> Iterator[dict[str, Any]]:
    shared = {"project": project.project.slug}
    if project.problem:
        yield shared | {"type": "", "action": "problem", "file": "", "reason": project.problem}
    for file in project.files:
        reason = WRITTEN.get(file.kind, "") if file.type else LOCK_FILE
        why = f"{reason} It was {file.why}." if file.why else reason
        yield shared | {"type": file.type, "action": file.kind, "file": file.path, "reason": why, "diff": file.diff}
    for left in project.left:
        action = "conflict" if left.is_conflict else "left"
        yield shared | {"type": left.difference.type, "action": action, "file": left.path, "reason": left.reason}


def _summary(plan: RepositoryExport) -> str:
    parts = [f"{len(plan.files)} to write" if plan.files else "", f"{len(plan.left)} left alone" if plan.left else ""]
    parts.append(f"{counted(len(plan.problems), 'project')} with a problem" if plan.problems else "")
    return f"{', '.join(filter(None, parts))}."

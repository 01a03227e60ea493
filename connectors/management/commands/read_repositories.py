"""`manage.py read_repositories`: look at repositories here and now, and take in what was changed there."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from connectors.core.errors import Refused
from connectors.core.three_way import Change
from connectors.flows.repository_compare import Difference, differences
from connectors.flows.repository_files import ProblemKind, problems_of
from connectors.flows.repository_import import import_from_repository, plan_repository_import
from connectors.flows.repository_runs import ask_read
from connectors.management.commands._base import DONE, FAILED, shell_actor
from connectors.management.commands._repositories import RepositoryCommand, carry_out, problem_of
from connectors.models import Placement, Repository, SyncRun

REASON = "Asked for at the shell."


class Command(RepositoryCommand):
    """Reads as a worker would; writes nothing to git. Projects that import by themselves do so as always."""

    help = "Read repositories, show what differs from the portal, and with --import take in what was changed there"

    def add_arguments(self, parser: CommandParser) -> None:
        """Which, and whether to import."""
        super().add_arguments(parser)
        parser.add_argument(
            "--import", action="store_true", help="take in what only the repository changed; no removals, no conflicts"
        )

    def work(self, options: dict[str, Any]) -> int:
        """1 when a repository could not be read, or something of it could not be imported."""
        documents = []
        for repository in self.repositories(options):
            documents.append(_read(repository, imports=options["import"]))
            self.show(documents[-1])
        self.print_repositories(options, documents)
        bad = any(one["problem"] or any(row["action"] == "refused" for row in one["results"]) for one in documents)
        return FAILED if bad else DONE


def _read(repository: Repository, *, imports: bool) -> dict[str, Any]:
    run = carry_out(ask_read(repository, shell_actor(), REASON)[0])
    document = {"repository": repository.name, "commit": run.commit, "message": run.message, "results": []}
    if problem := problem_of(run):
        return document | {"problem": problem}
    placements = repository.placements.select_related("project__workspace", "repository").order_by("path")
    rows = [row for placement in placements for row in (_import(placement) if imports else [])]
    found = differences(placements)
    for placement in placements.all():
        rows += [_row(placement, item) for item in found[placement.pk] if item.change is not Change.SAME]
        rows += [_fault(placement, str(fault.as_error())) for fault in problems_of(placement, *ProblemKind)]
    return document | {"results": rows, "problem": ""}


def _import(placement: Placement) -> list[dict[str, Any]]:
    """Takes in what is incoming into one project, all or nothing; a row for each file, or one that says why not."""
    plan = plan_repository_import(placement)
    if plan.is_empty or problems_of(placement, ProblemKind.FILE, ProblemKind.APP):
        return []
    try:
        run = import_from_repository(placement, plan, shell_actor())
    except Refused as error:
        return [_fault(placement, str(error))]
    if run.state == SyncRun.State.REFUSED:
        return [_fault(placement, run.message)]
    rows = [change.as_json() for change in plan.changes if change.writes]
    return [row | {"project": placement.project.slug, "action": "imported"} for row in rows]


def _row(placement: Placement, item: Difference) -> dict[str, Any]:
    return {
        "project": placement.project.slug,
        "type": item.type,
        "action": item.change.value,
        "reason": _in_words(item),
        "file": item.file.name if item.file and item.repository is not None else "",
    }


def _in_words(item: Difference) -> str:
    if item.repository is None:
        return "The file was removed." if item.change is Change.INCOMING else "There is no file of it."
    if item.portal is None:
        return "The portal does not declare it."
    parts = [f"only in the portal: {', '.join(item.added)}"] if item.added else []
    parts += [f"only in the file: {', '.join(item.removed)}"] if item.removed else []
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _fault(placement: Placement, reason: str) -> dict[str, Any]:
    return {"project": placement.project.slug, "type": "", "action": "refused", "reason": reason, "file": ""}

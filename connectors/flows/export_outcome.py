"""What came of an export, in words and by project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.core.commit_message import counted
from connectors.flows.export_terms import ProjectExport, RepositoryExport
from connectors.models import PullRequest, RepositoryRun

State = RepositoryRun.State

MOST_PROBLEMS = 5
"""Projects with problems that a message names; the detail has them all."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export. `commit` is what was pushed; `detail` says by project what was written and what not."""

    state: RepositoryRun.State
    message: str
    commit: str = ""
    pull_request: PullRequest | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def outcome(
    plan: RepositoryExport,
    done: str = "",
    commit: str = "",
    *,
    pull_request: PullRequest | None = None,
    note: str = "Nothing to export.",
) -> Exported:
    """The result in words: what was `done`, or with "" the `note` why there was nothing to do; and what was left."""
    conflicts, problems = len(plan.conflicts), len(plan.problems)
    waiting = len(plan.left) - conflicts
    words = [
        done or note,
        f"In conflict and left alone: {counted(conflicts, 'file')}." if conflicts else "",
        f"Left alone for other reasons: {counted(waiting, 'file')}." if waiting else "",
        *(f"{project.project}: {project.problem}" for project in plan.problems[:MOST_PROBLEMS]),
        f"And {counted(problems - MOST_PROBLEMS, 'more project')} with problems." if problems > MOST_PROBLEMS else "",
    ]
    detail = {
        "projects": {str(project.project.pk): _detail(project) for project in plan.projects if _is_told(project)},
        "fingerprint": plan.fingerprint,
        "content": plan.content,
    }
    return Exported(_state(plan, bool(done)), " ".join(filter(None, words)), commit, pull_request, detail)


def _state(plan: RepositoryExport, is_done: bool) -> RepositoryRun.State:
    if plan.problems and not plan.files:
        return State.REFUSED if all(project.waits for project in plan.problems) else State.FAILED
    if plan.problems or plan.conflicts:
        return State.PARTIAL
    return State.DONE if is_done else State.UNCHANGED


def wrote(plan: RepositoryExport) -> str:
    """What the commit holds: "Wrote 3 files of 2 projects"."""
    return f"Wrote {counted(len(plan.files), 'file')} of {counted(len(plan.notes), 'project')}"


def _is_told(project: ProjectExport) -> bool:
    return bool(project.files or project.left or project.problem)


def _detail(project: ProjectExport) -> dict[str, Any]:
    """What a run's page shows of one project."""
    return {
        "name": project.project.name,
        "written": [file.path for file in project.files if file.kind != "removed"],
        "removed": [file.path for file in project.files if file.kind == "removed"],
        "conflicts": [left.path for left in project.left if left.is_conflict],
        "left": [{"path": left.path, "reason": left.reason} for left in project.left],
        "problem": project.problem,
    }

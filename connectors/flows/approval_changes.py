"""What has become of something since its approval was asked for: the same made anew from what is so now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.core.approval import Changed, compared
from connectors.core.errors import PortalError
from connectors.flows.approval_matters import ending_matters, files_matter, plan_matter, repository_matter
from connectors.flows.approvals import Matter
from connectors.flows.export_choices import Choices
from connectors.flows.export_files import plan_zip
from connectors.flows.plan import stored_plan
from connectors.flows.repository_export_plan import plan_repository_export
from connectors.models import Approval, Repository, Token
from connectors.models.approval import Subject

NOTHING_LEFT = "Nothing of it is left to do."


def changed_since(row: Approval) -> Changed | None:
    """The lines that differ from what was asked for; None while exactly this would still be done.

    By what is stored: nobody is asked. An approval of something that has changed allows nothing any more.
    """
    now = matter_now(row)
    if now is not None and now.fingerprint == row.fingerprint:
        return None
    return compared(list(row.proposal.get("lines", ())), now.lines if now is not None else [NOTHING_LEFT])


def matter_now(row: Approval) -> Matter | None:
    """What the same request would be about now; None where nothing is left of it."""
    try:
        return _MADE_ANEW[Subject(row.subject)](row, row.proposal)
    except (KeyError, PortalError):
        return None


def _plan_now(row: Approval, shown: Mapping[str, Any]) -> Matter | None:
    plan = stored_plan(row.project)
    if plan is None or plan.is_empty:
        return None
    removals = {action.type for action in plan.destructive} & set(shown["removals"])
    return plan_matter(row.project, plan, removals)


def _ending_now(row: Approval, shown: Mapping[str, Any]) -> Matter | None:
    rows = Token.objects.filter(pk__in=[token["id"] for token in shown["tokens"]], connector__project=row.project)
    return next(iter(ending_matters(rows.with_names(), shown["way"])), None)


def _export_now(row: Approval, shown: Mapping[str, Any]) -> Matter | None:
    if "repository" not in shown:
        (result,) = plan_zip([row.project])
        return files_matter(row.project, result.changes)
    repository = Repository.objects.filter(pk=shown["repository"]).first()
    if repository is None:
        return None
    choices = Choices.from_json(shown["choices"])
    found = plan_repository_export(repository, choices).projects
    plan = next((plan for plan in found if plan.project.pk == row.project_id and plan.files), None)
    return repository_matter(repository, plan, choices) if plan is not None else None


_MADE_ANEW: Mapping[Subject, Callable[[Approval, Mapping[str, Any]], Matter | None]] = {
    Subject.PLAN: _plan_now,
    Subject.REVOKE: _ending_now,
    Subject.EXPORT: _export_now,
}

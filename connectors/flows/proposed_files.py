"""What pull requests propose of single files: once the branch says it, portal and repository have both had it.

Without this memory, a connector that was changed in the portal while its pull request was open would be in conflict
with the merge of the portal's own proposal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import transaction

from connectors.core.config_files import parse_connector
from connectors.flows.export_terms import RepositoryExport
from connectors.models import Placement, RepositoryFile


def settle_proposals(placements: Iterable[Placement]) -> None:
    """Takes files that say what was proposed for agreed upon. Call it once the files are stored. One or two queries."""
    waiting = RepositoryFile.objects.filter(placement__in=list(placements), proposed__isnull=False)
    settled = [row for row in waiting if row.scopes is not None and set(row.scopes) == set(row.proposed or ())]
    for row in settled:
        row.agreed, row.proposed = row.proposed, None
    RepositoryFile.objects.bulk_update(settled, ["agreed", "proposed"], batch_size=500)


@transaction.atomic
def remember_proposal(plan: RepositoryExport, now: dt.datetime) -> None:
    """Stores what the pull request that was just brought up to the plan makes of each connector's file."""
    forget_proposals(plan)
    rows = [
        RepositoryFile(
            placement=project.placement,
            integration_type_id=file.type,
            name=file.path,
            proposed=list(parse_connector(file.change.after, file.path).scopes),
            read_at=now,
        )
        for project in plan.projects
        for file in project.files
        if file.type and file.change.after is not None
    ]
    RepositoryFile.objects.bulk_create(
        rows,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["placement", "integration_type"],
        update_fields=["proposed"],
    )


def forget_proposals(plan: RepositoryExport) -> None:
    """For when no pull request proposes anything of these projects any more."""
    places = [project.placement.pk for project in plan.projects]
    RepositoryFile.objects.filter(placement__in=places).exclude(proposed=None).update(proposed=None)

"""Push an export to the branch itself, and remember that portal and repository agree on what was written."""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.utils import timezone

from connectors.core.config_files import parse_connector
from connectors.core.errors import PortalError
from connectors.core.git import Commit, Git
from connectors.flows.events import Change, record_event, record_events
from connectors.flows.export_order import Order, make_commit
from connectors.flows.export_outcome import Exported, outcome, wrote
from connectors.flows.export_terms import PlannedFile, RepositoryExport
from connectors.flows.repository_read import read
from connectors.flows.repository_state import note_failure
from connectors.models import Placement, RepositoryFile

_PUSHED = ["name", "raw", "scopes", "agreed", "proposed", "commit", "author", "committed_at", "is_exact", "read_at"]


def push(order: Order, git: Git, base: Commit | None, plan: RepositoryExport) -> Exported:
    """One commit on the branch itself."""
    if not plan.files:
        if base is not None and base.oid == order.earlier:
            _record(order, plan, base)
            return outcome(plan, f"Written in commit {base.oid[:8]} by the attempt before.", base.oid)
        return outcome(plan)
    commit = make_commit(order, git, base, plan)
    git.push(commit, order.repository.branch, expect=base.oid if base else "")
    with transaction.atomic():
        _agree(plan, commit, order.now)
        _record(order, plan, commit)
    _read_again(order, git)
    return outcome(plan, f"{wrote(plan)} in commit {commit.oid[:8]}.", commit.oid)


def _agree(plan: RepositoryExport, commit: Commit, now: dt.datetime) -> None:
    """What was pushed is what both sides have had, even when the portal has changed since the plan was made."""
    places = {project.placement.pk: project.placement.path for project in plan.projects if project.files}
    locked = Placement.objects.select_for_update().filter(pk__in=list(places)).order_by("pk")
    # A project that was moved meanwhile: what is stored now is about somewhere else.
    there = {row.pk for row in locked if row.path == places[row.pk]}
    files = [
        _as_pushed(project.placement, file, commit, now)
        for project in plan.projects
        for file in project.files
        if file.type and project.placement.pk in there
    ]
    RepositoryFile.objects.bulk_create(
        files,
        batch_size=500,
        update_conflicts=True,
        unique_fields=["placement", "integration_type"],
        update_fields=_PUSHED,
    )


def _as_pushed(placement: Placement, file: PlannedFile, commit: Commit, now: dt.datetime) -> RepositoryFile:
    after = file.change.after
    scopes = None if after is None else list(parse_connector(after, file.path).scopes)
    return RepositoryFile(
        placement=placement,
        integration_type_id=file.type,
        name=file.path,
        raw=after or b"",
        scopes=scopes,
        agreed=scopes,
        commit=commit.oid,
        author=commit.author[:200],
        committed_at=commit.at,
        is_exact=True,
        read_at=now,
    )


def _record(order: Order, plan: RepositoryExport, commit: Commit) -> None:
    repository = order.repository
    repository.exported_at = order.now
    repository.save(update_fields=["exported_at"])
    record_event(
        order.actor,
        "repository.exported",
        repository,
        after={"commit": commit.oid, "branch": repository.branch, "files": [file.path for file in plan.files]},
        note=order.reason,
    )
    record_events(
        order.actor,
        "project.exported",
        [
            Change(
                project.project,
                after={"repository": repository.name, "commit": commit.oid, "files": [f.path for f in project.files]},
            )
            for project in plan.projects
            if project.files
        ],
    )


def _read_again(order: Order, git: Git) -> None:
    """Lets counts and ledger follow. When that fails, the export has not: the next reading makes up for it.

    The branch is fetched once more although we know our commit: somebody may have pushed on top of it and been read
    since, and an older commit must not be stored over a newer one.
    """
    now = timezone.now()
    try:
        read(order.repository, git, now)
    except PortalError as error:
        note_failure(order.repository, error, now)

"""Where projects lie in repositories: added, moved and taken out, with what the portal knew of their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from connectors.core.actor import Actor
from connectors.core.errors import Refused
from connectors.flows import ledger
from connectors.flows.events import Change, changes, record_event, record_events
from connectors.models import Connector, Placement, Repository, RepositoryFile

FIELDS = ["path", "auto_import", "writes_lock_file"]
"""What a person says of a project's place."""

_NOT_READ: dict[str, Any] = {
    "connectors_dir": "",
    "read_at": None,
    "read_commit": "",
    "problems": [],
    "incoming": 0,
    "outgoing": 0,
    "conflicts": 0,
}
"""A place of which nothing is known yet."""


@transaction.atomic
def save_placements(
    repository: Repository, wanted: Sequence[Placement], actor: Actor, *, removed: Sequence[Placement] = ()
) -> bool:
    """Stores new and changed places of projects in the repository, and takes out the removed ones.

    A project whose folder is another one now is read anew from there. Gives whether there is something to read, which
    the schedule then does next.
    Raises Refused when a project has a place elsewhere already, or a folder would belong to two projects.
    """
    # First: a folder that becomes free may be taken by another project in the same step.
    remove_placements(removed, actor)
    is_new = False
    for placement in wanted:
        placement.repository = repository
        is_new = _save(placement, actor) or is_new
    if is_new:
        Repository.objects.filter(pk=repository.pk).update(next_read_at=None)
    return is_new


@transaction.atomic
def remove_placements(placements: Sequence[Placement], actor: Actor) -> None:
    """Lets the projects have no place in a repository any more. Their files in git stay as they are."""
    forget_readings(placements, actor, "placement.removed")
    record_events(actor, "placement.removed", [Change(row, _shown(row)) for row in placements])
    Placement.objects.filter(pk__in=[row.pk for row in placements]).delete()


def forget_readings(placements: Iterable[Placement], actor: Actor, through: str) -> None:
    """Forgets what was read of the files of these places, in the ledger as well: it came from somewhere else.

    Call it in the transaction of the change. `through` is the verb of the event that made the change.
    """
    rows = list(placements)
    RepositoryFile.objects.filter(placement__in=rows).delete()
    Placement.objects.filter(pk__in=[row.pk for row in rows]).update(**_NOT_READ)
    read = Connector.objects.filter(project__in=[row.project_id for row in rows]).exclude(repository_read_at=None)
    ids = list(read.values_list("pk", flat=True))
    Connector.objects.filter(pk__in=ids).update(
        repository_scopes=None, repository_read_at=None, repository_commit="", repository_author=""
    )
    ledger.note(ids, actor, through)


def _save(placement: Placement, actor: Actor) -> bool:
    """Whether its files have to be read (anew): the place is new or another one."""
    stored = Placement.objects.select_for_update().filter(pk=placement.pk).first() if placement.pk else None
    _refuse_taken_folder(placement)
    if stored is None:
        _refuse_second_place(placement)
        placement.save(force_insert=True)
        record_event(actor, "placement.added", placement, after=_shown(placement))
        return True
    old, new = changes(_values(stored), _values(placement))
    if not new:
        return False
    placement.save(update_fields=FIELDS)
    if "path" in new:
        forget_readings([placement], actor, "placement.changed")
    record_event(actor, "placement.changed", placement, before=old, after=new)
    return "path" in new


def _refuse_second_place(placement: Placement) -> None:
    elsewhere = Placement.objects.filter(project_id=placement.project_id).select_related("repository").first()
    if elsewhere is not None:
        raise Refused(f"{placement.project} has a place in the repository {elsewhere.repository} already.")


def _refuse_taken_folder(placement: Placement) -> None:
    same = Placement.objects.filter(repository=placement.repository, path=placement.path).exclude(pk=placement.pk)
    # Which one is not said: it may be another team's.
    if same.exists():
        raise Refused(f"The folder {placement} of {placement.repository} belongs to another project already.")


def _values(placement: Placement) -> dict[str, Any]:
    return {name: getattr(placement, name) for name in FIELDS}


def _shown(placement: Placement) -> dict[str, Any]:
    return {"repository": placement.repository.name, **_values(placement)}

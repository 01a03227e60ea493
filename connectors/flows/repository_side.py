"""Tell the ledger: what the files in a repository say of a project's connectors, since when, and who wrote them."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.core.actor import Actor, Door
from connectors.flows import ledger
from connectors.models import Connector, Placement, RepositoryFile

THROUGH = "repository.read"
"""The verb under which the ledger's history has it."""

_SAID = ["repository_scopes", "repository_read_at", "repository_commit", "repository_author"]


@dataclass(frozen=True, slots=True)
class Said:
    """What a repository says of one connector: None, "" and "" where it has never had a file."""

    scopes: list[str] | None = None
    commit: str = ""
    author: str = ""


def note_sides(placements: Iterable[Placement], now: dt.datetime) -> None:
    """Brings the connectors of these placements' projects in line with the stored files, and the ledger with them.

    A change is noted in the name of the commit's author; that there is no file, in the repository's. Call it inside the
    transaction that stored the files. A fixed number of queries, and a few for each author of a change.
    """
    rows = {row.project_id: row for row in placements}
    said = _said(rows.values())
    # By key, as flows.observe locks them: in another order, each could wait for what the other has.
    connectors = Connector.objects.select_for_update(of=("self",)).filter(project__in=list(rows)).order_by("pk")
    differing: list[Connector] = []
    noted: dict[str, list[int]] = defaultdict(list)
    for connector in connectors.only("project_id", "integration_type_id", *_SAID):
        now_said = said.get((connector.project_id, connector.integration_type_id), Said())
        if connector.repository_read_at is None or connector.repository_scopes != now_said.scopes:
            noted[now_said.author or rows[connector.project_id].repository.name].append(connector.pk)
        elif (connector.repository_commit, connector.repository_author) == (now_said.commit, now_said.author):
            continue
        differing.append(_shell(connector, now_said, now))
    # As in flows.observe: each INSERT meets its row, which is locked, and becomes an UPDATE; many at once are fast.
    Connector.objects.bulk_create(
        differing, batch_size=500, update_conflicts=True, unique_fields=["pk"], update_fields=_SAID
    )
    Connector.objects.filter(project__in=list(rows)).update(repository_read_at=now)
    for author, ids in noted.items():
        ledger.note(ids, Actor(author, Door.TASK), THROUGH, now=now)


def _said(placements: Iterable[Placement]) -> dict[tuple[int, str], Said]:
    files = RepositoryFile.objects.filter(placement__in=list(placements)).order_by()
    columns = ("placement__project_id", "integration_type_id", "scopes", "commit", "author")
    return {(project, type_): Said(*values) for project, type_, *values in files.values_list(*columns)}


def _shell(connector: Connector, said: Said, now: dt.datetime) -> Connector:
    return Connector(
        pk=connector.pk,
        project_id=connector.project_id,
        integration_type_id=connector.integration_type_id,
        repository_scopes=said.scopes,
        repository_read_at=now,
        repository_commit=said.commit,
        repository_author=said.author,
    )

"""Repositories for the scene: one in each state, files that differ in every way, runs and pull requests. No git."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

from connectors.flows.repository_compare import count, differences
from connectors.models import Connector, Placement, Project, PullRequest, Repository, RepositoryRun
from tests.factories import make_placement, make_repository, make_repository_file

GMAIL = "https://www.googleapis.com/auth/gmail"
CALENDAR = "https://www.googleapis.com/auth/calendar"
MIRA, JONAS = "Mira Lind <mira@northwind.example>", "Jonas Frei <jonas@northwind.example>"
READ_AGO = dt.timedelta(minutes=4)
HEAD = "8c1f0e27d35b94a6c8e1f07b2d9a4c3e5f6b7a80"
FEATURED: dict[str, tuple[list[str] | None, list[str] | None]] = {
    "gmail": ([f"{GMAIL}.readonly"], [f"{GMAIL}.readonly"]),
    "slackbot": (["chat:write", "channels:read"], ["chat:write", "channels:read"]),
    "googlecalendar": ([f"{CALENDAR}.readonly", f"{CALENDAR}.settings.readonly"], [f"{CALENDAR}.readonly"]),
    "github": (["repo", "read:user", "gist"], ["repo", "read:user"]),
    "salesforce": (["api", "refresh_token"], ["api", "refresh_token"]),
}
"""What the file of each type says in the first project, and what it and the portal last both had."""
COMMENTED = """{
  // Support inbox: reading and answering, nothing else.
  "type": "gmail",
  "scopes": [
    "https://www.googleapis.com/auth/gmail.readonly" // read tickets
  ]
}
"""
UNREADABLE = {
    "path": "apps/field-sales/base44/connectors/hubspot.jsonc",
    "message": "A comma or a closing bracket is missing.",
    "line": 7,
}

TOLD: list[dict[str, Any]] = [
    {"written": ["apps/customer-portal/base44/connectors/hubspot.jsonc"]},
    {"problem": "apps/field-sales/base44/connectors/hubspot.jsonc:7: A comma or a closing bracket is missing."},
    {
        "removed": ["apps/support-desk/base44/connectors/linkedin.jsonc"],
        "conflicts": ["apps/support-desk/base44/connectors/googlecalendar.jsonc"],
        "left": [
            {
                "path": "apps/support-desk/base44/connectors/googlecalendar.jsonc",
                "reason": "It was changed on both sides, each in its own way. Decide which one counts.",
            }
        ],
    },
]
"""What the export of the scene noted of each project."""


def make_repositories(now: dt.datetime) -> tuple[Repository, RepositoryRun]:
    """The repository and the run to look at."""
    apps = _working(now)
    labs = _with_requests(now)
    make_repository(
        "Finance config",
        url="git@git.bluefjord.example:finance/config.git",
        state="failing",
        problem="The host refused the deploy key: it is not among the keys that may read this repository.",
        failures=9,
        failing_since=now - dt.timedelta(hours=7),
        next_read_at=now + dt.timedelta(hours=2),
        read_at=now - dt.timedelta(days=2),
    )
    make_repository("Recruiting", url="https://gitea.northwind.example/people/recruiting.git", host="gitea")
    _run(labs, now, kind="read", state="running", actor_label="scheduler", door="task", reason="On a schedule.")
    return apps, _exports(apps, now)


def _working(now: dt.datetime) -> Repository:
    """Three projects in one repository: one with every difference, one that agrees, one that cannot be read."""
    row = make_repository(
        "Northwind apps",
        url="https://github.com/northwind/apps.git",
        host="github",
        state="working",
        head=HEAD,
        head_author=MIRA,
        head_at=now - dt.timedelta(hours=3),
        read_at=now - READ_AGO,
        exported_at=now - dt.timedelta(days=2),
        webhook_at=now - dt.timedelta(hours=3),
    )
    desk = _placed("support-desk", row, now)
    for type_, (scopes, agreed) in FEATURED.items():
        raw = COMMENTED.encode() if type_ == "gmail" else _file(type_, scopes or [])
        _remember(desk, type_, scopes, agreed, now, raw=raw)
    portal = _placed("customer-portal", row, now, auto_import=True, writes_lock_file=True)
    sales = _placed("field-sales", row, now, problems=[UNREADABLE])
    for agreeing in (portal, sales):
        for type_, scopes in agreeing.project.connectors.values_list("integration_type_id", "scopes"):
            _remember(agreeing, type_, scopes, scopes, now)
    for placement in (desk, portal, sales):
        count(placement, differences([placement])[placement.pk])
    return row


def _with_requests(now: dt.datetime) -> Repository:
    """A repository whose changes go through merge requests: one open, one merged, one closed."""
    row = make_repository(
        "Acme Labs monorepo",
        url="https://gitlab.example.com/acme/labs/monorepo.git",
        host="gitlab",
        mode="pull_request",
        state="working",
        head=HEAD[::-1],
        head_author=JONAS,
        head_at=now - dt.timedelta(days=5),
        read_at=now - dt.timedelta(minutes=11),
        export_when="apply",
    )
    placement = _placed("data-lake", row, now)
    for number, state in enumerate(("merged", "closed", "open"), 41):
        ended = None if state == "open" else now - dt.timedelta(days=44 - number)
        request = PullRequest.objects.create(
            repository=row,
            key="all" if state == "open" else f"all-{number}",
            number=number,
            url=f"https://gitlab.example.com/acme/labs/monorepo/-/merge_requests/{number}",
            title="Update connectors of Data lake: hubspot.jsonc",
            branch="connector-portal/main/all",
            head=HEAD,
            state=state,
            opened_at=now - dt.timedelta(days=50 - number),
            updated_at=now - dt.timedelta(hours=5),
            ended_at=ended,
        )
        request.projects.add(placement.project)
    count(placement, differences([placement])[placement.pk])
    return row


def _placed(slug: str, repository: Repository, now: dt.datetime, **values: Any) -> Placement:
    folder = f"apps/{slug}"
    values = {"connectors_dir": f"{folder}/base44/connectors", **values}
    project = Project.objects.get(slug=slug)
    return make_placement(project, repository, folder, read_at=now - READ_AGO, read_commit=HEAD, **values)


def _remember(
    placement: Placement, type_: str, scopes: list[str] | None, agreed: list[str] | None, now: dt.datetime, **more: Any
) -> None:
    """What the repository says of a type, also where the ledger has it from."""
    at = now - dt.timedelta(hours=3)
    seen = {"commit": HEAD, "author": MIRA, "committed_at": at, "is_exact": True, "agreed": agreed, "read_at": now}
    make_repository_file(placement, type_, scopes, **seen, **more)
    Connector.objects.filter(project=placement.project, integration_type=type_).update(
        repository_scopes=scopes, repository_read_at=now, repository_commit=HEAD, repository_author=MIRA
    )


def _file(type_: str, scopes: Sequence[str]) -> bytes:
    return json.dumps({"type": type_, "scopes": list(scopes)}, indent=2).encode() + b"\n"


def _exports(repository: Repository, now: dt.datetime) -> RepositoryRun:
    """A run in each state that is over, the newest an export that found a conflict."""
    places = repository.placements.order_by("project__name").values_list("project_id", flat=True)
    hour = dt.timedelta(hours=1)
    _run(repository, now - 50 * hour, state="done", message="Committed 2 files of 1 project.", commit=HEAD[::-1])
    _run(repository, now - 9 * hour, kind="read", state="failed", message="The host did not answer within 60 seconds.")
    _run(repository, now - 3 * hour, kind="read", state="done", reason="A push to the branch.", door="api")
    _run(repository, now - 2 * hour, state="unchanged", message="Every file says what the portal declares.")
    return _run(
        repository,
        now - hour,
        state="partial",
        message="Wrote 1 file of 1 project in commit 8c1f0e27. In conflict and left alone: 1 file.",
        commit=HEAD,
        detail={"projects": {str(pk): told for pk, told in zip(places, TOLD, strict=False)}},
    )


def _run(repository: Repository, at: dt.datetime, **values: Any) -> RepositoryRun:
    over = values.get("state") not in RepositoryRun.OPEN_STATES
    values = {"kind": "export", "actor_label": "ada", "door": "admin", "started_at": at, **values}
    run = RepositoryRun.objects.create(
        repository=repository, finished_at=at + dt.timedelta(seconds=2.4) if over else None, **values
    )
    RepositoryRun.objects.filter(pk=run.pk).update(created_at=at)
    return run

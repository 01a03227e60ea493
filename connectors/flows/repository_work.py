"""Carry out a run on a repository: read it or export to it, and say what came of that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.core.actor import Actor
from connectors.core.commit_message import counted
from connectors.flows.export_choices import Choices
from connectors.flows.repository_export import export_repository
from connectors.flows.repository_read import Reading, read_repository
from connectors.models import PullRequest, RepositoryRun

State = RepositoryRun.State


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; see the fields of `RepositoryRun`."""

    state: RepositoryRun.State
    message: str
    commit: str = ""
    pull_request: PullRequest | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def carry_out(run: RepositoryRun, actor: Actor) -> Outcome:
    """Does what the claimed run asks for. Raises as `read_repository` and `export_repository` do."""
    return _read(run, actor) if run.kind == RepositoryRun.Kind.READ else _export(run, actor)


def _read(run: RepositoryRun, actor: Actor) -> Outcome:
    reading = read_repository(run.repository, actor)
    return Outcome(State.DONE if reading.moved else State.UNCHANGED, _found(reading), reading.commit.oid)


def _found(reading: Reading) -> str:
    found = [f"{counted(number, 'file')} {change}" for change, number in reading.changes.items() if number]
    new = "" if reading.moved else "Nothing new"
    return f"{new or 'Read'} at commit {reading.commit.oid[:8]}: {', '.join(found) or 'files and portal agree'}."


def _export(run: RepositoryRun, actor: Actor) -> Outcome:
    def remember(key: str, value: object) -> None:
        run.detail[key] = value
        RepositoryRun.objects.filter(pk=run.pk).update(detail=run.detail)

    done = export_repository(
        run.repository,
        actor,
        Choices.from_json(run.choices),
        reason=run.reason,
        fingerprint=run.fingerprint,
        earlier=run.detail.get("attempted", ""),
        on_commit=lambda commit: remember("attempted", commit),
        allowed=run.detail.get("allowed", []),
        on_allowed=lambda prints: remember("allowed", prints),
    )
    return Outcome(done.state, done.message, done.commit, done.pull_request, done.detail)

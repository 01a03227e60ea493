"""Export: write what the portal declares into a repository as one commit, on top of whatever others have pushed.

Each attempt reads the branch, plans anew, commits and pushes. When somebody else was quicker, that is no failure but
the next attempt: nothing is ever merged, forced or guessed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.config_files.tree import Entry, Tree
from connectors.core.errors import ConfigFileError, Refused
from connectors.core.git import Commit, Fault, Git, GitError
from connectors.core.hosts import HostError
from connectors.flows.export_approval import withhold
from connectors.flows.export_choices import Choices
from connectors.flows.export_order import Order
from connectors.flows.export_outcome import Exported
from connectors.flows.export_proposal import propose
from connectors.flows.export_push import push
from connectors.flows.export_terms import RepositoryExport
from connectors.flows.repository_access import opened
from connectors.flows.repository_export_plan import plan_repository_export
from connectors.flows.repository_read import read
from connectors.flows.repository_state import note_failure
from connectors.models import Repository

TRIES = 10
"""Attempts while others keep pushing to the branch."""

LONGEST_PAUSE = 5.0
"""Seconds between two attempts, at most."""

STALE = (
    "The repository's files or the portal's scopes have changed since this plan was shown. "
    "Nothing was written: look at the new plan."
)


def export_repository(
    repository: Repository,
    actor: Actor,
    choices: Choices | None = None,
    *,
    reason: str = "",
    fingerprint: str = "",
    earlier: str = "",
    on_commit: Callable[[str], None] = lambda _: None,
    allowed: Iterable[str] = (),
    on_allowed: Callable[[list[str]], None] = lambda _: None,
    pause: Callable[[float], None] = time.sleep,
) -> Exported:
    """Brings the branch, or a pull request against it, up to what the portal declares. See `Order` for what is given.

    Raises Refused when another plan than the one shown would be carried out, or somebody else has pushed to the pull
    request's branch; GitError and HostError when the repository cannot be reached or written, after having stored that
    on the repository.
    """
    order = Order(
        repository, actor, choices or Choices(), reason, fingerprint, earlier, on_commit, set(allowed), on_allowed
    )
    try:
        with opened(repository) as git:
            return _until_nobody_moves(lambda: _attempt(replace(order, now=timezone.now()), git), pause)
    except (GitError, HostError) as error:
        if not (isinstance(error, GitError) and error.fault is Fault.MOVED):
            note_failure(repository, error, timezone.now())
        raise


def preview_export(repository: Repository, actor: Actor) -> RepositoryExport:
    """What `export_repository` would do now, after a look at the branch: also to lock files. Writes nothing there.

    Raises GitError, after having stored it on the repository.
    """
    order = Order(repository, actor)
    try:
        with opened(repository) as git:
            _, tree = _look(order, git)
            return plan_repository_export(repository, order.choices, tree=tree)
    except GitError as error:
        note_failure(repository, error, timezone.now())
        raise


def _until_nobody_moves(attempt: Callable[[], Exported], pause: Callable[[float], None]) -> Exported:
    for number in range(TRIES):
        try:
            result = attempt()
        except GitError as error:
            if error.fault is not Fault.MOVED:
                raise
            pause(random.uniform(0, min(0.1 * 2**number, LONGEST_PAUSE)))  # noqa: S311 - spreads load, guards nothing
        else:
            return replace(result, detail={**result.detail, "attempts": number + 1})
    raise GitError(f"Somebody else pushed to the branch during each of {TRIES} attempts.", Fault.MOVED, permanent=False)


def _attempt(order: Order, git: Git) -> Exported:
    base, tree = _look(order, git)
    plan = plan_repository_export(order.repository, order.choices, tree=tree)
    if order.fingerprint and plan.fingerprint != order.fingerprint:
        raise Refused(STALE)
    _require_unmoved(plan, tree)
    plan = withhold(order, plan)
    if order.repository.mode == Repository.Mode.PULL_REQUEST:
        return propose(order, git, base, plan)
    return push(order, git, base, plan)


def _look(order: Order, git: Git) -> tuple[Commit | None, Tree]:
    """The branch's commit and its files; (None, no files) for a repository in which nobody has committed anything."""
    try:
        commit = read(order.repository, git, order.now).commit
    except GitError as error:
        if error.fault is not Fault.NO_BRANCH or git.remote().branches:
            raise
        return None, _EmptyTree()
    return commit, git.files(commit)


def _require_unmoved(plan: RepositoryExport, tree: Tree) -> None:
    """Raises GitError(MOVED) when the stored rows, of which the plan was made, are not from this commit.

    That happens when a worker elsewhere has read a newer one between our fetch and our plan.
    """
    for file in plan.files:
        try:
            found = tree.read(file.path) if file.change.before is not None else None
        except ConfigFileError:
            found = None
        if found != file.change.before:
            raise GitError(f"{file.path} has changed meanwhile.", Fault.MOVED, permanent=False)


class _EmptyTree:
    """The files of a repository without a commit."""

    name = "the empty repository"
    folder = ""

    def entries(self, folder: str) -> dict[str, Entry]:
        return {}

    def read(self, path: str) -> bytes:
        raise ConfigFileError(path, "is not in the repository")

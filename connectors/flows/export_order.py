"""What an export was asked for, and the commit that it makes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils import timezone

from connectors.core.actor import Actor
from connectors.core.commit_message import commit_message
from connectors.core.git import Author, Commit, Git
from connectors.flows.export_choices import Choices
from connectors.flows.export_terms import RepositoryExport
from connectors.models import Repository


@dataclass(frozen=True)
class Order:
    """What somebody asked for, and what is known of earlier attempts.

    `fingerprint` is that of the plan which was shown, "" when none was. `earlier` is the commit that an attempt before
    this one was about to push when its worker died. `on_commit` gets each commit before it is pushed, so that it can be
    recognised later. `allowed` are the fingerprints of what another person has approved and this order has used up;
    `on_allowed` gets all of them, in the transaction that uses up one more.
    """

    repository: Repository
    actor: Actor
    choices: Choices = field(default_factory=Choices)
    reason: str = ""
    fingerprint: str = ""
    earlier: str = ""
    on_commit: Callable[[str], None] = lambda _: None
    allowed: set[str] = field(default_factory=set)
    on_allowed: Callable[[list[str]], None] = lambda _: None
    now: dt.datetime = field(default_factory=timezone.now)


def make_commit(order: Order, git: Git, base: Commit | None, plan: RepositoryExport) -> Commit:
    """The commit that holds the plan, on top of `base`; nobody else has it yet."""
    repository = order.repository
    message = commit_message(
        plan.notes, actor=order.actor.label, reason=order.reason, template=repository.message_template
    )
    author = Author(repository.author_name, repository.author_email)
    commit = git.commit(base, plan.changes, message, author, order.now)
    order.on_commit(commit.oid)
    return commit

"""Whether a repository can be reached: what the last attempt to read it said, and when the next one is due."""

from __future__ import annotations

import datetime as dt

from connectors.core.errors import PortalError
from connectors.core.git.terms import Commit, Fault, GitError
from connectors.core.hosts import HostError
from connectors.models import Repository

FAILING_AFTER = 3
"""Failures in a row after which a repository counts as failing, where another attempt may help by itself."""
RETRY_AFTER = dt.timedelta(minutes=1)
LONGEST_WAIT = dt.timedelta(hours=6)

_SUCCESS = [
    "state",
    "problem",
    "failures",
    "failing_since",
    "head",
    "head_author",
    "head_at",
    "read_at",
    "next_read_at",
]
_FAILURE = ["state", "problem", "failures", "failing_since", "next_read_at"]


def note_success(repository: Repository, commit: Commit, now: dt.datetime) -> None:
    """It was read at this commit: whatever failed before is over."""
    repository.state, repository.problem = Repository.State.WORKING, ""
    repository.failures, repository.failing_since = 0, None
    repository.head, repository.head_author, repository.head_at = commit.oid, commit.author[:200], commit.at
    repository.read_at = now
    repository.next_read_at = now + dt.timedelta(minutes=max(repository.read_minutes, 1))
    repository.save(update_fields=_SUCCESS)


def note_failure(repository: Repository, error: PortalError, now: dt.datetime) -> None:
    """It could not be read or written, in the error's words; the next attempts come later and later.

    What another attempt cannot help counts as failing at once, anything else after `FAILING_AFTER` times. That another
    process works on the same repository is no fault of it.
    """
    if isinstance(error, GitError) and error.fault is Fault.BUSY:
        return
    passes = isinstance(error, (GitError, HostError)) and not error.permanent
    repository.failures += 1
    repository.problem = str(error)
    repository.failing_since = repository.failing_since or now
    if not passes or repository.failures >= FAILING_AFTER:
        repository.state = Repository.State.FAILING
    repository.next_read_at = now + _wait(repository, passes=passes)
    repository.save(update_fields=_FAILURE)


def _wait(repository: Repository, *, passes: bool) -> dt.timedelta:
    """What may pass by itself is tried again soon, the rest when it would have been read anyway; both doubling."""
    first = RETRY_AFTER if passes else dt.timedelta(minutes=max(repository.read_minutes, 1))
    return min(first * (1 << min(repository.failures - 1, 10)), LONGEST_WAIT)

"""Propose an export: a branch of the portal's own on top of the newest commit, and one pull request for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from django.conf import settings
from django.urls import reverse

from connectors.core.commit_message import summary
from connectors.core.errors import Refused
from connectors.core.git import Commit, Git
from connectors.core.pull_request_body import pull_request_body
from connectors.flows.export_choices import Choices
from connectors.flows.export_order import Order, make_commit
from connectors.flows.export_outcome import Exported, outcome, wrote
from connectors.flows.export_terms import RepositoryExport
from connectors.flows.proposed_files import forget_proposals, remember_proposal
from connectors.flows.pull_requests import look_at, open_one, open_or_update
from connectors.flows.repository_access import host_of
from connectors.flows.repository_words import request_words
from connectors.models import Project, PullRequest, Repository, RepositoryRun

BRANCHES = "connector-portal"
"""Where the portal's branches are: `connector-portal/<branch>/<key>`."""

LONGEST_KEY = 60

EMPTY = (
    "Nobody has committed anything to this repository yet, so there is no branch to propose a change of. "
    "Make a first commit there, or let the portal commit to the branch."
)


def propose(order: Order, git: Git, base: Commit | None, plan: RepositoryExport) -> Exported:
    """Opens the pull request for these projects, or brings the open one up to the plan. Nothing reaches the branch.

    The pull request's branch is made anew on the branch's newest commit each time, so that it never conflicts. Raises
    Refused when somebody else has pushed to it, unless the choices say to start over; GitError and HostError.
    """
    if base is None:
        raise Refused(EMPTY)
    host_of(order.repository)  # refuses where nobody could open one, before anything is pushed
    key = key_of(order.choices, (project.project for project in plan.projects))
    current = _still_open(order, key)
    if current is None:
        forget_proposals(plan)
    if not plan.files:
        return outcome(plan, pull_request=current, note=_nothing(order.repository, current))
    branch = f"{BRANCHES}/{order.repository.branch}/{key}"
    tip = git.remote().branches.get(branch, "")
    if not order.choices.starts_over:
        _refuse_foreign(order.repository, branch, tip)
    if current is not None and tip == current.head and _proposes(current, plan):
        note = f"{_named(order.repository, current)} proposes this already."
        return outcome(plan, pull_request=current, note=note)
    commit = make_commit(order, git, base, plan)
    git.push(commit, branch, expect=tip)
    return _publish(order, key, branch, commit, plan)


def _publish(order: Order, key: str, branch: str, commit: Commit, plan: RepositoryExport) -> Exported:
    """The pull request for what was just pushed."""
    remember_proposal(plan, order.now)
    pull_request = open_or_update(
        order.repository,
        key,
        [project.project for project in plan.projects if project.files],
        branch,
        commit.oid,
        summary(plan.notes),
        _body(order, plan),
        order.now,
        actor=order.actor,
    )
    Repository.objects.filter(pk=order.repository.pk).update(exported_at=order.now)
    done = f"{wrote(plan)} to {_named(order.repository, pull_request).lower()}."
    return outcome(plan, done, commit.oid, pull_request=pull_request)


def key_of(choices: Choices, projects: Iterable[Project]) -> str:
    """Names the set of projects, for a branch and for the one pull request that may be open for it."""
    if choices.projects is None:
        return "all"
    key = "+".join(sorted(project.slug for project in projects))
    if len(key) <= LONGEST_KEY:
        return key or "none"
    return f"{len(choices.projects)}-projects-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _still_open(order: Order, key: str) -> PullRequest | None:
    """The pull request for these projects, unless the host says that it is merged or closed by now."""
    known = open_one(order.repository, key)
    if known is None:
        return None
    seen = look_at(known, order.now)
    return seen if seen.state == PullRequest.State.OPEN else None


def _nothing(repository: Repository, current: PullRequest | None) -> str:
    if current is None:
        return "Nothing to propose."
    return f"Nothing to propose. {_named(repository, current)} is still open: close it at the host if nobody needs it."


def _named(repository: Repository, pull_request: PullRequest) -> str:
    return f"{request_words(repository).capitalize()} #{pull_request.number}"


def _proposes(current: PullRequest, plan: RepositoryExport) -> bool:
    """Whether the pull request, as the last run left it, holds just this plan, made of the same files."""
    last = current.runs.order_by("-pk").first()
    told = last.detail if last is not None else {}
    return (told.get("fingerprint"), told.get("content")) == (plan.fingerprint, plan.content)


def _refuse_foreign(repository: Repository, branch: str, tip: str) -> None:
    """Raises Refused when the branch is at a commit that the portal did not make."""
    if not tip or repository.pull_requests.filter(branch=branch, head=tip).exists():
        return
    if repository.runs.filter(kind=RepositoryRun.Kind.EXPORT, detail__attempted=tip).exists():
        return  # pushed by a worker that was killed, or could not reach the host, before it opened the pull request
    raise Refused(
        f"Somebody else has pushed to {branch}, and the portal overwrites nobody's commits. Merge or close its pull "
        "request, or export again and choose to start over: then these commits are given up."
    )


def _body(order: Order, plan: RepositoryExport) -> str:
    path = reverse("admin:connectors_repository_change", args=[order.repository.pk])
    return pull_request_body(
        plan.notes,
        actor=order.actor.label,
        reason=order.reason,
        findings=plan.findings,
        left=plan.left_notes,
        link=f"{settings.PORTAL_URL}{path}" if settings.PORTAL_URL else "",
    )

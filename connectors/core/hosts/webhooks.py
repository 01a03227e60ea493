"""What hosts send when something changes in a repository: whether it is from them, and what it says.

https://docs.github.com/en/webhooks/webhook-events-and-payloads,
https://docs.gitlab.com/user/project/integrations/webhook_events/ and https://docs.gitea.com/usage/webhooks.
A git server of another kind may sign and speak as GitHub does: its post-receive hook needs three lines for that.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from connectors.core import webhooks
from connectors.core.hosts.api import Number, object_id
from connectors.core.hosts.errors import WebhookRefused
from connectors.core.printable import one_line

MAX_BODY = 5 * 2**20
"""Bytes. A push of twenty commits with all their paths is far below."""


@dataclass(frozen=True, slots=True)
class Push:
    """A branch moved. `before` is "" when it is new, `after` when it was deleted."""

    branch: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PullRequestChanged:
    """Something happened to a pull request; what, is for the host to say when it is asked."""

    number: int
    branch: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The host tries out whether messages arrive."""


Event = Push | PullRequestChanged | Ping

_EVENT_HEADERS = {
    "github": ("x-github-event",),
    "gitlab": ("x-gitlab-event",),
    "gitea": ("x-forgejo-event", "x-gitea-event"),
    "plain": ("x-github-event",),
}
_SIGNATURE_HEADERS = {
    "github": ("x-hub-signature-256",),
    "gitea": ("x-forgejo-signature", "x-gitea-signature", "x-hub-signature-256"),
    "plain": ("x-hub-signature-256",),
}
_HEADS = "refs/heads/"
_NAME = re.compile(r"[^\x00-\x20\x7f]{1,300}")

M = TypeVar("M", bound=BaseModel)


def verify(kind: str, headers: Mapping[str, str], body: bytes, secret: SecretStr) -> None:
    """Does nothing when whoever sent the message knows the secret. Raises WebhookRefused when not. No I/O.

    `kind` is the repository's: "github", "gitlab", "gitea" or "plain". That a message came before does not refuse it:
    all it can do is to make the portal look at the repository.
    """
    known, named = secret.get_secret_value(), _lower(headers)
    if not known:
        raise WebhookRefused("The repository has no webhook secret: make one and enter it at the host.")
    signed = _is_gitlabs if kind == "gitlab" else _is_signed
    if not signed(kind, named, body, known):
        raise WebhookRefused("The message is not signed with this repository's webhook secret.")


def read_event(kind: str, headers: Mapping[str, str], body: bytes) -> Event | None:
    """What a message says; None for one that is about nothing of interest here. No I/O.

    Raises WebhookRefused for a body that is not what the host documents.
    """
    if kind not in _EVENT_HEADERS:
        raise WebhookRefused("Messages of this kind of host are not known.")
    named = _lower(headers)
    if "json" not in named.get("content-type", "json").lower():
        raise WebhookRefused("The message is not JSON: choose application/json as its content type at the host.")
    event = next((named[name] for name in _EVENT_HEADERS[kind] if name in named), "")
    if not event:
        raise WebhookRefused("The message does not say what it is about, as this kind of host does in a header.")
    return _gitlab_event(event, body) if kind == "gitlab" else _github_event(event, body)


def _is_signed(kind: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """HMAC-SHA256 of the body in hexadecimal; GitHub writes `sha256=` before it."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for name in _SIGNATURE_HEADERS.get(kind, ()):
        if name in headers:
            return _same(headers[name].removeprefix("sha256="), expected)
    return False


def _is_gitlabs(kind: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """GitLab 19.0 signs by Standard Webhooks where its signing token is set, and sends a secret token as it is."""
    token = headers.get("x-gitlab-token")
    if token is not None and _same(token, secret):
        return True
    try:
        timestamp = int(headers.get("webhook-timestamp", ""))
        expected = webhooks.signature(secret, headers.get("webhook-id", ""), timestamp, body)
    except ValueError:
        return False
    return any(_same(each, expected) for each in headers.get("webhook-signature", "").split(" "))


def _same(one: str, other: str) -> bool:
    """Whether two texts are equal; how long it takes tells nothing about where they differ."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class _PushBody(BaseModel):
    ref: str
    before: str = ""
    after: str = ""

    def event(self) -> Push | None:
        """None for a tag."""
        branch = self.ref.removeprefix(_HEADS)
        if branch == self.ref:
            return None
        if not _NAME.fullmatch(branch):
            raise WebhookRefused("The message names no possible branch.")
        return Push(branch, _commit(self.before), _commit(self.after))


class _GitHubBranch(BaseModel):
    ref: str


class _GitHubPull(BaseModel):
    number: Number
    head: _GitHubBranch


class _GitHubPullBody(BaseModel):
    pull_request: _GitHubPull


class _GitLabAttributes(BaseModel):
    iid: Number
    source_branch: str


class _GitLabBody(BaseModel):
    object_kind: str


class _GitLabMergeBody(BaseModel):
    object_attributes: _GitLabAttributes


def _github_event(event: str, body: bytes) -> Event | None:
    if event == "ping":
        return Ping()
    if event == "push":
        return _parsed(body, _PushBody).event()
    if event.startswith("pull_request") and not event.startswith("pull_request_review"):
        pull = _parsed(body, _GitHubPullBody).pull_request
        return PullRequestChanged(pull.number, one_line(pull.head.ref, 300))
    return None


def _gitlab_event(event: str, body: bytes) -> Event | None:
    # System hooks of a whole GitLab name the event in the body alone.
    kind = _parsed(body, _GitLabBody).object_kind if event == "System Hook" else event
    if kind in ("Push Hook", "push"):
        return _parsed(body, _PushBody).event()
    if kind in ("Merge Request Hook", "merge_request"):
        found = _parsed(body, _GitLabMergeBody).object_attributes
        return PullRequestChanged(found.iid, one_line(found.source_branch, 300))
    return None


def _parsed(body: bytes, shape: type[M]) -> M:
    try:
        return shape.model_validate_json(body)
    except ValidationError:
        raise WebhookRefused("The message is not what this kind of host sends.") from None


def _commit(text: str) -> str:
    """A commit's id; hosts write zeros where there is none."""
    return "" if not text.strip("0") else object_id(text)

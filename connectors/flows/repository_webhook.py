"""Take a webhook of a repository's host: is it from there, and does it say that the repository has to be read?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.cache import cache
from django.utils.formats import date_format
from django.utils.timezone import localtime
from pydantic import SecretStr

from connectors.core.crypto import UnreadableSecretError
from connectors.core.hosts.errors import WebhookRefused
from connectors.core.hosts.webhooks import Event, PullRequestChanged, Push, read_event, verify
from connectors.models import PullRequest, Repository

NOTED_EVERY = 60
"""Seconds between two refusals that are written down: whoever only knows the address must not keep us writing."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message means: `reason` is why the repository has to be read now, "" when it need not be."""

    text: str
    reason: str = ""


def hear(repository: Repository, headers: Mapping[str, str], body: bytes, now: dt.datetime) -> Heard:
    """What the message means for this repository; that it came is noted on the repository, refused or not.

    A pull request that it is about is asked for at the next round. Raises WebhookRefused when it is not signed with the
    repository's secret, and ValueError for a signed one that does not read as the host documents.
    """
    _verify(repository, headers, body, now)
    try:
        event = read_event(repository.host, headers, body)
    except WebhookRefused as error:
        _note_refusal(repository, error, now)
        raise ValueError(str(error)) from None
    repository.webhook_at, repository.webhook_note = now, ""
    repository.save(update_fields=["webhook_at", "webhook_note"])
    return _meaning(repository, event)


def _verify(repository: Repository, headers: Mapping[str, str], body: bytes, now: dt.datetime) -> None:
    try:
        verify(repository.host, headers, body, SecretStr(repository.webhook_secret.reveal()))
    except WebhookRefused as error:
        _note_refusal(repository, error, now)
        raise
    except UnreadableSecretError as error:
        refused = WebhookRefused("The portal cannot read its webhook secret any more: make a new one.")
        _note_refusal(repository, refused, now)
        raise refused from error


def _meaning(repository: Repository, event: Event | None) -> Heard:
    if isinstance(event, PullRequestChanged):
        known = PullRequest.objects.open().filter(repository=repository, number=event.number)
        found = known.update(checked_at=None)
        return Heard("The pull request is looked at soon." if found else "This pull request is not the portal's.")
    if not isinstance(event, Push):
        return Heard("Heard." if event is not None else "Nothing that the portal follows.")
    if event.branch != repository.branch:
        return Heard("Another branch.")
    if not repository.is_enabled:
        return Heard("The repository is not in use.")
    if event.after and event.after == repository.head:
        return Heard("This commit is known already.")  # the portal's own, most often
    return Heard("", f"A push to {event.branch}.")


def _note_refusal(repository: Repository, error: WebhookRefused, now: dt.datetime) -> None:
    if not cache.add(f"webhook-refused:{repository.pk}", True, NOTED_EVERY):
        return
    repository.webhook_note = f"{date_format(localtime(now), 'DATETIME_FORMAT')}: a message was refused. {error}"[:300]
    repository.save(update_fields=["webhook_note"])

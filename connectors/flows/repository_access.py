"""How a repository is reached: its credential in the clear, its cache on this host, and what one command may take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from pydantic import SecretStr

from connectors.core.errors import Refused
from connectors.core.git import Access, Git, Limits
from connectors.core.git import opened as open_cache
from connectors.core.hosts import Host, host_for
from connectors.core.net import Allowed
from connectors.flows.repository_words import is_ssh
from connectors.models import Repository, Sealed

USERS = {
    Repository.Host.GITHUB: "x-access-token",
    Repository.Host.GITLAB: "oauth2",
    Repository.Host.GITEA: "x-access-token",
    Repository.Host.PLAIN: "git",
}
"""The user name that goes with a token where nobody has said another: these hosts look at the token alone."""
PATIENCE = 10.0
"""Seconds for which somebody who waits for a page is let wait for another process to be done with the cache."""
SECONDS = 60.0
"""What one git command may take while somebody waits for the page."""


def allowed() -> Allowed:
    """The private hosts whose repositories may be reached."""
    return Allowed.of(settings.GIT_ALLOWED_PRIVATE_HOSTS, setting="GIT_ALLOWED_PRIVATE_HOSTS")


def limits() -> Limits:
    """What one git command may take on this installation."""
    return Limits(seconds=float(settings.GIT_TIMEOUT), bytes=settings.GIT_MAX_MB * 1024 * 1024)


def cache_of(repository: Repository) -> Path:
    """The repository's folder on this host: whatever lies in it can be thrown away at any time."""
    return Path(settings.GIT_CACHE_DIR) / str(repository.pk)


def access_of(repository: Repository) -> Access:
    """How to reach the repository, with the one secret that its address needs. Raises UnreadableSecretError."""
    over_ssh = is_ssh(repository)
    return Access(
        url=repository.url,
        username=repository.token_user or USERS[Repository.Host(repository.host)],
        token=None if over_ssh else _revealed(repository.token),
        deploy_key=_revealed(repository.deploy_key) if over_ssh else None,
        known_hosts=repository.known_hosts,
        allowed=allowed(),
        file_urls=settings.GIT_ALLOW_FILE_URLS,
    )


@contextmanager
def opened(repository: Repository, wait: float = 60.0, *, seconds: float | None = None) -> Iterator[Git]:
    """The repository, reached through its cache, which no other process of this host uses meanwhile.

    `seconds` is what one command may take, where that is less than usual because a person waits for it.
    Raises GitError (BUSY when another process kept the cache for `wait` seconds) and UnreadableSecretError.
    """
    bounds = limits() if seconds is None else replace(limits(), seconds=min(seconds, limits().seconds))
    with open_cache(cache_of(repository), access_of(repository), bounds, wait=wait) as git:
        yield git


def host_of(repository: Repository) -> Host:
    """The host's own interface, for pull requests. No I/O.

    Raises Refused where there is none or no token for it, HostError for an odd address, and UnreadableSecretError.
    """
    if repository.host == Repository.Host.PLAIN:
        raise Refused("This git server has no pull requests that the portal knows how to open.")
    token = _revealed(repository.token)
    if token is None:
        raise Refused("Pull requests need an access token: a deploy key opens none.")
    return host_for(repository.host, repository.url, repository.api_url, token, allowed())


def _revealed(sealed: Sealed) -> SecretStr | None:
    return SecretStr(sealed.reveal()) if sealed else None

"""What can go wrong between the portal and a repository's host, in words."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from connectors.core.errors import PortalError


class HostFault(StrEnum):
    """What a `HostError` is about, for code that has to tell one from another."""

    ADDRESS = "address"
    """The API's address is none, or one that must not be reached."""
    CREDENTIAL = "credential"
    """The host does not know the token, or it has expired."""
    NOT_FOUND = "not_found"
    """There is no such thing, or this token may not see it: hosts do not say which."""
    MOVED = "moved"
    """The repository has another name now."""
    REFUSED = "refused"
    """The host understood, and does not do it."""
    RATE = "rate"
    """Too many calls: wait."""
    UNREACHABLE = "unreachable"
    UNREADABLE = "unreadable"
    """What came back is not what this host's API answers."""


class HostError(PortalError):
    """A host did not do what was asked.

    `permanent`: the same again cannot help until somebody changes something. `status` is the HTTP status, None when no
    answer came. `retry_after` is for how long the host wants to be left alone, None when it did not say. The text
    quotes at most the host's own short message, never the rest of an answer and never the token.
    """

    def __init__(
        self,
        message: str,
        fault: HostFault,
        *,
        permanent: bool,
        status: int | None = None,
        retry_after: dt.timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.fault, self.permanent, self.status, self.retry_after = fault, permanent, status, retry_after


class WebhookRefused(PortalError):
    """A message that is not the host's, or none that can be understood. The text quotes nothing of it."""

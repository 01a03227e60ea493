"""Why a provider gave no token, in the four kinds that call for four different steps."""

from __future__ import annotations

from enum import StrEnum

from connectors.core.errors import PortalError


class Kind(StrEnum):
    """Who or what can help.

    consent: only a person, by authorising again. client: whoever keeps the OAuth client. transient: time. refused:
    nobody by trying the same again.
    """

    CONSENT = "consent"
    CLIENT = "client"
    TRANSIENT = "transient"
    REFUSED = "refused"


class OAuthError(PortalError):
    """A provider did not do what was asked.

    The text is the portal's own and quotes nothing of the provider's but the error code. `code` is that code, or one
    of the portal's own, "" when there is none. `status` is the HTTP status, None when no answer came. `retry_after`
    is in seconds. `lost`: the provider may have done it, and its answer is gone.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: Kind,
        code: str = "",
        status: int | None = None,
        retry_after: float | None = None,
        lost: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind, self.code, self.status = kind, code, status
        self.retry_after, self.lost = retry_after, lost

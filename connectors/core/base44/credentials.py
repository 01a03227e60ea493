"""With what the portal shows Base44 who it is: a personal access token, or the tokens of a device login.

Workspace keys (`b44k_...`) are no credential here: Base44 refuses them on every connector endpoint.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from connectors.core.errors import ApiError, CredentialError

WORKSPACE_KEY_PREFIX = "b44k_"
REFRESH_EARLY = 60.0
"""Seconds before its end at which an access token is renewed, as Base44's CLI does."""

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


class Credential(Protocol):
    """What `Base44Client` needs of a credential. Must be safe to use from several threads."""

    def headers(self) -> Mapping[str, str]:
        """The headers that carry the credential. Raises CredentialError when there is no usable one."""

    def renew(self, rejected: Mapping[str, str]) -> bool:
        """Base44 answered 401 to these headers: is there now another credential that is worth one more try?"""


def check_token(token: str) -> str:
    """The token without surrounding blanks. Raises CredentialError with what is wrong with it, never quoting it."""
    token = token.strip()
    if not token:
        raise CredentialError("The workspace has no Base44 token yet: store a personal access token.")
    if token.startswith(WORKSPACE_KEY_PREFIX):
        raise CredentialError(
            "This is a Base44 workspace key (b44k_…), which Base44 refuses on connector endpoints: "
            "store a personal access token of a person or service user instead."
        )
    if not _HEADER_SAFE.fullmatch(token):
        raise CredentialError(
            "The Base44 token holds blanks, line breaks or other signs that no token has: copy it again."
        )
    return token


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class PersonalAccessToken:
    """A personal access token: reaches one workspace, and dies when its owner leaves that workspace."""

    def __init__(self, token: SecretStr | str) -> None:
        """Raises CredentialError for an empty token, a workspace key, or text that cannot be a token."""
        self._headers = _bearer(check_token(token if isinstance(token, str) else token.get_secret_value()))

    def headers(self) -> Mapping[str, str]:
        """The Authorization header."""
        return self._headers

    def renew(self, rejected: Mapping[str, str]) -> bool:
        """Always False: nobody but its owner can make a new one."""
        return False


@dataclass(frozen=True, slots=True)
class DeviceTokens:
    """The tokens of a device login. `expires_at` is when the access token ends, in Unix seconds."""

    access_token: SecretStr
    refresh_token: SecretStr
    expires_at: float


class DeviceLogin:
    """A device login that renews itself one minute before its end, and once when Base44 answers 401.

    Base44 replaces the refresh token at each renewal, and using an old one ends the login. Therefore
    `refresh(stale)` belongs to whoever stores the tokens: under a lock that all workers share it returns the
    stored tokens when they are no longer `stale`, and otherwise calls `sign_in.refresh_device_token`, stores
    what it gives, and returns that.
    """

    def __init__(
        self,
        tokens: DeviceTokens,
        refresh: Callable[[DeviceTokens], DeviceTokens],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._tokens, self._refresh, self._clock = tokens, refresh, clock
        self._lock = threading.Lock()

    def headers(self) -> Mapping[str, str]:
        """The Authorization header, renewed first when its end is near.

        Raises CredentialError when Base44 ends the login, ApiError when a token that is over cannot be renewed now.
        """
        tokens = self._tokens
        if self._clock() >= tokens.expires_at - REFRESH_EARLY:
            tokens = self._renew_early(tokens)
        return _bearer(check_token(tokens.access_token.get_secret_value()))

    def renew(self, rejected: Mapping[str, str]) -> bool:
        """Renew once, unless another thread has done so since `rejected` was built."""
        with self._lock:
            if _bearer(self._tokens.access_token.get_secret_value()) == dict(rejected):
                self._tokens = self._refresh(self._tokens)
        return True

    def _renew_early(self, seen: DeviceTokens) -> DeviceTokens:
        with self._lock:
            if self._tokens is not seen:
                return self._tokens
            try:
                self._tokens = self._refresh(seen)
            except CredentialError:
                raise
            except ApiError:
                # A short outage must not stop work that the old token can still do.
                if self._clock() >= seen.expires_at:
                    raise
            return self._tokens

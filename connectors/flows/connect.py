"""A client for a workspace: its credential in the clear only here, its rate budget shared by all workers."""

from __future__ import annotations

import math
import threading
import time

from pydantic import SecretStr

from connectors.core.base44.budget import Budget, hold, limit_of, reserve
from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import Credential, DeviceLogin, DeviceTokens, PersonalAccessToken
from connectors.core.errors import CredentialError
from connectors.models import RateBudget, Workspace


def client_for(workspace: Workspace, *, budget: Budget | None = None) -> Base44Client:
    """A client that speaks for `workspace`. Raises CredentialError when it has no credential."""
    return Base44Client(workspace.api_url, credential_of(workspace), budget=budget or DatabaseBudget(workspace))


def credential_of(workspace: Workspace) -> Credential:
    """The workspace's credential, decrypted. Raises CredentialError when there is none."""
    token = workspace.credential.reveal()
    if not token:
        raise CredentialError(
            f"{workspace} has no Base44 credential yet. Add a personal access token to the workspace."
        )
    if workspace.credential_kind != Workspace.CredentialKind.DEVICE:
        return PersonalAccessToken(token)
    expires = workspace.credential_expires_at
    tokens = DeviceTokens(
        SecretStr(token), SecretStr(workspace.credential_refresh.reveal()), expires.timestamp() if expires else 0.0
    )
    return DeviceLogin(tokens, refresh=lambda stale: _renewed(workspace.pk, stale))


def _renewed(workspace_id: int, stale: DeviceTokens) -> DeviceTokens:
    from connectors.flows.credentials import refresh_device_tokens  # it builds its client here

    return refresh_device_tokens(workspace_id, stale)


class DatabaseBudget:
    """The rate budget of a workspace in a row per kind of call, moved by compare-and-set: nobody holds a lock."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace_id, self._multiplier = workspace.pk, workspace.rate_multiplier

    def acquire(self, kind: str, n: int = 1, *, max_wait: float = math.inf) -> float:
        """Seconds to wait before making `n` calls; reserved unless that exceeds `max_wait`."""
        limit = limit_of(kind, self._multiplier)
        while True:
            row = self._row(kind)
            tat, wait = reserve(row.tat, time.time(), n, limit.per_minute, limit.burst)
            if wait > max_wait or self._move(row, tat):
                return wait

    def hold(self, kind: str, seconds: float) -> None:
        """Base44 said "not before `seconds` have passed": no worker calls this kind earlier."""
        limit = limit_of(kind, self._multiplier)
        while True:
            row = self._row(kind)
            if self._move(row, hold(row.tat, time.time(), seconds, limit.per_minute, limit.burst)):
                return

    def burst(self, kind: str) -> int:
        """How many calls may go at once when nobody has called for a while."""
        return int(limit_of(kind, self._multiplier).burst)

    def _row(self, kind: str) -> RateBudget:
        return RateBudget.objects.get_or_create(workspace_id=self._workspace_id, kind=kind)[0]

    def _move(self, row: RateBudget, tat: float) -> bool:
        return RateBudget.objects.filter(pk=row.pk, tat=row.tat).update(tat=tat) == 1


class Prepaid:
    """Calls reserved in advance for a batch, so that its threads need no database; repeats draw on the budget."""

    def __init__(self, budget: Budget, calls: dict[str, int]) -> None:
        self._budget, self._calls = budget, dict(calls)
        self._lock = threading.Lock()

    def acquire(self, kind: str, n: int = 1, *, max_wait: float = math.inf) -> float:
        """0 while prepaid calls last, then what the real budget says."""
        with self._lock:
            if self._calls.get(kind, 0) >= n:
                self._calls[kind] -= n
                return 0.0
        return self._budget.acquire(kind, n, max_wait=max_wait)

    def hold(self, kind: str, seconds: float) -> None:
        """Passed on to the real budget, so that other workers keep still too."""
        self._budget.hold(kind, seconds)

"""A workspace's credential: set, cleared, checked; a device login begun, finished, and renewed by one worker alone."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.actor import SCHEDULER, Actor
from connectors.core.base44.client import Base44Client
from connectors.core.base44.contract import DeviceCode
from connectors.core.base44.credentials import DeviceTokens, check_token
from connectors.core.base44.http import Policy, Transport
from connectors.core.base44.sign_in import device_login_poll, device_login_start, refresh_device_token
from connectors.core.errors import ApiError, CredentialError, Refused
from connectors.flows.events import changes, record_event
from connectors.flows.lease import LEASE, RowLease
from connectors.models import Sealed, Workspace

Kind = Workspace.CredentialKind
State = Workspace.CredentialState
Renew = Callable[[str, DeviceTokens], DeviceTokens]

DEVICE_LOGINS = RowLease(Workspace, "credential_")

RENEW_EARLY = dt.timedelta(minutes=5)
"""Before its end a device login is renewed by the scheduler; whoever needs it meanwhile renews it a minute before."""

_LOOK_AGAIN = 0.2
"""Seconds between two looks at whether another worker has finished renewing."""


def set_token(workspace: Workspace, token: str, actor: Actor) -> None:
    """Stores a personal access token, sealed, in place of whatever credential there was.

    Raises Refused for an empty token, one with blanks in it, and a workspace key (`b44k_...`), which Base44 does not
    accept on connector endpoints. The text never quotes the token.
    """
    if not token.strip():
        raise Refused("The token is empty.")
    try:
        checked = check_token(token)
    except CredentialError as error:
        raise Refused(str(error)) from None
    _replace(workspace, actor, "credential.set", credential_kind=Kind.TOKEN, credential=Sealed.of(checked))


def clear_credential(workspace: Workspace, actor: Actor) -> None:
    """Forgets the workspace's credential. Base44 keeps it valid: withdraw it there as well."""
    _replace(
        workspace,
        actor,
        "credential.cleared",
        credential_kind=Kind.NONE,
        credential_state=State.MISSING,
        credential_set_at=None,
    )


def verify_credential(workspace: Workspace, client: Base44Client, actor: Actor) -> bool:
    """Asks Base44 whether it accepts the credential, and notes the answer and whose it is. False when it does not.

    Raises ApiError when Base44 could not be asked; the state then stays as it was.
    """
    generation = workspace.credential_generation
    before = {"state": workspace.credential_state, "account": workspace.credential_account}
    try:
        client.list_apps()
        after = {"state": State.ACCEPTED.value, "account": _account(client)}
    except CredentialError:
        after = {"state": State.REFUSED.value, "account": workspace.credential_account}
    with transaction.atomic():
        # A credential that was replaced meanwhile must not get the old one's verdict.
        current = Workspace.objects.filter(pk=workspace.pk)
        if workspace.credential_kind != Kind.DEVICE:
            current = current.filter(credential_generation=generation)
        current.update(
            credential_state=after["state"],
            credential_account=after["account"][:200],
            credential_checked_at=timezone.now(),
        )
        old, new = changes(before, after)
        record_event(actor, "credential.checked", workspace, before=old, after=new or after)
    _reload(workspace)
    return after["state"] == State.ACCEPTED


def start_device_login(workspace: Workspace) -> DeviceCode:
    """Begins a sign-in: show the person `user_code` and `verification_uri`, then poll with `finish_device_login`.

    Nothing is stored. `device_code` is a secret: keep it where only this person's session reaches it.
    """
    return device_login_start(workspace.api_url)


def finish_device_login(workspace: Workspace, device_code: SecretStr, actor: Actor) -> bool:
    """Stores the tokens once the person has agreed at Base44; False as long as they have not.

    Raises CredentialError when the person declined or took too long, ApiError when Base44 cannot say.
    """
    tokens = device_login_poll(workspace.api_url, device_code)
    if tokens is None:
        return False
    _replace(workspace, actor, "credential.signed_in", credential_kind=Kind.DEVICE, **_sealed(tokens))
    return True


def refresh_device_tokens(
    workspace_id: int,
    stale: DeviceTokens,
    *,
    renew: Renew | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DeviceTokens:
    """The tokens to use instead of `stale`; of all workers that ask at the same time, exactly one asks Base44.

    Base44 replaces the refresh token at each renewal, and a second use of the old one ends the login. So a worker
    first leases the row (`credential_lease_until`), and stores what it got only where the generation is still the one
    it leased. The others wait for that. Do not call it inside a transaction: the others would not see the lease.
    Raises CredentialError when the login is over (noted on the workspace), ApiError when renewing has to wait.
    """
    give_up = timezone.now() + 2 * LEASE
    while timezone.now() < give_up:
        workspace = Workspace.objects.get(pk=workspace_id)
        tokens = _current(workspace)
        if _differ(tokens, stale):
            return tokens
        if DEVICE_LOGINS.take(workspace.pk, workspace.credential_generation, timezone.now()):
            return _renew_leased(workspace, tokens, renew or _renew_once)
        sleep(_LOOK_AGAIN)
    raise ApiError("Another worker is renewing the sign-in at Base44 and does not come to an end.", permanent=False)


def due_device_logins(now: dt.datetime) -> list[int]:
    """Ids of the workspaces whose device login ends within RENEW_EARLY, so that no call has to wait for a new one."""
    rows = Workspace.objects.filter(credential_kind=Kind.DEVICE, credential_expires_at__lt=now + RENEW_EARLY)
    return list(rows.exclude(credential_state=State.REFUSED).values_list("pk", flat=True))


def refresh_device_login(workspace_id: int, *, renew: Renew | None = None) -> None:
    """Renews a device login before its end. Raises as `refresh_device_tokens` does."""
    refresh_device_tokens(workspace_id, _current(Workspace.objects.get(pk=workspace_id)), renew=renew)


def _renew_leased(workspace: Workspace, tokens: DeviceTokens, renew: Renew) -> DeviceTokens:
    """Renews under the lease that we hold, and ends the lease whatever happens."""
    mine = workspace.pk, workspace.credential_generation
    try:
        fresh = renew(workspace.api_url, tokens)
    except CredentialError:
        if DEVICE_LOGINS.release(*mine, credential_state=State.REFUSED):
            record_event(SCHEDULER, "credential.ended", workspace, note="Base44 has ended the sign-in.")
        raise
    except BaseException:
        DEVICE_LOGINS.release(*mine)
        raise
    if DEVICE_LOGINS.store(*mine, **_sealed(fresh)):
        return fresh
    # Somebody set another credential while we asked: theirs counts.
    return _current(Workspace.objects.get(pk=workspace.pk))


def _renew_once(api_url: str, tokens: DeviceTokens) -> DeviceTokens:
    # One attempt only, or a repeat could outlast the lease.
    return refresh_device_token(api_url, tokens, transport=Transport(policy=Policy(attempts=1)))


def _current(workspace: Workspace) -> DeviceTokens:
    """The stored device login. Raises CredentialError when there is none any more."""
    if workspace.credential_kind != Kind.DEVICE:
        raise CredentialError(f"{workspace} no longer uses a sign-in of a person: its credential was replaced.")
    expires = workspace.credential_expires_at
    return DeviceTokens(
        SecretStr(workspace.credential.reveal()),
        SecretStr(workspace.credential_refresh.reveal()),
        expires.timestamp() if expires else 0.0,
    )


def _differ(tokens: DeviceTokens, stale: DeviceTokens) -> bool:
    return tokens.access_token.get_secret_value() != stale.access_token.get_secret_value()


def _sealed(tokens: DeviceTokens) -> dict[str, Any]:
    return {
        "credential": Sealed.of(tokens.access_token.get_secret_value()),
        "credential_refresh": Sealed.of(tokens.refresh_token.get_secret_value()),
        "credential_expires_at": dt.datetime.fromtimestamp(tokens.expires_at, tz=dt.UTC),
    }


_BLANK: dict[str, Any] = {
    "credential": Sealed(),
    "credential_refresh": Sealed(),
    "credential_expires_at": None,
    "credential_lease_until": None,
    "credential_state": State.UNCHECKED,
    "credential_account": "",
    "credential_checked_at": None,
}


@transaction.atomic
def _replace(workspace: Workspace, actor: Actor, verb: str, **values: Any) -> None:
    """Puts another credential in place of the stored one, as a new generation."""
    before = {"credential": workspace.credential, "kind": workspace.credential_kind}
    Workspace.objects.filter(pk=workspace.pk).update(
        **{**_BLANK, "credential_set_at": timezone.now(), **values},
        credential_generation=F("credential_generation") + 1,
    )
    _reload(workspace)
    after = {"credential": workspace.credential, "kind": workspace.credential_kind}
    record_event(actor, verb, workspace, before=before, after=after)


def _reload(workspace: Workspace) -> None:
    fields = [field.name for field in Workspace._meta.fields if field.name.startswith("credential")]
    workspace.refresh_from_db(fields=fields)


def _account(client: Base44Client) -> str:
    """Whose credential it is, "" when Base44 does not tell: not every token may read who its owner is."""
    try:
        return client.user_info().email
    except ApiError:
        return ""

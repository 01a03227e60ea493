"""What allauth tells of second factors and failed codes by signal alone: it has no other hook for these.

Everything else of a login is recorded where the portal's adapters are asked (portal.accounts).
"""

from __future__ import annotations

from typing import Any

from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.dispatch import receiver
from django.http import HttpRequest

from connectors.flows import sign_in_record
from portal.sign_in.failures import may_record
from portal.sign_in.second_factor import note_added

KINDS = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}


@receiver(signals.authenticator_added)
def added(*, request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    """A second factor is new."""
    note_added(request, user)
    sign_in_record.factor_changed(user, "added", _kind(authenticator))


@receiver(signals.authenticator_removed)
def removed(*, user: User, authenticator: Authenticator, **_: Any) -> None:
    """A second factor is gone."""
    sign_in_record.factor_changed(user, "removed", _kind(authenticator))


@receiver(signals.authenticator_reset)
def renewed(*, user: User, authenticator: Authenticator, **_: Any) -> None:
    """There are new recovery codes, and the old ones open nothing any more."""
    sign_in_record.factor_changed(user, "renewed", _kind(authenticator))


@receiver(signals.authenticator_used)
def used(*, user: User, authenticator: Authenticator, **_: Any) -> None:
    """A recovery code was used; that an app or a key was is part of each login and not worth a line of its own."""
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        sign_in_record.factor_changed(user, "used", "recovery code")


@receiver(signals.authentication_failed)
def failed(*, request: HttpRequest, user: User, **_: Any) -> None:
    """The password was right and the code was not: somebody may have the password."""
    if may_record(request):
        sign_in_record.failed(user, "Wrong code; the password was right.")


def _kind(authenticator: Authenticator) -> str:
    return KINDS[Authenticator.Type(authenticator.type)]

"""Write the secrets of second factors anew: they lie in allauth's table, encrypted as ours are, in a JSON value."""

from __future__ import annotations

from collections.abc import Iterator

from allauth.mfa.models import Authenticator
from django.db import transaction

from connectors.core.crypto import UnreadableSecretError
from connectors.models import Sealed

SECRETS = ("secret", "seed")
"""What allauth calls the key of an app, and that of recovery codes."""


def rotate_factors(*, write: bool) -> Iterator[tuple[str, str]]:
    """For each secret what became of it: "rewritten", "current" or "unreadable", with what it is for."""
    for key in Authenticator.objects.order_by("pk").values_list("pk", flat=True):
        with transaction.atomic():
            # Locked: a recovery code that is used meanwhile is noted in the same value.
            row = Authenticator.objects.select_for_update().filter(pk=key).first()
            if row is not None:
                yield from _rotate(row, write=write)


def _rotate(row: Authenticator, *, write: bool) -> Iterator[tuple[str, str]]:
    for name in SECRETS:
        if not (text := row.data.get(name)):
            continue
        what = f"second factor {row.pk} of user {row.user_id}"
        sealed = Sealed(text)
        if sealed.is_current():
            yield "current", what
            continue
        try:
            row.data[name] = sealed.rotated().ciphertext
        except UnreadableSecretError:
            yield "unreadable", what
            continue
        if write:
            row.save(update_fields=["data"])
        yield "rewritten", what

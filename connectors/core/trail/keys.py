"""The keys of the trail: each secret gives one for digests, one for the chain, and one that signs checkpoints."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.core.errors import PortalError

MIN_LENGTH = 32
"""Characters that a secret of the trail has at least."""


class UnknownKeyError(PortalError):
    """Something was written with a key that is not configured, so nobody can tell whether it is as it was."""

    def __init__(self, key_id: str) -> None:
        name = key_id or "that has no name"
        super().__init__(f"The key {name} is not among TRAIL_KEYS, so what it protects cannot be checked.")
        self.key_id = key_id


class TrailKey:
    """What is derived from one secret. Its text and its name (`key_id`) tell nothing of it."""

    def __init__(self, secret: str) -> None:
        self.key_id = _derived(secret, "name", 4).hex()
        self._events = _derived(secret, "events", 32)
        self._chain = _derived(secret, "chain", 32)
        self.signing_key = Ed25519PrivateKey.from_private_bytes(_derived(secret, "checkpoints", 32))

    def __repr__(self) -> str:
        return f"<TrailKey {self.key_id}>"

    def of_event(self, form: bytes) -> str:
        """The digest of an event in its canonical form: 64 hexadecimal digits."""
        return hmac.digest(self._events, form, "sha256").hex()

    def of_segment(self, form: bytes) -> str:
        """The digest of a segment in its canonical form, or of what was said of its archive."""
        return hmac.digest(self._chain, form, "sha256").hex()


class TrailKeys:
    """All keys by name; the first writes, any reads."""

    def __init__(self, secrets: Sequence[str]) -> None:
        keys = [TrailKey(secret) for secret in secrets]
        self.first = keys[0]
        self._known = {key.key_id: key for key in keys}

    def named(self, key_id: str) -> TrailKey:
        """The key of this name. Raises UnknownKeyError."""
        try:
            return self._known[key_id]
        except KeyError:
            raise UnknownKeyError(key_id) from None


def _derived(secret: str, purpose: str, length: int) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=f"connector-portal trail {purpose}".encode())
    return kdf.derive(secret.encode())

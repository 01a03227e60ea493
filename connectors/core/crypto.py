"""Encryption of secrets at rest: Fernet (AES-128-CBC with HMAC-SHA256), with key rotation.

https://cryptography.io/en/latest/fernet/ describes the token format and `MultiFernet`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from connectors.core.errors import PortalError


def fingerprint(secret: str) -> str:
    """What is stored of a random secret that is only ever compared: 64 hexadecimal digits. Not for passwords."""
    return hashlib.sha256(secret.encode()).hexdigest()


class UnreadableSecretError(PortalError):
    """A stored secret cannot be decrypted with any of the configured keys."""


class SecretBox:
    """Encrypts with the first key, decrypts with any: put a new key in front to rotate."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._first = Fernet(keys[0])
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def encrypt(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, ciphertext: str) -> str:
        """The secret in the clear. Raises UnreadableSecretError, whose text holds neither secret nor key."""
        try:
            return self._fernet.decrypt(ciphertext.encode()).decode()
        except InvalidToken:
            raise _unreadable() from None

    def is_current(self, ciphertext: str) -> bool:
        """Whether the first key wrote it, so that the others are not needed for it."""
        try:
            self._first.decrypt(ciphertext.encode())
        except InvalidToken:
            return False
        return True

    def rotate(self, ciphertext: str) -> str:
        """The same secret, written with the first key. Raises UnreadableSecretError."""
        try:
            return self._fernet.rotate(ciphertext.encode()).decode()
        except InvalidToken:
            raise _unreadable() from None


def _unreadable() -> UnreadableSecretError:
    return UnreadableSecretError(
        "A stored secret cannot be read with the configured ENCRYPTION_KEYS. "
        "Put the key that wrote it back, or enter the secret anew."
    )

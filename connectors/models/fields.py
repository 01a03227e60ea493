"""Secrets at rest: decrypted when used and not when loaded, so that a lost key breaks one use and not a page."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.signals import setting_changed
from django.db import models

from connectors.core.crypto import SecretBox


@lru_cache(maxsize=1)
def _box() -> SecretBox:
    return SecretBox(settings.ENCRYPTION_KEYS)


def _forget_keys(*, setting: str, **_: Any) -> None:
    if setting == "ENCRYPTION_KEYS":
        _box.cache_clear()


setting_changed.connect(_forget_keys)  # sent by override_settings only: tests of key rotation need it


class Sealed:
    """An encrypted secret as it lies in the database. Its text never shows the secret; `reveal` does."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str = "") -> None:
        self.ciphertext = ciphertext

    @classmethod
    def of(cls, secret: str) -> Sealed:
        return cls(_box().encrypt(secret) if secret else "")

    def reveal(self) -> str:
        """The secret in the clear, "" when none is set. Raises core.crypto.UnreadableSecretError."""
        return _box().decrypt(self.ciphertext) if self.ciphertext else ""

    def is_current(self) -> bool:
        """Whether the first of the keys wrote it, or there is nothing to read."""
        return not self.ciphertext or _box().is_current(self.ciphertext)

    def rotated(self) -> Sealed:
        """The same secret, written with the first of the keys. Raises core.crypto.UnreadableSecretError."""
        return Sealed(_box().rotate(self.ciphertext)) if self.ciphertext else self

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.ciphertext == self.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __repr__(self) -> str:
        return "<Sealed: set>" if self.ciphertext else "<Sealed: not set>"


if TYPE_CHECKING:
    TextField = models.TextField[Any, Any]
else:
    TextField = models.TextField  # generic for the type checker only


class SealedField(TextField):
    """Stores a `Sealed`. Never editable in a form: forms that change a secret take it in a field of their own."""

    if TYPE_CHECKING:  # where django-stubs reads what may be assigned and what comes out
        _pyi_private_set_type: Any
        _pyi_private_get_type: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", Sealed)
        kwargs["blank"], kwargs["editable"] = True, False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("default", None)
        return name, path, args, kwargs

    def from_db_value(self, value: str | None, *_: object) -> Sealed:
        return Sealed(value or "")

    def to_python(self, value: object) -> Sealed:
        return value if isinstance(value, Sealed) else Sealed(str(value or ""))

    def get_prep_value(self, value: object) -> str:
        # A plain string here is a secret that somebody forgot to seal: refuse rather than store it in the clear.
        if not isinstance(value, Sealed):
            raise TypeError(f"{self.name} takes a Sealed, not {type(value).__name__}")
        return value.ciphertext

    def value_to_string(self, obj: models.Model) -> str:
        return ""  # dumpdata must not carry ciphertext into a file

"""Secrets that a development machine makes for itself, so that trying the portal needs no configuration."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in `path`; when there is none, make it, readable by its owner alone.

    Of two processes that start at once both get the same secret: the file is linked into place, and the first wins.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make() + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def new_secret_key() -> str:
    """A random SECRET_KEY of 67 characters."""
    return secrets.token_urlsafe(50)


def new_encryption_key() -> str:
    """A random Fernet key for ENCRYPTION_KEYS."""
    return Fernet.generate_key().decode("ascii")

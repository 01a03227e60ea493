"""Configurations in which the portal must not start: each is answered by one line that names variable and remedy."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from connectors.core.trail.keys import MIN_LENGTH

MIN_SECRET_LENGTH = 50
MIN_DISTINCT_CHARACTERS = 12
MIN_METRICS_TOKEN = 20
DJANGO_PLACEHOLDER = "django-insecure"

SIGNING_KEY_COMMAND = 'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
FERNET_KEY_COMMAND = (
    'python3 -c "import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
)


def require_secret_key(value: str) -> str:
    """Return the value when it is fit to sign sessions with; raise ImproperlyConfigured (without the value) when not.

    The bounds are at least as strict as those of Django's own check `security.W009`, which only warns.
    """
    if not value:
        fault = "is not set"
    elif value.startswith(DJANGO_PLACEHOLDER):
        fault = f"is a placeholder ({DJANGO_PLACEHOLDER}...)"
    elif len(value) < MIN_SECRET_LENGTH:
        fault = f"is too short ({len(value)} characters, at least {MIN_SECRET_LENGTH} are needed)"
    elif len(set(value)) < MIN_DISTINCT_CHARACTERS:
        fault = "is too easy to guess (too few different characters)"
    else:
        return value
    raise ImproperlyConfigured(f"SECRET_KEY {fault}. Make one with: {SIGNING_KEY_COMMAND}")


def require_encryption_keys(values: Sequence[str]) -> list[str]:
    """Return the Fernet keys, first one encrypts; raise ImproperlyConfigured when there is none or one is malformed."""
    keys = [value.strip() for value in values if value.strip()]
    if not keys:
        raise ImproperlyConfigured(f"ENCRYPTION_KEYS is not set. Make a key with: {FERNET_KEY_COMMAND}")
    for position, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            raise ImproperlyConfigured(
                f"ENCRYPTION_KEYS: key {position} of {len(keys)} is not a Fernet key "
                f"(32 bytes in URL-safe base64). Make one with: {FERNET_KEY_COMMAND}"
            ) from None
    return keys


def require_trail_keys(values: Sequence[str]) -> list[str]:
    """Return the trail's own secrets, which may be none; raise ImproperlyConfigured for one that can be guessed."""
    keys = [value.strip() for value in values if value.strip()]
    for position, key in enumerate(keys, start=1):
        if len(key) < MIN_LENGTH or len(set(key)) < MIN_DISTINCT_CHARACTERS:
            raise ImproperlyConfigured(
                f"TRAIL_KEYS: key {position} of {len(keys)} is too easy to guess (at least {MIN_LENGTH} random "
                f"characters are needed). Make one with: {SIGNING_KEY_COMMAND}"
            )
    return keys


def require_metrics_token(value: str) -> str:
    """Return the token that opens /metrics, "" for none; raise ImproperlyConfigured when it is easy to guess."""
    if value and len(value) < MIN_METRICS_TOKEN:
        raise ImproperlyConfigured(
            f"METRICS_TOKEN is too short ({len(value)} characters, at least {MIN_METRICS_TOKEN} are needed). "
            f"Make one with: {SIGNING_KEY_COMMAND}"
        )
    return value

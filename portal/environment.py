"""Read settings from the environment: a value that makes no sense is answered by one line that names its variable.

No message holds the value: it may be a secret, or an address with a password in it.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

SWITCHES = frozenset({"on", "off", "true", "false", "yes", "no", "1", "0", "y", "n"})


class Environment(environ.FileAwareEnv):  # type: ignore[misc]  # django-environ's class counts as untyped
    """django-environ, stricter: "perhaps" is no switch, an empty variable counts as not set, and `$` means itself.

    `NAME_FILE` names a file to read NAME's value from, and wins over NAME.
    """

    ENVIRON = FileAwareMapping(cache=False)

    def get_value(self, var: str, cast: Any = None, default: Any = None, parse_default: bool = False) -> Any:
        """The variable's value in the type of `cast`, the default when it is absent or empty.

        Raises ImproperlyConfigured for a value of another type and for a file that cannot be read.
        """
        try:
            text = self.ENVIRON[var].strip()
        except KeyError:
            return default
        except (OSError, UnicodeDecodeError) as error:
            path, reason = self.ENVIRON.env[f"{var}_FILE"], getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise ImproperlyConfigured(f"{var}_FILE: cannot read {path}: {reason}") from None
        if not text:
            return default
        if cast is bool and text.lower() not in SWITCHES:
            raise ImproperlyConfigured(f"{var} must be on or off")
        if cast is list:
            return [item.strip() for item in text.split(",") if item.strip()]
        try:
            return self.parse_value(text, cast)
        except ValueError:
            raise ImproperlyConfigured(f"{var} must be {_kind(cast)}") from None

    def choice(self, var: str, choices: Collection[str], default: str) -> str:
        """One of the choices, whatever case it is written in."""
        value = str(self.get_value(var, default=default))
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise ImproperlyConfigured(f"{var} must be one of {', '.join(choices)}")

    def database(self, var: str, default: str) -> dict[str, Any]:
        """A DATABASES entry for a sqlite:/// or postgres:// address."""
        url = str(self.get_value(var, default=default))
        if not url.startswith(("sqlite:///", "postgres://", "postgresql://")):
            raise ImproperlyConfigured(f"{var} must start with postgres:// or sqlite:///")
        try:
            return dict(self.db_url_config(url))
        except ValueError:
            raise ImproperlyConfigured(f"{var} is not a well-formed address") from None

    def time_zone(self, var: str, default: str) -> str:
        """The name of a time zone that this machine knows."""
        name = str(self.get_value(var, default=default))
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            raise ImproperlyConfigured(f"{var} must be the name of a time zone, such as Europe/Berlin") from None
        return name


def _kind(cast: Any) -> str:
    return "a whole number" if cast is int else "a valid value"

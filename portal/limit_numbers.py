"""The numbers of the rate limits, as settings give them. Read by the settings, so nothing here may touch models."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

NUMBERS = {
    "login": 30,
    "reset": 10,
    "join": 20,
    "callback": 60,
    "consent": 60,
    "check": 120,
    "webhook": 300,
    "download": 60,
    "user": 600,
    "address": 300,
}
"""Requests in a minute: of one address at each door, of one person and of one address without a login over all."""


def numbers_from(entries: list[str]) -> dict[str, int] | None:
    """The limits by a setting such as `login=10,user=1200`; None where it says "off". Raises ImproperlyConfigured."""
    if [entry.lower() for entry in entries] in (["off"], ["no"], ["0"], ["false"]):
        return None
    found = dict(NUMBERS)
    for entry in entries:
        name, _, number = entry.partition("=")
        if entry.lower() in ("on", "yes", "1", "true"):
            continue
        if name not in NUMBERS or not number.isdecimal() or int(number) < 1:
            raise ImproperlyConfigured(
                f"RATE_LIMITS must be on, off, or a list such as login=10,user=1200. There are: {', '.join(NUMBERS)}"
            )
        found[name] = int(number)
    return found

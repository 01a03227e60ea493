"""What `manage.py check --deploy` and the operations page say about settings that are allowed and still unsafe."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Tags, Warning, register  # noqa: A004 - Django's name for it


@register(Tags.security, deploy=True)
def check_doors(app_configs: Any, **_: Any) -> list[Warning]:
    """One warning for each safeguard that is switched off."""
    found = []
    if not settings.MFA_REQUIRED:
        found.append(
            Warning(
                "Staff may log in with a password alone.",
                hint="Set MFA_REQUIRED=on: whoever finds out one password has everything that its owner may do.",
                id="portal.W001",
            )
        )
    if not settings.RATE_LIMITS:
        found.append(
            Warning(
                "Nothing limits how often passwords and codes are tried.",
                hint="Set RATE_LIMITS=on.",
                id="portal.W002",
            )
        )
    if settings.GIT_ALLOW_FILE_URLS:
        found.append(
            Warning(
                "Repositories may have file:// URLs.",
                hint="Set GIT_ALLOW_FILE_URLS=off: whoever edits repositories can read all of this machine's.",
                id="portal.W003",
            )
        )
    if settings.PORTAL_URL.startswith("http://"):
        found.append(
            Warning(
                "PORTAL_URL does not begin with https://.",
                hint="Links in messages and redirect URIs begin with it, and their secrets would travel in the clear.",
                id="portal.W004",
            )
        )
    return found

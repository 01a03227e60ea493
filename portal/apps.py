"""The wiring as an application of Django's: what has to be connected once all applications are there."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Connects what allauth tells by signal alone, and registers the checks of unsafe settings."""

    name = "portal"

    def ready(self) -> None:
        """Imports the receivers and the checks."""
        from portal import deploy_checks  # noqa: F401
        from portal.sign_in import on_record  # noqa: F401

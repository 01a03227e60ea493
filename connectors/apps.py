"""The one Django application of the portal."""

from __future__ import annotations

from django.apps import AppConfig


class ConnectorsConfig(AppConfig):
    """Models, admin, commands and tasks; the pure parts are in `connectors.core`."""

    name = "connectors"
    verbose_name = "Connectors"

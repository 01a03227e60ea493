"""The one Django application of the portal."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings

from connectors.core.guarded_pool import guard_with
from connectors.core.net import Allowed


class ConnectorsConfig(AppConfig):
    """Models, admin, commands and tasks; the pure parts are in `connectors.core`."""

    name = "connectors"
    verbose_name = "Connectors"

    def ready(self) -> None:
        """From now on nothing that somebody typed makes this process connect to a private address."""
        guard_with(_allowed_hosts)


def _allowed_hosts() -> Allowed:
    """The private hosts that whoever runs the portal named, and the Base44 that they named: the demo's is one."""
    base44 = urlsplit(settings.BASE44_API_URL).hostname
    setting = "OUTGOING_ALLOWED_PRIVATE_HOSTS"
    return Allowed.of([*settings.OUTGOING_ALLOWED_PRIVATE_HOSTS, *([base44] if base44 else [])], setting)

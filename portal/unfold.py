"""How the admin looks: the settings of the Unfold theme, pinned to 0.91.0.

Imported by the settings themselves, so nothing here may touch models or templates: callbacks are named, not called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _static(path: str) -> Callable[[HttpRequest], str]:
    return lambda request: static(path)


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Connector portal",
    "SITE_HEADER": "Connector portal",
    "SITE_SUBHEADER": "For your Base44 apps",
    "SITE_SYMBOL": "hub",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("portal/favicon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "8px",
    "STYLES": [
        _static("portal/theme.css"),
        _static("portal/components.css"),
        _static("portal/shell.css"),
        _static("portal/scopes.css"),
    ],
    # portal.js must come first: it prepares htmx and Alpine before anything uses them.
    "SCRIPTS": [_static("portal/portal.js"), _static("portal/scopes.js")],
    "GLOBAL_CALLBACK": "portal.navigation.shell_settings",
    "DASHBOARD_CALLBACK": "portal.dashboard.dashboard_context",
    "ENVIRONMENT": "portal.navigation.environment_label",
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "portal.navigation.navigation",
    },
    # portal.search answers the palette instead of Unfold's own view.
    "COMMAND": {"search_models": False, "show_history": False},
    "ACCOUNT": {
        "navigation": [
            {"title": "My access", "link": reverse_lazy("admin:connectors_membership_mine")},
            {"title": "Second factor", "link": reverse_lazy("mfa_index")},
            {"title": "Sessions", "link": reverse_lazy("sign_in_sessions")},
            {"title": "Change password", "link": reverse_lazy("account_change_password")},
        ]
    },
}

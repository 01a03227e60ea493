"""How the admin looks: the settings of the Unfold theme."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Connector portal",
    "SITE_HEADER": "Connector portal",
}

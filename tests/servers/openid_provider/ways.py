"""The ways between the portal and a provider, as a browser finds them."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

PORTAL = "http://127.0.0.1:8000"
"""Where the portal is, as providers know it."""


def way_out(answer: Any) -> str:
    """The address at the provider that a page of the portal sends people on to."""
    assert answer.status_code == 200, answer.headers.get("Location", answer.content)
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.content.decode())
    assert found is not None
    return html.unescape(found[1])


def local(url: str) -> str:
    """Path and query of an address of the portal, for Django's test client."""
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == PORTAL
    return f"{parts.path}?{parts.query}"

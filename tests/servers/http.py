"""One HTTP request at a time, without the portal's client: what the emulator's own tests speak with."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT = 10


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def ask(
    url: str,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str = "",
    form: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Reply:
    """Send one request: `body` as JSON, or `form` as a form (lists repeat the name). Raises what http.client raises.

    `timeout` is in seconds, for each wait.
    """
    sent = {"Authorization": f"Bearer {token}"} if token else {}
    payload: bytes | None = None
    if form is not None:
        payload = urlencode(form, doseq=True).encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    elif body is not None:
        payload = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(method, path, payload, sent | dict(headers or {}))
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, named, answer.read())
    finally:
        connection.close()

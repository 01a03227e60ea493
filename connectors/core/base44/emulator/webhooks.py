"""A receiver of webhooks, so that the demo shows what an alert route sends. The latest are kept, in memory only."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from html import escape

from connectors.core.base44.emulator.pages import page
from connectors.core.base44.emulator.routes import Call, Route, route
from connectors.core.base44.emulator.wire import Answer

KEPT = 50
SHOWN_BODY = 10_000
"""Characters of one body that the page shows."""
SIGNING = ("webhook-id", "webhook-timestamp", "webhook-signature")
"""Headers of Standard Webhooks: a receiver checks the signature with the secret that the route's page showed once."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came in; `at` is in seconds since 1970."""

    at: float
    headers: dict[str, str]
    body: str


def webhook_routes() -> list[Route]:
    """`POST /webhooks` takes anything, `GET /webhooks` shows it."""
    received: deque[Received] = deque(maxlen=KEPT)

    def take(call: Call) -> Answer:
        headers = {name: call.request.headers[name] for name in SIGNING if name in call.request.headers}
        received.appendleft(Received(time.time(), headers, call.request.body.decode("utf-8", "replace")))
        return Answer(204)

    def show(call: Call) -> Answer:
        sections = "".join(map(_section, list(received)))
        return page("Received webhooks", sections or "<p>None yet. Alert routes send here when something is wrong.</p>")

    return [route("POST", "/webhooks", take, ""), route("GET", "/webhooks", show, "")]


def _section(received: Received) -> str:
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(received.at))
    headers = "".join(
        f"<li><code>{escape(name)}: {escape(value)}</code></li>" for name, value in received.headers.items()
    )
    return f"<h2>{moment}</h2><ul>{headers}</ul><pre>{escape(_legible(received.body)[:SHOWN_BODY])}</pre>"


def _legible(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body

"""A receiver of webhooks in this process that checks signatures by itself, and answers what it is told to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.serving import serving


@dataclass(frozen=True)
class Received:
    """One call: header names in lower case, the body as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Whether one of its signatures was made with this secret, by the convention's own words."""
        key = base64.b64decode(secret[len("whsec_") :])
        content = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        return f"v1,{expected}" in self.headers["webhook-signature"].split(" ")


@dataclass
class WebhookReceiver:
    """What came; `status` and `headers` are answered. While `hold` is set a call waits until `released` is."""

    url: str = ""
    port: int = 0
    calls: list[Received] = field(default_factory=list)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    endless: bool = False
    hold: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def reset(self) -> None:
        """Forgets what came and takes everything again."""
        self.calls.clear()
        self.status, self.headers, self.endless, self.hold = 204, {}, False, False
        self.arrived.clear()
        self.released.clear()

    def answer(self, status: int, **headers: str) -> None:
        """From now on every call gets this."""
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: those who hang up are part of the tests."""


@contextmanager
def webhook_receiver(tls: ssl.SSLContext | None = None) -> Iterator[WebhookReceiver]:
    """Starts a receiver on a free port of this machine, with TLS where a context is given, and stops it."""
    state = WebhookReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.calls.append(Received(self.path, headers, body))
            if state.hold:
                state.arrived.set()
                state.released.wait(30)
            with contextlib.suppress(OSError):
                self.send_response(state.status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                while state.endless:
                    self.wfile.write(b"x" * 65_536)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.port = server.server_port
    state.url = f"{'https' if tls else 'http'}://127.0.0.1:{state.port}/hook"
    with serving(server):
        try:
            yield state
        finally:
            state.endless = False
            state.released.set()

"""A real HTTP server that gives the answers a test wrote down, one after another, and notes what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Says:
    """One scripted answer. A document that is no bytes is sent as JSON.

    `cut` announces that many more bytes than are sent; `hangs` never answers; `hangs_up` closes without an answer.
    """

    document: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    hangs: bool = False
    hangs_up: bool = False


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedServer(ThreadingHTTPServer):
    """Answers in the order of `script`; the last answer is repeated. `url` is where it listens."""

    daemon_threads = True

    def __init__(self, script: list[Says]) -> None:
        self.script, self.asked = list(script), list[Asked]()
        self.lock, self.over = threading.Lock(), threading.Event()
        self.connections: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def next_answer(self, asked: Asked) -> Says:
        with self.lock:
            self.asked.append(asked)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up early is part of the plan."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.server.lock:
            self.server.connections.append(self.connection)

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        says = self.server.next_answer(Asked(self.command, self.path, headers, body))
        if says.hangs:
            self.server.over.wait()
        if says.hangs or says.hangs_up:
            self.close_connection = True
            return
        sent = says.document if isinstance(says.document, bytes) else json.dumps(says.document).encode()
        self.send_response(says.status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(sent) + says.cut)}
        for name, value in {**headers, **says.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)
        self.close_connection = bool(says.cut)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Tests read `asked` instead."""


@contextlib.contextmanager
def scripted(*script: Says) -> Iterator[ScriptedServer]:
    """Serve the script until the block ends."""
    server = ScriptedServer(list(script))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        for connection in server.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.server_close()

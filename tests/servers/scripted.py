"""A provider in this process that gives the answers it was told to give, in turn, and keeps what it was asked."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.servers.serving import serving


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came in; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters in the address."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form body."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def basic(self) -> str:
        """`id:secret` of the Authorization header."""
        return b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()


@dataclass
class Provider:
    """`url` is set once it listens. Without an answer left it gives the last one again."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    _answers: list[tuple[int, bytes, dict[str, str]]] = field(default_factory=list)

    def answers(self, body: object, status: int = 200, **headers: str) -> None:
        """The next answer: bytes as they are, anything else as JSON. `_` in a header's name stands for `-`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        self._answers.append((status, raw, named))

    def reset(self) -> None:
        """Forget requests and answers."""
        self.asked.clear()
        self._answers.clear()
        self.connections = 0

    def next_answer(self) -> tuple[int, bytes, dict[str, str]]:
        """What to say now."""
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@contextmanager
def scripted_provider() -> Iterator[Provider]:
    """Starts the server on a free port of this machine and stops it."""
    state = Provider()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            state.connections += 1
            super().setup()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            named = {name.lower(): value for name, value in self.headers.items()}
            state.asked.append(Asked(self.command, self.path, named, body))
            status, payload, headers = state.next_answer()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            if status != 204:
                self.wfile.write(payload)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield state

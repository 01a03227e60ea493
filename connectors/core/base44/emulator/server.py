"""The HTTP side of the emulator: sockets and bytes, no knowledge of Base44. HTTP/1.1 with keep-alive, stdlib only."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from connectors.core.base44.emulator.wire import Answer, Problem, Request, first_values

logger = logging.getLogger(__name__)

BODY_LIMIT = 4 * 1024 * 1024
_HOST = re.compile(r"[\w.:\[\]-]{1,255}")
_REQUEST_ID = re.compile(r"[\w-]{1,64}")


class EmulatorServer(ThreadingHTTPServer):
    """One thread for each connection; `close` ends those that are kept alive, too."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], handle: Callable[[Request], Answer], *, public_url: str = "") -> None:
        self.handle_request_of_base44 = handle
        self.public_url = public_url.rstrip("/")
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, EmulatorHandler)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self.server_address[1])

    def server_bind(self) -> None:
        """Bind without the base class's look-up of the machine's own name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """Serve one connection, known to `close` while it lasts."""
        with self._lock:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no error of ours; anything else is shown as the base class does."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)) and not self.stopping.is_set():
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop listening, end every open connection, and wait for their threads."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            remaining = dict(self._open)
        for connection in remaining:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in remaining.values():
            thread.join(timeout=5)


class EmulatorHandler(BaseHTTPRequestHandler):
    """Reads requests off one connection and writes each answer in a single piece."""

    server: EmulatorServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 64 * 1024

    def serve(self) -> None:
        """Answer one request."""
        try:
            request = self._read()
            answer = self.server.handle_request_of_base44(request)
        except Problem as problem:
            self.close_connection = True
            answer = problem.as_answer()
        logger.debug("%s %s %s", self.command, masked(urlsplit(self.path).path), answer.abrupt or answer.status)
        self._write(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = serve  # noqa: N815

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        host = self.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            host = f"127.0.0.1:{self.server.port}"
        return Request(
            method=self.command,
            path=unquote(parts.path),
            query=first_values(parts.query) if parts.query else {},
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._read_body(),
            base_url=self.server.public_url or f"http://{host}",
        )

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal():
            raise Problem(400, {"detail": "Bad Content-Length"})
        if int(length) > BODY_LIMIT:
            raise Problem(413, {"detail": "Request body too large"})
        return self.rfile.read(int(length)) if length != "0" else b""

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            try:
                size = int(self.rfile.readline(1024).split(b";")[0], 16)
            except ValueError:
                raise Problem(400, {"detail": "Bad chunk"}) from None
            if size < 0 or len(body) + size > BODY_LIMIT:
                raise Problem(413, {"detail": "Request body too large"})
            body += self.rfile.read(size)
            self.rfile.readline(1024)
            if size == 0:
                return body

    def _write(self, answer: Answer) -> None:
        if answer.abrupt in ("close", "hang"):
            if answer.abrupt == "hang":
                self.server.stopping.wait(answer.seconds)
            self.close_connection = True
            return
        body = b"" if self.command == "HEAD" else answer.body
        if answer.abrupt == "truncated":
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(self._head(answer) + body)

    def _head(self, answer: Answer) -> bytes:
        given = self.headers.get("X-Request-ID", "")
        lines = [
            f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('', ''))[0]}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            f"X-Request-ID: {given if _REQUEST_ID.fullmatch(given) else uuid.uuid4()}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if self.close_connection:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silence: paths of consent pages are credentials."""


def masked(path: str) -> str:
    """A path that may be logged: the secret part of consent and claim pages is starred."""
    return re.sub(r"^(/(?:connect|claim)/).+", r"\1***", path)

"""A syslog server in this process that takes apart what it gets as RFC 6587 says, over TCP, TLS or UDP."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.servers.serving import serving


@dataclass
class SyslogServer:
    """What came, message by message. `breaks_after`: hangs up hard when it has read so many bytes."""

    port: int = 0
    messages: list[str] = field(default_factory=list)
    breaks_after: int | None = None
    arrived: threading.Event = field(default_factory=threading.Event)

    def take(self, text: bytes) -> None:
        self.messages.append(text.decode("ascii"))
        self.arrived.set()


@contextmanager
def syslog_server(protocol: str, tls: ssl.SSLContext | None = None) -> Iterator[SyslogServer]:
    """Starts one on a free port of this machine, and stops it."""
    state = SyslogServer()

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if state.breaks_after is not None:
                self.rfile.read(state.breaks_after)
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()  # with a reset
                return
            while length := self._length():
                state.take(self.rfile.read(length))

        def _length(self) -> int:
            digits = b""
            with contextlib.suppress(OSError):
                while (one := self.rfile.read(1)) and one != b" ":
                    digits += one
            return int(digits or 0)

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            state.take(self.request[0])

    server: Any
    if protocol == "udp":
        server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Datagram)
    else:
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Stream)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    state.port = server.server_address[1]
    with serving(server):
        yield state

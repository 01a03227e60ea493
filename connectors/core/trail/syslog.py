"""Events as syslog messages (RFC 5424), sent over TCP or TLS with octet counting (RFC 6587, RFC 5425) or UDP."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.core.net import TIMEOUT, Allowed, NoAnswerError, Resolver, judge_host, resolve

APP = "connector-portal"
FACILITY = 13
"""Log audit."""
NOTICE, WARNING = 5, 4
MOST_UDP = 60_000
"""Bytes of one message over UDP: what is longer goes without its before and after, and says so."""
CLOSING = 3.0
"""Seconds that the other side gets to close a connection, by which we know that it has read what we sent."""

_BAD = ("denied", "failed", "refused", "switched_off")
_PRINTABLE = re.compile(r"[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Server:
    """A syslog server. `protocol` is tls, tcp or udp."""

    host: str
    port: int
    protocol: str


def message(host: str, name: str, at: dt.datetime, document: Mapping[str, Any]) -> bytes:
    """One message: its id says what happened, its text is JSON in ASCII, which no server can misread."""
    severity = WARNING if name.rpartition(".")[2] in _BAD else NOTICE
    time = at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = f"<{FACILITY * 8 + severity}>1 {time} {_word(host, 255)} {APP} - {_word(name, 32)} - "
    return (head + json.dumps(document, separators=(",", ":"))).encode("ascii")


def send(
    server: Server,
    messages: Sequence[bytes],
    *,
    allowed: Allowed,
    resolver: Resolver = resolve,
    tls: ssl.SSLContext | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Sends all of them on one connection. Raises AddressRefusedError or NoAnswerError; then any may have arrived."""
    addresses = judge_host(server.host, server.port, allowed, resolver=resolver)
    try:
        if server.protocol == "udp":
            _send_datagrams(addresses[0], server.port, messages)
            return
        with socket.create_connection((addresses[0], server.port), timeout=timeout) as plain:
            if server.protocol == "tls":
                context = tls or ssl.create_default_context()
                with context.wrap_socket(plain, server_hostname=server.host) as secure:
                    _send_stream(secure, messages)
            else:
                _send_stream(plain, messages)
    except ssl.SSLCertVerificationError:
        raise NoAnswerError(
            f"The certificate of {server.host} is not valid for this name, or nobody trusts it."
        ) from None
    except ssl.SSLError:
        raise NoAnswerError(f"No secure connection (TLS) to {server.host} could be made.") from None
    except TimeoutError:
        raise NoAnswerError(f"{server.host} did not answer in time.") from None
    except OSError:
        raise NoAnswerError(f"No connection to {server.host}, port {server.port}, could be made or kept.") from None


def without_details(document: Mapping[str, Any]) -> dict[str, Any]:
    """An event that fits into a datagram: what was before and after is left out."""
    return {**document, "before": {}, "after": {}, "note": str(document.get("note", ""))[:500], "cut": True}


def _send_datagrams(address: str, port: int, messages: Sequence[bytes]) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        for one in messages:
            sock.sendto(one, (address, port))


def _send_stream(sock: socket.socket, messages: Sequence[bytes]) -> None:
    """Sends, says that this was all, and waits until the other side closes: a reset on the way is an error here."""
    sock.sendall(b"".join(b"%d %s" % (len(one), one) for one in messages))
    sock.settimeout(CLOSING)
    if isinstance(sock, ssl.SSLSocket):
        with contextlib.suppress(TimeoutError, ssl.SSLError):
            sock.unwrap()
        return
    sock.shutdown(socket.SHUT_WR)
    with contextlib.suppress(TimeoutError):
        while sock.recv(4096):
            pass


def _word(text: str, most: int) -> str:
    return _PRINTABLE.sub("_", text)[:most] or "-"

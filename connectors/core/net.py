"""One request to an address that a user typed: it must not reach what only this machine can reach.

The name is resolved once, every address that it has is judged, and the connection goes to an address that was judged:
a name that answers differently the second time gains nothing. No redirect is followed, no proxy asked, and neither the
answer nor the path of the address, which often holds a secret, stands in any error.
"""

from __future__ import annotations

import functools
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.core.errors import PortalError

TIMEOUT = 10.0
"""Seconds for one request, from connecting to the last byte that is read."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer's body that are read when nothing else is said."""
MAX_URL = 2_000
TRIES = 2
"""Addresses of one name that are tried."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

# Python's own `is_global` differs between patch releases, and leaves out multicast and what lies at clouds.
_CLOSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; one cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, reachable from every machine there though the address is public
        "169.254.0.0/16",  # link-local: most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo and other tunnels that carry an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, likewise
        "3fff::/20",
    )
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class AddressRefusedError(PortalError):
    """The address is not one that the portal sends to; trying again cannot help."""


class NoAnswerError(PortalError):
    """No usable answer came; it may be another thing later."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Hosts and networks that may be reached although they are private, and without TLS.

    `setting` is where whoever runs the portal lists them: a refusal names it.
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    setting: str = "ALERT_ALLOWED_PRIVATE_HOSTS"

    @classmethod
    def of(cls, entries: Iterable[str], setting: str = "ALERT_ALLOWED_PRIVATE_HOSTS") -> Allowed:
        """From texts such as `relay.corp` and `10.1.0.0/16`. Raises ValueError for one that is neither."""
        hosts, networks = set(), []
        for entry in (text.strip().lower() for text in entries):
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9])?", entry) or entry.replace(".", "").isdigit():
                    raise ValueError(entry) from None
                hosts.add(entry)
        return cls(frozenset(hosts), tuple(networks), setting)

    def covers(self, host: str, address: Address) -> bool:
        """Whether this address of this host is allowed whatever it is."""
        plain = getattr(address, "ipv4_mapped", None) or address
        return host in self.hosts or any(plain in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Target:
    """A judged address: `addresses` are those to connect to, `path` (with the query) what to ask for."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)
    addresses: tuple[str, ...] = ()

    @property
    def host_header(self) -> str:
        """The name as the Host header gives it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, complete. Header names are in lower case; of a repeated one the last counts."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, without its body. `retry_after` as it was sent, "" for none."""

    status: int
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    body: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class _TooLargeError(Exception):
    pass


_Reader = Callable[[http.client.HTTPResponse], bytes]
_PORTS = {"https": 443, "http": 80}


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of the name, in the system's order. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """Whether the address is one of the public internet's, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            return False
    if any(address in network for network in _CLOSED if network.version == address.version):
        return False
    return address.is_global and not address.is_multicast


def parse(url: str) -> Target:
    """The parts of an http(s) address, not resolved yet. Raises AddressRefusedError."""
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url):
        raise AddressRefusedError(
            "The address is too long, or holds spaces or characters that an address must not hold."
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise AddressRefusedError("The address is not well-formed.") from None
    if parts.scheme not in _PORTS or not host or port == 0 or "%" in host or "\\" in url:
        raise AddressRefusedError("The address must look like https://hooks.example.com/some/path.")
    if "@" in parts.netloc:
        raise AddressRefusedError("The address must hold no user name and no password.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def judge(url: str, allowed: Allowed, *, resolver: Resolver = resolve) -> Target:
    """The address with what its name resolves to, if all of that may be reached.

    Raises AddressRefusedError when it may not, NoAnswerError when the name is not known just now.
    """
    target = parse(url)
    found = _found(target.host, target.port, allowed, resolver)
    if target.scheme != "https" and not all(allowed.covers(target.host, address) for address in found):
        raise AddressRefusedError("The address must start with https://, so that nobody can read along.")
    return Target(target.scheme, target.host, target.port, target.path, tuple(map(str, found)))


def judge_host(host: str, port: int, allowed: Allowed, *, resolver: Resolver = resolve) -> tuple[str, ...]:
    """The addresses of a host that something other than HTTP connects to, if all of them may be reached.

    `host` is a name or an address as text, without brackets. Raises as `judge`.
    """
    return tuple(map(str, _found(host.lower().rstrip("."), port, allowed, resolver)))


def _found(host: str, port: int, allowed: Allowed, resolver: Resolver) -> list[Address]:
    try:
        found = [ipaddress.ip_address(text) for text in resolver(host, port)]
    except (OSError, UnicodeError, ValueError):
        found = []
    if not found:
        raise NoAnswerError(f"The name {host} could not be resolved.")
    if not all(allowed.covers(host, address) or is_public(address) for address in found):
        raise AddressRefusedError(
            f"{host} leads to a private or reserved address, which the portal does not connect to. "
            f"Whoever runs the portal can allow it ({allowed.setting})."
        )
    return found


def ask(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    allowed: Allowed,
    resolver: Resolver = resolve,
    timeout: float = TIMEOUT,
    tls: ssl.SSLContext | None = None,
    max_answer: int = MAX_ANSWER,
) -> Answer:
    """Sends the request once and gives the complete answer, whatever its status; `body` None sends none.

    Raises AddressRefusedError and NoAnswerError, whose texts name the host and nothing else of the address. An answer
    that is broken off or larger than `max_answer` bytes is none.
    """
    return _send(method, url, body, headers, _within(max_answer), allowed, resolver, timeout, tls)


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Allowed,
    resolver: Resolver = resolve,
    timeout: float = TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Sends the body once and gives the status of the answer, whatever it is and however it ends.

    Raises as `ask`.
    """
    answer = _send("POST", url, body, headers, _read_a_little, allowed, resolver, timeout, tls)
    return Reply(answer.status, answer.headers.get("retry-after", ""))


def _send(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    read: _Reader,
    allowed: Allowed,
    resolver: Resolver,
    timeout: float,
    tls: ssl.SSLContext | None,
) -> Answer:
    end = time.monotonic() + timeout
    target = judge(url, allowed, resolver=resolver)
    sent = {**headers, "Host": target.host_header, "Connection": "close"}
    if body is not None:
        sent["Content-Length"] = str(len(body))
    failure = NoAnswerError(f"{target.host} did not answer in time.")
    for address in target.addresses[:TRIES]:
        try:
            connection = _connect(target, address, end - time.monotonic(), tls)
        except (OSError, ValueError) as error:
            failure = _unreached(target, error)
            continue
        return _exchange(connection, target, _Request(method, body, sent), read, end)
    raise failure


@functools.lru_cache(maxsize=1)
def _trusting_the_system() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(target: Target, address: str, left: float, tls: ssl.SSLContext | None) -> socket.socket:
    """A connection to this address, on which the certificate was checked against the name. Raises OSError."""
    if left <= 0:
        raise TimeoutError
    plain = socket.create_connection((address, target.port), timeout=left)
    if target.scheme != "https":
        return plain
    try:
        return (tls or _trusting_the_system()).wrap_socket(plain, server_hostname=target.host)
    except BaseException:
        plain.close()
        raise


def _unreached(target: Target, error: Exception) -> NoAnswerError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return NoAnswerError(f"The certificate of {target.host} is not valid for this name, or nobody trusts it.")
    if isinstance(error, ssl.SSLError):
        return NoAnswerError(f"No secure connection (TLS) to {target.host} could be made.")
    if isinstance(error, TimeoutError):
        return NoAnswerError(f"{target.host} did not answer in time.")
    return NoAnswerError(f"No connection to {target.host} could be made.")


def _exchange(sock: socket.socket, target: Target, request: _Request, read: _Reader, end: float) -> Answer:
    """One request on an open connection. A receiver that drips bytes is cut off when the time is over."""
    # On the plain socket, below TLS: the thread that reads sees the end of the stream and nothing half taken apart.
    cut = threading.Timer(max(0.0, end - time.monotonic()), _cut_off, [sock])
    cut.daemon = True
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = sock
    cut.start()
    try:
        sock.settimeout(max(0.1, end - time.monotonic()))
        connection.request(request.method, target.path, request.body, request.headers)
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, received, read(response))
    except _TooLargeError:
        raise NoAnswerError(f"{target.host} answered with more than the portal reads.") from None
    except (OSError, http.client.HTTPException, ValueError):
        late = time.monotonic() >= end - 0.05
        said = "did not answer in time" if late else "broke the connection before its answer was complete"
        raise NoAnswerError(f"{target.host} {said}.") from None
    finally:
        cut.cancel()
        connection.close()


def _within(limit: int) -> _Reader:
    """Reads the whole body, or raises _TooLargeError; http.client notices one that is shorter than announced."""

    def read(response: http.client.HTTPResponse) -> bytes:
        body = response.read(limit + 1)
        if len(body) > limit:
            raise _TooLargeError
        if response.length:  # reading up to a number of bytes stops quietly where the connection broke
            raise http.client.IncompleteRead(body, response.length)
        return body

    return read


def _read_a_little(response: http.client.HTTPResponse) -> bytes:
    """Lets the receiver finish writing; what comes after the status decides nothing, so a failure here is none."""
    try:
        return response.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException, ValueError):
        return b""


def _cut_off(sock: socket.socket) -> None:
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return

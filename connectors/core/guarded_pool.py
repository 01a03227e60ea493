"""Kept-open connections that lead only where `net` allows: for addresses that people type and many calls go to.

The name is judged when a connection is made, and the connection goes to the address that was judged.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.util.connection import create_connection

from connectors.core.net import TRIES, AddressRefusedError, Allowed, NoAnswerError, judge_host


class RefusedError(HTTPError):
    """The host is not one that the portal connects to; the text says so, and how it can be allowed."""


class _Guard:
    """What this process may connect to; `allowed` None: everything."""

    allowed: Callable[[], Allowed] | None = None


def guard_with(allowed: Callable[[], Allowed]) -> None:
    """From now on connections of this process lead to public addresses, and to private ones that `allowed()` names.

    Asked anew for each connection. Until this is called there is no guard: the core does not know any settings.
    """
    _Guard.allowed = allowed


def guarded_pool(**options: Any) -> urllib3.PoolManager:
    """As urllib3's own, with guarded connections."""
    pool = urllib3.PoolManager(**options)
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return pool


def _connected(connection: HTTPConnection, *, secure: bool) -> socket.socket:
    """A socket to the first address that answers. Raises as urllib3's `_new_conn`, or RefusedError."""
    failure: OSError = OSError("no address")
    for address in _addresses(connection, secure=secure):
        try:
            return create_connection(
                (address, connection.port),
                connection.timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"{connection.host} did not answer in time") from error
        except OSError as error:
            failure = error
    raise NewConnectionError(connection, f"no connection to {connection.host} could be made") from failure


def _addresses(connection: HTTPConnection, *, secure: bool) -> tuple[str, ...]:
    host = connection.host.strip("[]")
    if _Guard.allowed is None:
        return (host,)
    allowed = _Guard.allowed()
    try:
        found = judge_host(host, connection.port, allowed)[:TRIES]
        if not secure and not all(allowed.covers(host, ipaddress.ip_address(address)) for address in found):
            raise AddressRefusedError(f"The address of {host} must start with https://, so that nobody can read along.")
    except AddressRefusedError as error:
        raise RefusedError(str(error)) from None
    except NoAnswerError as error:
        raise NewConnectionError(connection, str(error)) from None
    return found


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self, secure=False)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self, secure=True)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection

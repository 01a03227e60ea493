"""One HTTP request to a provider: keep-alive, one attempt, no redirects, and limits on time and size.

What a request carries is secret as a whole, so it has no repr, and no error quotes any of it.
"""

from __future__ import annotations

import functools
import logging
import os
import ssl
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as AnyTimeoutError

from connectors.core.guarded_pool import RefusedError, guarded_pool
from connectors.core.oauth.errors import Kind, OAuthError

USER_AGENT = "connector-portal/0.1.0"
TIMEOUT = 15.0
"""Seconds for one request, from connecting to the last byte."""

MAX_BODY = 2**20
"""Bytes. Answers with tokens are a few KiB."""


_HEADER_SAFE = frozenset(string.ascii_letters + string.digits + string.punctuation + " ")


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to ask. `provider` and `doing` make the sentence "<provider> could not <doing>"."""

    provider: str
    doing: str
    method: str = field(repr=False)
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts that must not come back as an error code."""

    by_token: bool = False
    """Made with the access token, so that a refusal is about that and not about the client."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _QueryFilter(logging.Filter):
    """Cuts the query off the paths that urllib3 logs at DEBUG level: at Instagram it holds a token."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(value) if isinstance(value, str) else value for value in record.args)
        return True


def _without_query(text: str) -> str:
    path, mark, _ = text.partition("?")
    return f"{path}?…" if mark else text


logging.getLogger("urllib3.connectionpool").addFilter(_QueryFilter())


def make_pool(maxsize: int = 64) -> urllib3.PoolManager:
    """Connections that stay open between requests: `maxsize` per host should be at least the number of threads."""
    return guarded_pool(num_pools=64, maxsize=maxsize, block=False)


def shared_pool() -> urllib3.PoolManager:
    """The pool of this process. A forked worker gets its own: two processes must not talk on one connection."""
    return _pool_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _pool_of(_pid: int) -> urllib3.PoolManager:
    return make_pool()


def send(
    request: Request,
    *,
    pool: urllib3.PoolManager | None = None,
    timeout: float = TIMEOUT,
    clock: Callable[[], float] = time.monotonic,
) -> Reply:
    """Make one attempt and give the complete answer, whatever its status. Raises OAuthError for none."""
    outcome = _attempt(request, pool or shared_pool(), timeout, clock)
    if isinstance(outcome, OAuthError):
        raise outcome  # here, where no frame and no context of the error holds what was sent
    return outcome


def _attempt(
    request: Request, pool: urllib3.PoolManager, timeout: float, clock: Callable[[], float]
) -> Reply | OAuthError:
    if not all(_HEADER_SAFE.issuperset(value) for value in request.headers.values()):
        # http.client would refuse it too, and quote it.
        text = f"{request.provider} cannot be asked to {request.doing}: a token or secret holds unusable characters."
        return OAuthError(text, kind=Kind.REFUSED, code="unusable_token")
    deadline = clock() + timeout
    try:
        response = pool.urlopen(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(total=timeout),
            preload_content=False,
        )
        try:
            body = _read(response, deadline, clock)
        except BaseException:
            response.close()
            raise
        response.release_conn()
    except HTTPError as error:
        return _network_failure(request, error)
    except _TooLargeError:
        return failure(request, f"its answer is larger than {MAX_BODY // 2**20} MiB", code="too_large", lost=True)
    return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, body)


def _read(response: urllib3.BaseHTTPResponse, deadline: float, clock: Callable[[], float]) -> bytes:
    """The whole body, within the limits of time and size. A server that drips bytes cannot hold a worker."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(65_536):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise _TooLargeError
        if clock() > deadline:
            raise AnyTimeoutError("the body took too long")
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _TooLargeError(Exception):
    pass


def failure(request: Request, why: str, *, code: str, lost: bool, status: int | None = None) -> OAuthError:
    """The error for a request that got no usable answer."""
    text = f"{request.provider} could not {request.doing}: {why}."
    return OAuthError(text, kind=Kind.TRANSIENT, code=code, status=status, lost=lost)


def _network_failure(request: Request, error: HTTPError) -> OAuthError:
    if isinstance(error, RefusedError):
        return failure(request, str(error).rstrip("."), code="address_refused", lost=False)
    if isinstance(error, NewConnectionError):  # asked first: urllib3 counts it among the time-outs
        return failure(request, "no connection could be made", code="no_connection", lost=False)
    if isinstance(error, AnyTimeoutError):
        never_sent = isinstance(error, ConnectTimeoutError)
        return failure(request, "it did not answer in time", code="timeout", lost=not never_sent)
    if isinstance(error, SSLError):
        unsent = any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args)
        return failure(request, "no secure connection could be made (TLS)", code="tls", lost=not unsent)
    return failure(request, "the connection broke before the answer was complete", code="connection_broke", lost=True)

"""One call to Base44 over HTTP: keep-alive, time limits, bounded repeats, and every odd answer as an ApiError.

What may be repeated depends on what a lost answer costs. Reading and removing may be done twice. Setting
scopes may not: each PUT that is not yet satisfied makes a new consent link, so when its answer is lost the
caller has to list again before asking again (`code == "answer_lost"`).
"""

from __future__ import annotations

import functools
import os
import random as random_module
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar
from urllib.parse import urlencode, urlsplit

import urllib3
from pydantic import ValidationError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as AnyTimeoutError

from connectors.core.base44 import budget as budgets
from connectors.core.base44.budget import Budget, Unlimited
from connectors.core.base44.contract import Wire, problem_in_words
from connectors.core.base44.credentials import Credential
from connectors.core.base44.faults import (
    ANSWER_LOST,
    BAD_ANSWER,
    Reply,
    effective_status,
    error_code,
    looks_like_html,
    plain,
    retry_after,
    server_message,
)
from connectors.core.errors import ApiError, CredentialError
from connectors.core.guarded_pool import RefusedError, guarded_pool

VERSION = "0.1.0"
USER_AGENT = f"connector-portal/{VERSION}"
TIMEOUT = 10.0
"""Seconds for one attempt, from connecting to the last byte, as in Base44's CLI."""

MAX_BODY = 5 * 1024 * 1024
"""Bytes. The largest known answer (the catalogue) is a hundredth of it."""

Answer = TypeVar("Answer", bound=Wire)


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a call is. All times in seconds."""

    attempts: int = 3
    backoff: float = 0.5
    max_backoff: float = 8.0
    max_retry_after: float = 30.0
    """A longer Retry-After ends the call, with `retry_after` in the error: its caller has better to do than sleep."""

    max_budget_wait: float = 30.0
    max_hold: float = 900.0
    """A 429 stops the other workers too, but a mistaken Retry-After must not stop them for days."""


class Host(NamedTuple):
    """Base44's address. App calls use the root; sign-in keeps a path when the configured address has one."""

    root: str
    login: str


def host_of(api_url: str) -> Host:
    """Check and split the address of Base44's API. Raises ApiError (permanent) when it is not http(s)://host[:port]."""
    try:
        parts = urlsplit(api_url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ApiError("Base44's API address must look like https://app.base44.com.", permanent=True)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ApiError("Base44's API address must hold no user name, password, query or fragment.", permanent=True)
    root = f"{parts.scheme}://{parts.netloc}"
    return Host(root, root + parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to ask of Base44. `doing` completes the sentence "Base44 could not ..."."""

    method: str
    url: str
    doing: str
    kind: str = budgets.OTHER
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    content_type: str = "application/json"
    timeout: float | None = None
    signed: bool = True
    secrets: tuple[str, ...] = ()
    """Texts that no error may quote, besides the credential."""


@dataclass(frozen=True, slots=True)
class _Failure:
    """An attempt without a usable answer. `untouched`: Base44 surely did nothing. `passing`: may go better later."""

    error: ApiError
    untouched: bool
    passing: bool


def make_pool(maxsize: int = 64) -> urllib3.PoolManager:
    """Connections that stay open between calls: `maxsize` per host should be at least the number of threads."""
    return guarded_pool(num_pools=32, maxsize=maxsize)


def shared_pool() -> urllib3.PoolManager:
    """The pool of this process. A forked worker gets its own: two processes must not talk on one connection."""
    return _pool_of(os.getpid())


@functools.lru_cache(maxsize=1)
def _pool_of(_pid: int) -> urllib3.PoolManager:
    return make_pool()


class Transport:
    """Makes calls. Thread-safe; holds no state besides its parts."""

    def __init__(
        self,
        credential: Credential | None = None,
        *,
        budget: Budget | None = None,
        pool: urllib3.PoolManager | None = None,
        timeout: float = TIMEOUT,
        policy: Policy | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._credential, self._budget, self._pool = credential, budget or Unlimited(), pool
        self._timeout, self._policy = timeout, policy or Policy()
        self._clock, self._wall_clock, self._sleep, self._random = clock, wall_clock, sleep, random

    def send(self, call: Call) -> Reply:
        """Make one call, repeating it where that is safe, and give its 2xx answer.

        Raises CredentialError on 401 (after renewing once, where the credential can), otherwise ApiError.
        """
        attempt, renewed = 1, False
        while True:
            headers = self._credential.headers() if call.signed and self._credential else {}
            self._wait_for_turn(call)
            outcome = self._attempt(call, headers)
            if isinstance(outcome, Reply):
                return outcome
            if isinstance(outcome.error, CredentialError) and not renewed and self._renew(headers):
                renewed = True
                continue
            pause = self._pause(attempt, outcome)
            if attempt >= self._policy.attempts or pause is None or not _may_repeat(call, outcome):
                raise _final(call, outcome)
            self._sleep(pause)
            attempt += 1

    def ask(self, call: Call, answer_model: type[Answer]) -> Answer:
        """Make one call and read its answer. Raises as `send` does, and ApiError for an answer outside the contract."""
        reply = self.send(call)
        try:
            return answer_model.model_validate_json(reply.body)
        except ValidationError as error:
            raise unreadable(call, reply, problem_in_words(error)) from None

    def _renew(self, headers: Mapping[str, str]) -> bool:
        return bool(headers) and self._credential is not None and self._credential.renew(headers)

    def _wait_for_turn(self, call: Call) -> None:
        wait = self._budget.acquire(call.kind, max_wait=self._policy.max_budget_wait)
        if wait > self._policy.max_budget_wait:
            message = f"The workspace's rate budget has no room to {call.doing} for the next {wait:.0f} seconds."
            raise ApiError(message, permanent=False, code="budget", retry_after=wait)
        if wait > 0:
            self._sleep(wait)

    def _attempt(self, call: Call, credential_headers: Mapping[str, str]) -> Reply | _Failure:
        """One request and its answer, or why there is none."""
        request_id = str(uuid.uuid4())
        try:
            reply = self._exchange(call, credential_headers, request_id)
        except HTTPError as error:
            return _network_failure(call, error, request_id)
        except _TooLargeError:
            return _too_large(call, request_id)
        if 200 <= reply.status < 300:
            return reply
        secrets = (*call.secrets, *(value.removeprefix("Bearer ") for value in credential_headers.values()))
        failure = _refusal(call, reply, retry_after(reply.headers, self._wall_clock()), secrets)
        if reply.status == 429:
            asked = failure.error.retry_after or self._policy.backoff
            self._budget.hold(call.kind, min(asked, self._policy.max_hold))
        return failure

    def _exchange(self, call: Call, credential_headers: Mapping[str, str], request_id: str) -> Reply:
        timeout = call.timeout or self._timeout
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT, "X-Request-ID": request_id}
        headers.update(credential_headers)
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        deadline = self._clock() + timeout
        response = (self._pool or shared_pool()).urlopen(
            call.method,
            f"{call.url}?{urlencode(call.query)}" if call.query else call.url,
            body=call.body,
            headers=headers,
            # Both belong to this class: it knows what may be repeated, and a redirect would carry the credential off.
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(total=timeout),
            preload_content=False,
        )
        try:
            body = self._read(response, deadline)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        answered_id = plain(response.headers.get("x-request-id", ""))[:100]
        received = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, received, body, answered_id or request_id)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
        """The whole body, within the time limit and the size limit. A server that drips bytes cannot hold a worker."""
        parts: list[bytes] = []
        size = 0
        while part := response.read1(65_536):
            parts.append(part)
            size += len(part)
            if size > MAX_BODY:
                raise _TooLargeError
            if self._clock() > deadline:
                raise AnyTimeoutError("the body took too long")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _pause(self, attempt: int, failure: _Failure) -> float | None:
        """Seconds before the next attempt; None when Base44 asks for more patience than we have."""
        asked = failure.error.retry_after
        if asked is None:
            backoff = min(self._policy.max_backoff, self._policy.backoff * 2.0 ** (attempt - 1))
            return backoff * (0.5 + self._random() / 2)
        # A little spread, or every thread that was held comes back in the same instant.
        return asked + 0.3 * self._random() if asked <= self._policy.max_retry_after else None


class _TooLargeError(Exception):
    pass


def unreadable(call: Call, reply: Reply, problem: str) -> ApiError:
    """The error for a 2xx answer that cannot be used. After a PUT or POST it also means that the answer is lost."""
    if looks_like_html(reply):
        said = f"it answered with {server_message(reply)} instead of JSON. Is the API address right?"
    elif not reply.body.strip():
        said = "its answer was empty."
    elif "Invalid JSON" in problem or "not complete JSON" in problem:
        said = "its answer is not complete JSON."
    else:
        said = f"its answer does not fit the contract ({plain(problem)})."
    lost = call.method in ("PUT", "POST")
    return ApiError(
        f"Base44 could not be understood when asked to {call.doing}: {said}",
        permanent=False,
        status=reply.status,
        code=ANSWER_LOST if lost else BAD_ANSWER,
        request_id=reply.request_id,
    )


def _may_repeat(call: Call, failure: _Failure) -> bool:
    if call.method in ("GET", "DELETE"):
        return failure.passing
    if call.method == "PUT":
        return failure.passing and failure.untouched
    return failure.error.status == 429


def _final(call: Call, failure: _Failure) -> ApiError:
    """The error to raise; a PUT or POST that may have been carried out gets the code that says so."""
    error = failure.error
    if call.method in ("PUT", "POST") and failure.passing and not failure.untouched:
        error.code = ANSWER_LOST
    return error


def _network_failure(call: Call, error: HTTPError, request_id: str) -> _Failure:
    if isinstance(error, RefusedError):
        refused = ApiError(f"Base44 could not {call.doing}: {error}", permanent=True, request_id=request_id)
        return _Failure(refused, untouched=True, passing=False)
    untouched = isinstance(error, (NewConnectionError, ConnectTimeoutError))
    if isinstance(error, NewConnectionError):  # asked first: urllib3 counts it among the time-outs
        said = "no connection could be made. Is the API address right, and the network up?"
    elif isinstance(error, AnyTimeoutError):
        said = "it did not answer in time."
    elif isinstance(error, SSLError):
        said = "no secure connection could be made (TLS)."
    elif isinstance(error, ProxyError):
        said = "the proxy could not be reached."
    else:
        said = "the connection broke before the answer was complete."
    text = f"Base44 could not {call.doing}: {said}"
    return _Failure(ApiError(text, permanent=False, request_id=request_id), untouched, passing=True)


def _too_large(call: Call, request_id: str) -> _Failure:
    text = f"Base44 could not {call.doing}: its answer is larger than {MAX_BODY // 2**20} MiB and was not read."
    error = ApiError(text, permanent=True, code=BAD_ANSWER, request_id=request_id)
    if call.method in ("PUT", "POST"):
        error.permanent, error.code = False, ANSWER_LOST
    return _Failure(error, untouched=False, passing=False)


def _refusal(call: Call, reply: Reply, wait: float | None, secrets: tuple[str, ...]) -> _Failure:
    """What an answer outside 2xx means."""
    status = effective_status(reply)
    if 300 <= status < 400:
        text = f"Base44 could not {call.doing}: it redirects to another address, which the portal does not follow."
        return _Failure(_error(text, reply, permanent=True), untouched=True, passing=False)
    said = server_message(reply, secrets).rstrip(".") or "it gave no reason"
    text = f"Base44 could not {call.doing}: {said} (HTTP {reply.status})."
    if status == 401 and call.signed:
        text = f"Base44 does not accept the workspace's credential: {said} (HTTP 401). A person must renew it."
        return _Failure(CredentialError(text, status=401, request_id=reply.request_id), untouched=True, passing=False)
    passing = status >= 500 or status in (408, 413, 429)
    untouched = status in (413, 429) or (status == 503 and wait is not None) or not passing
    return _Failure(_error(text, reply, permanent=not passing, wait=wait), untouched, passing)


def _error(text: str, reply: Reply, *, permanent: bool, wait: float | None = None) -> ApiError:
    return ApiError(
        text,
        permanent=permanent,
        status=effective_status(reply),
        code=error_code(reply),
        retry_after=wait,
        request_id=reply.request_id,
    )

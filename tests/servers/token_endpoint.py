"""A token endpoint in this process that rotates refresh tokens, ends a grant on reuse, and fails when told to."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from tests.servers.serving import serving

Form = dict[str, str]
Answer = tuple[int, dict[str, Any]]


@dataclass
class TokenServer:
    """What the endpoint knows; `url` is set once it listens.

    `override` answers in the server's place when it returns something; `forms` are the bodies of all calls. While
    `hold` is "before" or "after", a call waits there, before it is handled or before it is answered: `arrived` says
    that one does, `released` lets it go. A call that was held before it was handled is dropped.
    """

    url: str = ""
    forms: list[Form] = field(default_factory=list)
    override: Callable[[Form], Answer | None] = lambda form: None
    extra: Mapping[str, Any] = field(default_factory=lambda: {"expires_in": 3600})
    rotates: bool = True
    revoked: list[str] = field(default_factory=list)
    hold: str = ""
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    caller: threading.local = field(default_factory=threading.local)
    """`caller.port` is the one on the other side of the call that this thread answers."""
    _live: dict[str, str] = field(default_factory=dict)
    _spent: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, grant: str = "") -> tuple[str, str]:
        """A new pair of access and refresh token, of a new grant or of this one."""
        refresh = secrets.token_urlsafe(24)
        self._live[refresh] = grant or secrets.token_hex(8)
        return secrets.token_urlsafe(24), refresh

    def reset(self) -> None:
        """Forgets what was arranged and counted; grants stay."""
        self.forms.clear()
        self.revoked.clear()
        self.override, self.extra, self.rotates, self.hold = (lambda form: None), {"expires_in": 3600}, True, ""
        self.arrived.clear()
        self.released.clear()

    def fail_with(self, status: int, error: str, **values: Any) -> None:
        """Every call from now on gets this error."""
        self.override = lambda form: (status, {"error": error, **values})

    @property
    def refreshes(self) -> int:
        """How many refreshes were asked for."""
        return sum(form.get("grant_type") == "refresh_token" for form in self.forms)

    def grant_of(self, refresh: str) -> str | None:
        """The grant that this refresh token renews now, None when it does not."""
        return self._live.get(refresh)

    @property
    def grants(self) -> set[str]:
        """Those that have not ended."""
        return set(self._live.values())

    def rotations(self, grant: str) -> int:
        """How many refresh tokens of this grant were used up."""
        return sum(of == grant for of in self._spent.values())

    def answer(self, form: Form) -> Answer:
        """What the endpoint says to this form."""
        held = self.hold
        if held == "before":
            self._wait()
            return 503, {"error": "temporarily_unavailable"}
        with self._lock:
            self.forms.append(form)
            told = self.override(form)
            answer = told if told is not None else self._refresh(form.get("refresh_token", ""))
        if held == "after":
            self._wait()
        return answer

    def _wait(self) -> None:
        self.arrived.set()
        self.released.wait(30)

    def _refresh(self, refresh: str) -> Answer:
        if refresh in self._spent:
            grant = self._spent[refresh]
            self._live = {token: of for token, of in self._live.items() if of != grant}
        if refresh not in self._live:
            return 400, {"error": "invalid_grant"}
        access = secrets.token_urlsafe(24)
        if not self.rotates:
            return 200, {"access_token": access, "token_type": "Bearer", **self.extra}
        grant = self._live.pop(refresh)
        self._spent[refresh] = grant
        _, fresh = self.issue(grant)
        return 200, {"access_token": access, "refresh_token": fresh, "token_type": "Bearer", **self.extra}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256  # many processes connect at once


@contextmanager
def token_server() -> Iterator[TokenServer]:
    """Starts the endpoint on a free port of this machine and stops it."""
    state = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            form = dict(parse_qsl(body))
            state.caller.port = self.client_address[1]
            if self.path == "/revoke":
                state.revoked.append(form.get("token", ""))
                status, document = 200, dict[str, Any]()
            else:
                status, document = state.answer(form)
            payload = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            with contextlib.suppress(OSError):  # whoever asked was killed meanwhile
                self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Quiet."""

    server = _Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield state

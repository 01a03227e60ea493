"""A host of repositories in this process: pull requests as GitHub, GitLab and Gitea show them, over real git branches.

One state, three ways to speak of it: what is opened through one API could be closed through another. It refuses what
the published descriptions (`contracts`) do not allow, and keeps itself to them; `breaches` lists both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.forge_dialects import answer
from tests.servers.forge_state import Asked, Forge, Kind, Project, Pull
from tests.servers.serving import serving

__all__ = ["Forge", "Kind", "Project", "Pull", "forge_server"]


class _Handler(BaseHTTPRequestHandler):
    forge: Forge
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, json.loads(raw) if raw else None)
        with self.forge.lock:
            self.forge.asked.append(asked)
            if self.forge.canned:
                canned = self.forge.canned.pop(0)
                self._send(canned.status, canned.body, canned.headers)
                return
            status, body, more = answer(self.forge, asked)
        self._send(status, json.dumps(body).encode(), {"Content-Type": "application/json", **more})

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)  # with the Date header that hosts send too
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


@contextmanager
def forge_server() -> Iterator[Forge]:
    """Starts a host without repositories on a free port, and stops it."""
    forge = Forge()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"forge": forge}))
    server.daemon_threads = True
    forge.url = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield forge

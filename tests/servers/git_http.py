"""A git host on loopback: git's own http-backend with credentials, counted bytes, and troubles on order."""

from __future__ import annotations

import base64
import secrets
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from pydantic import SecretStr

from tests.servers.git_repos import RepoMaker, clean_environment
from tests.servers.serving import serving

CHUNK = 64 * 1024
HELD_SECONDS = 60

LOOK = "service=git-upload-pack"
"""Part of the request that begins every reading: which branches are there."""
FETCH = "/git-upload-pack"
"""Part of the requests that bring objects, and in protocol 2 the list of branches too."""
LOOK_BEFORE_PUSH = "service=git-receive-pack"
"""Part of the request that begins every writing."""
PUSH = "/git-receive-pack"
"""Part of the request that brings new commits."""


@dataclass(slots=True)
class Trouble:
    """What happens to requests that have `on` in their address, `times` times.

    First `action` is called. Then `status` (with a `location` or a `page`) is answered without asking git. `hold` is a
    point where the request waits until the server is released: "before" git sees it, or "after" git did its work and
    nobody was told.
    `cut_after` bytes of the answer's body the connection is cut; git has finished its work by then. `endless` is what
    is answered again and again, until whoever asked hangs up.
    """

    on: str = ""
    times: int = 1_000_000
    action: Callable[[], object] | None = None
    status: int = 0
    location: str = ""
    page: str = ""
    hold: str = ""
    cut_after: int | None = None
    endless: bytes = b""


@dataclass
class GitServer:
    """The host as tests see it. `token` may read and write, `read_only_token` only read; the user name is ignored.

    `sent` and `received` count bytes of all connections, headers and all, before TLS. `requests` are lines such as
    `POST /acme/shop.git/git-upload-pack`, `credentials` the Authorization headers that came.
    """

    root: Path
    url: str = ""
    port: int = 0
    token: SecretStr = field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    read_only_token: SecretStr = field(default_factory=lambda: SecretStr(secrets.token_urlsafe(32)))
    is_public: bool = False
    is_dumb: bool = False
    """Whether it only hands out files, as web servers without git do."""
    sent: int = 0
    received: int = 0
    requests: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)
    troubles: list[Trouble] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def make(self, name: str = "acme/shop", *, object_format: str = "sha1") -> RepoMaker:
        """A new empty repository, served at `<url>/<name>.git`."""
        return RepoMaker(self.root / f"{name}.git", f"{self.url}/{name}.git", object_format=object_format)

    def trouble(self, on: str = "", **what: Any) -> Trouble:
        """Orders a trouble, see `Trouble`; gives it, so that a test can look how often it is left."""
        ordered = Trouble(on, **what)
        self.troubles.append(ordered)
        return ordered

    def release(self) -> None:
        """Lets go of every request that is held."""
        self.released.set()

    def count_anew(self) -> None:
        """Forgets what came so far, and keeps repositories and troubles."""
        self.sent = self.received = 0
        self.requests.clear()
        self.credentials.clear()

    def reset(self) -> None:
        """An empty host without troubles, with the same address and tokens."""
        self.released.set()
        self.arrived, self.released = threading.Event(), threading.Event()
        self.troubles.clear()
        self.count_anew()
        self.is_public = self.is_dumb = False
        shutil.rmtree(self.root, ignore_errors=True)
        self.root = self.root.with_name(secrets.token_hex(4))  # a late request of the last test finds its own
        self.root.mkdir(parents=True)

    @property
    def moved(self) -> int:
        """Bytes over the wire, both ways."""
        return self.sent + self.received

    def count(self, *, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self.sent += sent
            self.received += received

    def meets(self, request: str) -> Trouble | None:
        """The trouble that this request is in, which is then one less."""
        with self._lock:
            for trouble in self.troubles:
                if trouble.times > 0 and trouble.on in request:
                    trouble.times -= 1
                    return trouble
        return None

    def judge(self, authorization: str, *, writes: bool) -> int:
        """The status that a request with this header deserves: 200, 401, or 403 for a reader who wants to write."""
        if self.is_public and not authorization and not writes:
            return 200
        password = _password(authorization)
        if secrets.compare_digest(password, self.token.get_secret_value()):
            return 200
        if secrets.compare_digest(password, self.read_only_token.get_secret_value()):
            return 403 if writes else 200
        return 401


class _Counted:
    """A connection's file that tells the server how many bytes went through."""

    def __init__(self, file: IO[bytes], count: Callable[[int], None]) -> None:
        self._file, self._count = file, count

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._count(len(content))
        return content

    def readline(self, limit: int = -1) -> bytes:
        line = self._file.readline(limit)
        self._count(len(line))
        return line

    def write(self, content: bytes) -> int:
        self._count(len(content))
        return self._file.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Handler(BaseHTTPRequestHandler):
    state: GitServer

    def setup(self) -> None:
        super().setup()
        self.rfile: Any = _Counted(self.rfile, lambda size: self.state.count(received=size))
        self.wfile: Any = _Counted(self.wfile, lambda size: self.state.count(sent=size))

    def do_GET(self) -> None:
        with suppress(OSError):
            self._serve(None)

    def do_POST(self) -> None:
        with suppress(OSError), tempfile.TemporaryFile() as body:
            self._take_body(body)
            self._serve(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""

    def _serve(self, body: IO[bytes] | None) -> None:
        request, root = f"{self.command} {self.path}", self.state.root
        self.state.requests.append(request)
        authorization = self.headers.get("Authorization", "")
        self.state.credentials.add(authorization)
        trouble = self.state.meets(request) or Trouble()
        if trouble.action is not None:
            trouble.action()
        if trouble.hold == "before":
            self._wait()
        while trouble.endless:
            self.wfile.write(trouble.endless)
        status = trouble.status or self.state.judge(authorization, writes="git-receive-pack" in self.path)
        if trouble.status or status != 200:
            self._refuse(status, trouble)
            return
        self._ask_git(root, body, trouble)

    def _take_body(self, body: IO[bytes]) -> None:
        """Reads the request's body, in one piece or in chunks, into a file that git can then read."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            _copy(self.rfile, body, int(self.headers.get("Content-Length", 0)))
        else:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                _copy(self.rfile, body, size)
                self.rfile.readline()
            self.rfile.readline()
        body.seek(0)

    def _ask_git(self, root: Path, body: IO[bytes] | None, trouble: Trouble) -> None:
        backend = subprocess.Popen(
            ["git", "http-backend"],
            stdin=body or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment(root),
            bufsize=0,
        )
        assert backend.stdout is not None
        try:
            with backend.stdout as answer:
                self._answer(answer, trouble)
        finally:
            backend.kill()
            backend.wait()

    def _environment(self, root: Path) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return clean_environment() | {
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": "" if self.state.is_dumb else query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": "someone",
            "REMOTE_ADDR": "127.0.0.1",
        }

    def _answer(self, answer: IO[bytes], trouble: Trouble) -> None:
        headers = dict(_cgi_headers(answer))
        status = int(headers.pop("Status", "200").split()[0])
        if trouble.hold == "after" or trouble.cut_after is not None:
            self._answer_badly(status, headers, answer.read(), trouble)
            return
        self._begin(status, headers)
        while content := answer.read(CHUNK):
            self.wfile.write(content)

    def _answer_badly(self, status: int, headers: dict[str, str], content: bytes, trouble: Trouble) -> None:
        if trouble.hold == "after":
            self._wait()
        cut = len(content) if trouble.cut_after is None else trouble.cut_after
        self._begin(status, headers | {"Content-Length": str(len(content))})
        self.wfile.write(content[:cut])

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def _refuse(self, status: int, trouble: Trouble) -> None:
        page = trouble.page.encode()
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(page))}
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="git"'
        if trouble.location:
            headers["Location"] = trouble.location + self.path
        self._begin(status, headers)
        self.wfile.write(page)

    def _wait(self) -> None:
        released = self.state.released
        self.state.arrived.set()
        released.wait(HELD_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def shutdown_request(self, request: Any) -> None:
        """Says goodbye on TLS too: what ends without it counts as cut off."""
        if isinstance(request, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                request.unwrap()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quiet: those who hang up are part of the tests."""


@contextmanager
def git_http_server(root: Path, tls: ssl.SSLContext | None = None) -> Iterator[GitServer]:
    """Starts a host for repositories below `root` on a free port, with TLS where a context is given; stops it."""
    state = GitServer(root / "repositories")
    state.reset()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    state.port = server.server_port
    state.url = f"{'https' if tls else 'http'}://127.0.0.1:{state.port}"
    with serving(server):
        try:
            yield state
        finally:
            state.release()


def _password(authorization: str) -> str:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    return base64.b64decode(encoded).decode().partition(":")[2]


def _cgi_headers(answer: IO[bytes]) -> Iterator[tuple[str, str]]:
    while line := answer.readline().decode().strip():
        name, _, value = line.partition(":")
        yield name, value.strip()


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (content := source.read(min(size, CHUNK))):
        target.write(content)
        size -= len(content)

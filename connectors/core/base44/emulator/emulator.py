"""The emulator as one object: world, faults, limits, log and server, with helpers that tests and the demo use."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from connectors.core.base44.emulator import connecting, oauth_rules
from connectors.core.base44.emulator.account_routes import ACCOUNT_ROUTES
from connectors.core.base44.emulator.connector_routes import CONNECTOR_ROUTES
from connectors.core.base44.emulator.control import control_routes
from connectors.core.base44.emulator.faults import Fault, Faults
from connectors.core.base44.emulator.limits import RateLimits
from connectors.core.base44.emulator.oauth_routes import OAUTH_ROUTES
from connectors.core.base44.emulator.oauth_state import OAuthClient
from connectors.core.base44.emulator.pages import PAGE_ROUTES
from connectors.core.base44.emulator.persistence import StateFile, load
from connectors.core.base44.emulator.request_log import RequestLog
from connectors.core.base44.emulator.routes import Router
from connectors.core.base44.emulator.seed import OWNER, SEEDS, WORKSPACE, Registered, personal_token
from connectors.core.base44.emulator.seed import register as put_at_base44
from connectors.core.base44.emulator.server import EmulatorServer
from connectors.core.base44.emulator.state import App, Connection, Credential, Link, World
from connectors.core.base44.emulator.webhooks import webhook_routes
from connectors.core.base44.emulator.wire import Answer, Request

API_PATHS = ("/api/", "/oauth/", *(f"/provider/{name}" for name in ("token", "revoke", "introspect", "userinfo")))


class Emulator:
    """A Base44 to run against.

    `latency` is in seconds and delays every API answer, not the pages. `seed` is "empty" (a workspace, no apps) or
    "demo". `state_file` keeps the world between starts; its content wins over `seed`. `token` is the owner's personal
    access token; without it one is made. Rate limits are off unless asked for. The clock can be moved with `advance`.

    with Emulator() as emu:
        emu.add_app("app-1", "Shop")
        emu.register("app-1", "slackbot", ["chat:write"])
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        latency: float = 0.0,
        seed: str = "empty",
        state_file: Path | None = None,
        token: str = "",
        rate_limits: bool = False,
        public_url: str = "",
    ) -> None:
        self._address = (host, port)
        self._public_url = public_url
        self._ahead = 0.0
        self._token = token
        self._server: EmulatorServer | None = None
        self._thread: threading.Thread | None = None
        self.latency = latency
        kept = load(state_file) if state_file else None
        self.state = World(kept, clock=self.now)
        self.faults = Faults()
        self.limits = RateLimits(self.now, enabled=rate_limits)
        self.log = RequestLog()
        self._file = StateFile(state_file, self.state) if state_file else None
        fixed = (*CONNECTOR_ROUTES, *ACCOUNT_ROUTES, *PAGE_ROUTES, *OAUTH_ROUTES)
        routes = [*fixed, *webhook_routes(), *control_routes(self)]
        self._router = Router(self.state, self.limits, routes)
        if kept is None:
            self._plant(seed)
        self.pat = personal_token(self.state, token)
        self._save()

    # running

    def start(self) -> Emulator:
        """Listen, in threads of this process. Raises OSError when the port is taken."""
        self._server = EmulatorServer(self._address, self.handle, public_url=self._public_url)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server and self._thread:
            self._server.close()
            self._thread.join(timeout=5)
            self._server = self._thread = None

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:8044`; only while it runs."""
        if self._server is None:
            raise RuntimeError("the emulator is not running")
        host = self._address[0]
        shown = "127.0.0.1" if host in ("", "0.0.0.0") else f"[{host}]" if ":" in host else host  # noqa: S104
        return f"http://{shown}:{self._server.port}"

    def handle(self, request: Request) -> Answer:
        """Answer one request: wait, meet a fault or the router, note it, save."""
        if not request.path.startswith(API_PATHS):
            return self._carry_out(request)
        entry = self.log.add(request.method, request.path, request.query)
        if self.latency:
            time.sleep(self.latency)
        fault = self.faults.take(request.method, request.path)
        if fault is None:
            answer = self._carry_out(request)
        else:
            answer = fault.spoil(self._carry_out(request) if fault.carries_out else None)
        entry.status = 0 if answer.abrupt in ("close", "hang") else answer.status
        return answer

    def _carry_out(self, request: Request) -> Answer:
        answer = self._router.answer(request)
        self._save()
        return answer

    def _save(self) -> None:
        if self._file:
            self._file.save_if_changed()

    # time

    def now(self) -> float:
        """The emulator's clock, in seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock: tokens and connections run out, rate limits fill up."""
        self._ahead += seconds

    # the world

    def reset(self, seed: str = "empty") -> None:
        """Start anew: world, faults, log and limits. The owner's personal access token stays the same."""
        _require_seed(seed)
        self.state.clear()
        self.faults.clear()
        self.limits.reset()
        self.log.clear()
        self._plant(seed)
        self.pat = personal_token(self.state, self.pat)
        self._save()

    def _plant(self, name: str) -> None:
        _require_seed(name)
        SEEDS[name](self.state)

    def add_token(self, kind: str = "pat", *, email: str = OWNER, app: str = "", read_only: bool = False) -> str:
        """A new token: pat, login, key (a workspace key) or service (the SDK's, for one app)."""
        workspace = WORKSPACE if kind in ("pat", "key") else ""
        owner = "" if kind in ("key", "service") else email
        return self.state.add_credential(Credential(kind, owner, workspace, app, read_only))

    def add_app(self, app_id: str, name: str = "", *, workspace: str = WORKSPACE) -> App:
        """Add an app to the workspace “Acme”, or to another one, which is added when needed."""
        if workspace not in self.state.data.workspaces:
            self.state.add_workspace(workspace)
        return self.state.add_app(app_id, name, workspace=workspace)

    def app(self, app_id: str) -> App:
        """One app; raises KeyError for an unknown one."""
        return self.state.data.apps[app_id]

    def register(
        self,
        app_id: str,
        integration_type: str,
        scopes: Iterable[str] = (),
        *,
        status: str = "active",
        account: str = OWNER,
        connection_config: Mapping[str, str] | None = None,
        expires_in: float | None = None,
        hidden: bool = False,
    ) -> Connection:
        """Put a connector at Base44 with exactly these scopes, behind the portal's back; adds the app when needed."""
        entry = Registered(integration_type, list(scopes), status, account, dict(connection_config or {}))
        with self.state.lock:
            connection = put_at_base44(self.state, self.add_app(app_id), entry)
            connection.expires_at = None if expires_in is None else self.now() + expires_in
            connection.hidden = hidden
        return connection

    def set_status(self, app_id: str, integration_type: str, status: str) -> None:
        """Give a connector a status: active, expired, disconnected or one that nobody has heard of."""
        if not connecting.set_status(self.state, self.app(app_id), integration_type, status):
            raise KeyError(f"{app_id} has no connector {integration_type}")

    def expire(self, app_id: str, integration_type: str) -> None:
        """The provider has withdrawn the connection."""
        self.set_status(app_id, integration_type, "expired")

    def disconnect(self, app_id: str, integration_type: str) -> None:
        """Somebody has disconnected it in Base44's own pages."""
        self.set_status(app_id, integration_type, "disconnected")

    def set_scope_rules(
        self, integration_type: str, *, auto_added: Iterable[str] | None = None, unallowed: Iterable[str] | None = None
    ) -> None:
        """Change which scopes Base44 adds to each request of a type, and which (patterns) it drops; None leaves it."""
        entry = self.state.integrations[integration_type]
        if auto_added is not None:
            entry = replace(entry, auto_added=tuple(auto_added))
        if unallowed is not None:
            entry = replace(entry, unallowed=tuple(unallowed))
        self.state.integrations[integration_type] = entry

    def install_stripe(self, app_id: str, mode: str = "sandbox") -> None:
        """Give an app Stripe: sandbox or live, "" for none."""
        with self.state.lock:
            self.app(app_id).stripe.mode = mode
            self.state.changed()

    def consent(
        self, app_id: str, integration_type: str, *, approve: bool | str | Iterable[str] = "all", account: str = ""
    ) -> Link:
        """Decide the newest pending link of a connector as a person would: "all" or True, some scopes, or False."""
        pending = connecting.pending_links(self.state, app_id, integration_type)
        if not pending:
            raise KeyError(f"{app_id} has no pending consent for {integration_type}")
        connecting.decide(self.state, pending[-1], _granted(pending[-1], approve), account)
        return pending[-1]

    def add_oauth_client(self, client: OAuthClient) -> None:
        """Register a client at the stand-in OAuth provider, or change it; what was granted to it stays."""
        oauth_rules.add_client(self.state, client)

    # faults and what was asked

    def fail(self, method: str, path: str, kind: str = "status", **more: object) -> None:
        """The next requests that match fail; see `Fault` for kinds and options. `method` "*" matches every one."""
        self.faults.add(Fault(method, path, kind, **more))  # type: ignore[arg-type]

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of each API request, in order of arrival; the portal's control calls are not among them."""
        return [(entry.method, entry.path) for entry in self.log.entries()]

    def count(self, method: str, path_end: str) -> int:
        """How many API requests there were of this method whose path ends so: `emu.count("GET", "/list")`."""
        return sum(made == method and path.endswith(path_end) for made, path in self.requests)


def _require_seed(name: str) -> None:
    if name not in SEEDS:
        raise ValueError(f"unknown seed {name!r}; there are {', '.join(SEEDS)}")


def _granted(link: Link, approve: bool | str | Iterable[str]) -> list[str] | None:
    if approve is False:
        return None
    if approve is True or approve == "all":
        return link.scopes
    return [approve] if isinstance(approve, str) else list(approve)

"""The control API under `/_emulator/`: arrange the world from outside, as JSON. Documented in docs/emulator.md.

Writes must say `Content-Type: application/json`, so that no web page elsewhere can send one by a mere form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.core.base44.contract import problem_in_words
from connectors.core.base44.emulator import connecting
from connectors.core.base44.emulator.account_routes import decide_login
from connectors.core.base44.emulator.faults import Fault
from connectors.core.base44.emulator.oauth_state import OAuthClient
from connectors.core.base44.emulator.routes import Call, Route, route
from connectors.core.base44.emulator.seed import OWNER, WORKSPACE
from connectors.core.base44.emulator.wire import Answer, Problem, success_json

if TYPE_CHECKING:
    from connectors.core.base44.emulator.emulator import Emulator


class Body(BaseModel):
    """Base of the bodies here: a misspelt key is an error, for silence would spoil a test."""

    model_config = ConfigDict(extra="forbid")


class ResetBody(Body):
    seed: str = "empty"


class SettingsBody(Body):
    latency_ms: float | None = None
    rate_limits: bool | None = None
    rate_multiplier: float | None = None
    rate_window: float | None = None


class ClockBody(Body):
    advance_seconds: float


class WorkspaceBody(Body):
    id: str
    name: str = ""
    tier: str = "enterprise"
    members: list[str] = []


class AppBody(Body):
    id: str
    name: str = ""
    workspace: str = WORKSPACE


class TokenBody(Body):
    kind: str = "pat"
    email: str = OWNER
    app: str = ""
    read_only: bool = False


class RevokeBody(Body):
    token: str


class ConnectorBody(Body):
    app: str
    type: str
    scopes: list[str] = []
    status: str = "active"
    account: str = OWNER
    connection_config: dict[str, str] = {}
    expires_in: float | None = None
    hidden: bool = False


class ConnectorStatusBody(Body):
    app: str
    type: str
    status: str


class ConnectorNameBody(Body):
    app: str
    type: str


class StripeBody(Body):
    app: str
    mode: str


class ScopeRulesBody(Body):
    type: str
    auto_added: list[str] | None = None
    unallowed: list[str] | None = None
    metered: bool | None = None


class ConsentBody(Body):
    app: str
    type: str
    approve: bool | str | list[str] = "all"
    account: str = ""


class LoginBody(Body):
    user_code: str
    email: str = OWNER
    approve: bool = True


class OAuthClientBody(Body):
    client_id: str
    client_secret: str
    name: str = ""
    redirect_uris: list[str] = []
    access_life: float = 3600.0
    refresh_life: float | None = None


class FaultBody(Body):
    method: str = "*"
    path: str
    kind: str = "status"
    times: int | None = 1
    status: int = 500
    body: Any = None
    message: str = "Emulated failure"
    retry_after: float | None = None
    seconds: float = 60.0
    carry_out: bool = False


DONE: dict[str, object] = {"ok": True}


class Control:
    """The handlers, bound to one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator

    def health(self) -> dict[str, object]:
        """For a supervisor that waits until the emulator answers."""
        return DONE

    def reset(self, body: ResetBody) -> dict[str, object]:
        """Start anew from a seed."""
        self.emulator.reset(body.seed)
        return DONE

    def settings(self, body: SettingsBody) -> dict[str, object]:
        """Change latency and rate limits; what is not named stays."""
        emulator, limits = self.emulator, self.emulator.limits
        if body.latency_ms is not None:
            emulator.latency = body.latency_ms / 1000
        if body.rate_limits is not None:
            limits.enabled = body.rate_limits
            limits.reset()
        if body.rate_multiplier is not None:
            limits.multiplier = body.rate_multiplier
        if body.rate_window is not None:
            limits.window = body.rate_window
        return {
            "latency_ms": emulator.latency * 1000,
            "rate_limits": limits.enabled,
            "rate_multiplier": limits.multiplier,
            "rate_window": limits.window,
        }

    def clock(self, body: ClockBody) -> dict[str, object]:
        """Move the emulator's clock."""
        self.emulator.advance(body.advance_seconds)
        return {"now": self.emulator.now()}

    def workspace(self, body: WorkspaceBody) -> dict[str, object]:
        """Add a workspace."""
        workspace = self.emulator.state.add_workspace(body.id, body.name, tier=body.tier, members=body.members)
        return asdict(workspace)

    def apps(self) -> dict[str, object]:
        """Every app with its connectors, Stripe mode and names of secrets."""
        world = self.emulator.state
        with world.lock:
            return {"apps": [_app_in_view(asdict(app)) for app in world.data.apps.values()]}

    def add_app(self, body: AppBody) -> dict[str, object]:
        """Add an app."""
        return _app_in_view(asdict(self.emulator.add_app(body.id, body.name, workspace=body.workspace)))

    def add_token(self, body: TokenBody) -> dict[str, object]:
        """Make a token."""
        kind = body.kind
        token = self.emulator.add_token(kind, email=body.email, app=body.app, read_only=body.read_only)
        return {"token": token}

    def revoke_token(self, body: RevokeBody) -> dict[str, object]:
        """Withdraw a token."""
        self.emulator.state.revoke(body.token)
        return DONE

    def register(self, body: ConnectorBody) -> dict[str, object]:
        """Add a connector behind the portal's back."""
        values = body.model_dump(exclude={"app", "type", "scopes"})
        return asdict(self.emulator.register(body.app, body.type, body.scopes, **values))

    def connector_status(self, body: ConnectorStatusBody) -> dict[str, object]:
        """Expire, disconnect or revive a connector."""
        self.emulator.set_status(body.app, body.type, body.status)
        return DONE

    def remove_connector(self, body: ConnectorNameBody) -> dict[str, object]:
        """Remove a connector behind the portal's back."""
        connecting.remove(self.emulator.state, self.emulator.app(body.app), body.type)
        return DONE

    def stripe(self, body: StripeBody) -> dict[str, object]:
        """Give an app Stripe in a mode, or "" for none."""
        self.emulator.install_stripe(body.app, body.mode)
        return DONE

    def scope_rules(self, body: ScopeRulesBody) -> dict[str, object]:
        """Change what is added to or dropped from requests of a type, and whether its tokens are metered."""
        self.emulator.set_scope_rules(body.type, auto_added=body.auto_added, unallowed=body.unallowed)
        if body.metered is not None:
            change = self.emulator.state.metered.add if body.metered else self.emulator.state.metered.discard
            change(body.type)
        return DONE

    def consents(self) -> dict[str, object]:
        """The pending consents, without the secret part of their links."""
        links = [asdict(link) for link in connecting.pending_links(self.emulator.state)]
        return {"consents": [{key: value for key, value in link.items() if key != "secret"} for link in links]}

    def decide_consent(self, body: ConsentBody) -> dict[str, object]:
        """Decide the newest pending consent of a connector without a browser."""
        link = self.emulator.consent(body.app, body.type, approve=body.approve, account=body.account)
        return {"connection_id": link.connection_id, "status": link.status}

    def decide_login(self, body: LoginBody) -> dict[str, object]:
        """Approve or refuse a device login without a browser."""
        if not decide_login(self.emulator.state, body.user_code, body.email if body.approve else ""):
            raise KeyError("no pending sign-in has this code")
        return DONE

    def oauth_client(self, body: OAuthClientBody) -> dict[str, object]:
        """Register a client at the stand-in OAuth provider, or change it."""
        self.emulator.add_oauth_client(OAuthClient(**{**body.model_dump(), "name": body.name or body.client_id}))
        return DONE

    def faults(self, body: FaultBody) -> dict[str, object]:
        """Order a fault."""
        self.emulator.faults.add(Fault(**body.model_dump()))
        return DONE

    def clear_faults(self) -> dict[str, object]:
        """Take back every fault."""
        self.emulator.faults.clear()
        return DONE

    def requests(self) -> dict[str, object]:
        """What was asked, and how often."""
        log = self.emulator.log
        return {"requests": [asdict(entry) for entry in log.entries()], "counters": log.counters()}

    def clear_requests(self) -> dict[str, object]:
        """Forget what was asked."""
        self.emulator.log.clear()
        return DONE


def _app_in_view(app: dict[str, Any]) -> dict[str, object]:
    stripe, names = app.pop("stripe"), sorted(app.pop("secrets"))
    return {**app, "stripe_mode": stripe["mode"], "secret_names": names}


def control_routes(emulator: Emulator) -> list[Route]:
    """The control API's routes for one emulator."""
    control = Control(emulator)
    plain: list[tuple[str, str, Callable[[], dict[str, object]]]] = [
        ("GET", "health", control.health),
        ("GET", "apps", control.apps),
        ("GET", "consents", control.consents),
        ("GET", "requests", control.requests),
        ("DELETE", "requests", control.clear_requests),
        ("DELETE", "faults", control.clear_faults),
    ]
    with_body: list[tuple[str, Callable[[Any], dict[str, object]], type[Body]]] = [
        ("reset", control.reset, ResetBody),
        ("settings", control.settings, SettingsBody),
        ("clock", control.clock, ClockBody),
        ("workspaces", control.workspace, WorkspaceBody),
        ("apps", control.add_app, AppBody),
        ("tokens", control.add_token, TokenBody),
        ("tokens/revoke", control.revoke_token, RevokeBody),
        ("connectors", control.register, ConnectorBody),
        ("connectors/status", control.connector_status, ConnectorStatusBody),
        ("connectors/remove", control.remove_connector, ConnectorNameBody),
        ("stripe", control.stripe, StripeBody),
        ("scope-rules", control.scope_rules, ScopeRulesBody),
        ("consents/decide", control.decide_consent, ConsentBody),
        ("logins/decide", control.decide_login, LoginBody),
        ("oauth-clients", control.oauth_client, OAuthClientBody),
        ("faults", control.faults, FaultBody),
    ]
    return [
        *(route(method, f"/_emulator/{name}", _without_body(run), "") for method, name, run in plain),
        *(route("POST", f"/_emulator/{name}", _with_body(run, model), "") for name, run, model in with_body),
    ]


def _without_body(run: Callable[[], Mapping[str, object]]) -> Callable[[Call], Answer]:
    return lambda call: success_json(run())


def _with_body(run: Callable[[Any], Mapping[str, object]], model: type[Body]) -> Callable[[Call], Answer]:
    def handler(call: Call) -> Answer:
        if call.request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Problem(415, {"detail": "Content-Type must be application/json"})
        try:
            return success_json(run(model.model_validate_json(call.request.body or b"{}")))
        except ValidationError as error:
            raise Problem(422, {"detail": problem_in_words(error)}) from None
        except KeyError as error:
            raise Problem(404, {"detail": str(error.args[0])}) from None
        except ValueError as error:
            raise Problem(422, {"detail": str(error)}) from None

    return handler

"""The emulated world: who exists, which apps they have, what is connected. In memory, guarded by one lock."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from connectors.core.base44.emulator.catalog import Integration, default_integrations
from connectors.core.base44.emulator.oauth_state import OAuthData

Clock = Callable[[], float]

ACCESS_LIFETIME = 3600
DEVICE_LIFETIME = 900
DEVICE_INTERVAL = 1
PLAN_MULTIPLIERS = {"free": 1, "starter": 1, "builder": 2, "pro": 3, "business": 5, "elite": 5, "enterprise": 10}
"""How many times the base rate limits a plan gets (Base44's public documentation)."""


@dataclass(slots=True)
class User:
    """A person who can sign in to Base44 and whose account can give consent."""

    email: str
    name: str


@dataclass(slots=True)
class Workspace:
    """A Base44 workspace; `members` are e-mail addresses, the first one owns it."""

    id: str
    name: str
    tier: str = "enterprise"
    members: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Credential:
    """What a token stands for.

    `kind` is pat (personal access token), login (device login), key (workspace key, `b44k_`) or service (the SDK's).
    `workspace` bounds pat and key, `app` bounds service. `expires_at` is in seconds since 1970, None for never.
    """

    kind: str
    email: str = ""
    workspace: str = ""
    app: str = ""
    read_only: bool = False
    expires_at: float | None = None


@dataclass(slots=True)
class DeviceLogin:
    """A sign-in under way; `email` is who approved it, "" while nobody has."""

    user_code: str
    expires_at: float
    email: str = ""
    denied: bool = False


@dataclass(slots=True)
class Connection:
    """What Base44 holds for one integration type of an app. `account` is the e-mail that authorised it."""

    type: str
    scopes: list[str]
    status: str = "active"
    account: str = ""
    config: dict[str, str] = field(default_factory=dict)
    connection_id: str = ""
    expires_at: float | None = None
    """When the provider stops accepting it; the next `list` then shows it as expired."""
    hidden: bool = False
    """Authorised through a workspace's own OAuth client: `list` leaves it out."""


@dataclass(slots=True)
class Link:
    """One consent link. `secret` is the last part of its address; `status` PENDING, ACTIVE or FAILED."""

    connection_id: str
    secret: str
    app: str
    type: str
    scopes: list[str]
    config: dict[str, str]
    started_by: str
    status: str = "PENDING"


@dataclass(slots=True)
class Stripe:
    """Stripe of one app: `mode` is "", sandbox or live; `claim` the last part of the claim page's address."""

    mode: str = ""
    claim: str = ""


@dataclass(slots=True)
class App:
    """One Base44 app."""

    id: str
    name: str
    workspace: str
    description: str = ""
    managed_source: bool = False
    updated_at: float = 0.0
    connections: dict[str, Connection] = field(default_factory=dict)
    stripe: Stripe = field(default_factory=Stripe)
    secrets: dict[str, str] = field(default_factory=dict)
    deployed: dict[str, list[str]] = field(default_factory=dict)
    """What `PUT deployment/connectors` declared last."""


@dataclass(slots=True)
class WorldData:
    """Everything that is kept between starts."""

    version: int = 1
    users: dict[str, User] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    device_logins: dict[str, DeviceLogin] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    oauth: OAuthData = field(default_factory=OAuthData)
    revision: int = 0


class World:
    """The world and its lock. Every method that changes something takes the lock and counts `data.revision` up."""

    def __init__(self, data: WorldData | None = None, *, clock: Clock = time.time) -> None:
        self.data = data or WorldData()
        self.lock = threading.RLock()
        self.clock = clock
        self.integrations: dict[str, Integration] = default_integrations()
        self.metered: set[str] = set()
        """Types whose token the SDK may not read (403 `metered_connector_requires_proxy`)."""
        self.pages_apps = False
        """Whether `GET /api/apps` heeds `skip`. Base44 is not known to; the CLI sees 50 apps at most."""

    def changed(self) -> None:
        """Note that something is worth saving. Call it with the lock held."""
        self.data.revision += 1

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.data = WorldData(revision=self.data.revision + 1)
            self.integrations = default_integrations()
            self.metered = set()
            self.pages_apps = False

    # people and workspaces

    def add_user(self, email: str, name: str = "") -> User:
        """Add a person, or give the one that is there."""
        with self.lock:
            user = self.data.users.setdefault(email, User(email, name or email.split("@")[0].title()))
            self.changed()
            return user

    def add_workspace(
        self, workspace_id: str, name: str = "", *, tier: str = "enterprise", members: Iterable[str] = ()
    ) -> Workspace:
        """Add a workspace and its members; one that is there already gains the members."""
        with self.lock:
            workspace = self.data.workspaces.setdefault(workspace_id, Workspace(workspace_id, name or workspace_id))
            workspace.tier = tier
            for email in members:
                self.add_user(email)
                if email not in workspace.members:
                    workspace.members.append(email)
            self.changed()
            return workspace

    def leave(self, email: str, workspace_id: str) -> None:
        """A person leaves a workspace; their tokens for it stop working at once."""
        with self.lock:
            members = self.data.workspaces[workspace_id].members
            if email in members:
                members.remove(email)
            self.changed()

    def multiplier(self, workspace_id: str) -> int:
        """How many times the base rate limits this workspace's plan allows."""
        workspace = self.data.workspaces.get(workspace_id)
        return PLAN_MULTIPLIERS.get(workspace.tier, 1) if workspace else 1

    # tokens

    def add_credential(self, credential: Credential, token: str = "") -> str:
        """Make a token for a credential (or register the given one) and return it."""
        with self.lock:
            token = token or new_token(credential.kind)
            self.data.credentials[token] = credential
            self.changed()
            return token

    def credential(self, token: str) -> Credential | None:
        """The credential behind a token; None when it is unknown, expired, or its owner has left the workspace."""
        with self.lock:
            found = self.data.credentials.get(token)
            if found is None or (found.expires_at is not None and found.expires_at <= self.clock()):
                return None
            if found.kind == "pat":
                workspace = self.data.workspaces.get(found.workspace)
                if workspace is None or found.email not in workspace.members:
                    return None
            return found

    def revoke(self, token: str) -> None:
        """Make a token (access or refresh) unknown."""
        with self.lock:
            self.data.credentials.pop(token, None)
            self.data.refresh_tokens.pop(token, None)
            self.changed()

    def open_session(self, email: str) -> tuple[str, str]:
        """A new access token (a JWT in form, as the CLI decodes it) and its refresh token."""
        with self.lock:
            expires_at = self.clock() + ACCESS_LIFETIME
            access = self.add_credential(
                Credential("login", email, expires_at=expires_at), jwt_shaped({"sub": email, "exp": int(expires_at)})
            )
            refresh = new_token("refresh")
            self.data.refresh_tokens[refresh] = email
            return access, refresh

    def rotate(self, refresh_token: str) -> tuple[str, str] | None:
        """A new pair for a refresh token, which is spent by it; None when it is unknown or was spent before."""
        with self.lock:
            email = self.data.refresh_tokens.pop(refresh_token, None)
            return None if email is None else self.open_session(email)

    # apps

    def add_app(self, app_id: str, name: str = "", *, workspace: str, description: str = "") -> App:
        """Add an app to a workspace, or give the one that is there."""
        with self.lock:
            app = self.data.apps.get(app_id)
            if app is None:
                app = App(app_id, name or app_id, workspace, description, updated_at=self.clock())
                self.data.apps[app_id] = app
            self.changed()
            return app

    def apps_of(self, workspace_ids: Iterable[str]) -> list[App]:
        """The apps of these workspaces, the most recently updated first."""
        wanted = set(workspace_ids)
        with self.lock:
            found = [app for app in self.data.apps.values() if app.workspace in wanted]
        return sorted(found, key=lambda app: -app.updated_at)

    def workspaces_of(self, email: str) -> list[Workspace]:
        """The workspaces a person is a member of."""
        with self.lock:
            return [workspace for workspace in self.data.workspaces.values() if email in workspace.members]


def new_token(kind: str) -> str:
    """A random token. Workspace keys start with `b44k_`, as Base44's do; the others say that they are emulated."""
    prefix = "b44k_" if kind == "key" else f"emulated-{kind}-"
    return prefix + secrets.token_urlsafe(24)


def jwt_shaped(claims: dict[str, object]) -> str:
    """Three base64url parts that decode like a JWT; the signature is random, for nobody checks it."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {**claims, "jti": uuid.uuid4().hex})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, secrets.token_urlsafe(32)])

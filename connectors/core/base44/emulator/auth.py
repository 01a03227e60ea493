"""Who is calling, and what they may reach."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.core.base44.emulator.state import App, Credential, World
from connectors.core.base44.emulator.wire import Request, refusal


@dataclass(frozen=True, slots=True)
class Caller:
    """The credential of a request, and the workspaces it reaches."""

    credential: Credential
    workspaces: tuple[str, ...]

    @property
    def email(self) -> str:
        """The person behind the credential; "" for keys and services."""
        return self.credential.email


def authenticate(world: World, request: Request, accepted: str) -> Caller:
    """The caller of a request, whose credential must be of one of the `accepted` kinds (words with blanks between).

    Raises 401 without a credential or for one that is unknown, expired or withdrawn; 403 for a kind that this
    endpoint refuses, such as a workspace key on the connector endpoints.
    """
    token = request.headers.get("api_key", "") or _bearer(request.headers.get("authorization", ""))
    credential = world.credential(token) if token else None
    if credential is None:
        raise refusal(401, "Invalid or expired token" if token else "Authentication required")
    if credential.kind not in accepted.split():
        raise refusal(403, "Forbidden")
    return Caller(credential, _reach(world, credential))


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _reach(world: World, credential: Credential) -> tuple[str, ...]:
    if credential.kind == "login":
        return tuple(workspace.id for workspace in world.workspaces_of(credential.email))
    if credential.kind == "service":
        app = world.data.apps.get(credential.app)
        return (app.workspace,) if app else ()
    return (credential.workspace,)


def reachable_app(world: World, caller: Caller, app_id: str) -> App:
    """The app; raises 404 when there is none and 403 when the caller's reach ends before it."""
    app = world.data.apps.get(app_id)
    if app is None:
        raise refusal(404, "App not found")
    if app.workspace not in caller.workspaces or caller.credential.app not in ("", app.id):
        raise refusal(403, "You do not have access to this app")
    return app

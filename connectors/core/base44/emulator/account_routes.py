"""Endpoints of sign-in, people, apps and workspaces."""

from __future__ import annotations

import secrets

from connectors.core.base44 import contract
from connectors.core.base44.emulator.routes import PERSON, PERSON_OR_KEY, Call, Route, route
from connectors.core.base44.emulator.state import (
    ACCESS_LIFETIME,
    DEVICE_INTERVAL,
    DEVICE_LIFETIME,
    DeviceLogin,
    World,
    new_token,
)
from connectors.core.base44.emulator.wire import Answer, Problem, success

APPS_AT_MOST = 50
"""`GET /api/apps` never pages."""

_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def device_code(call: Call) -> Answer:
    """Start a device login. The person opens the page and types the code."""
    asked = call.request.model(contract.DeviceCodeRequest)
    if asked.client_id != contract.CLIENT_ID:
        raise Problem(401, {"error": "invalid_client"})
    code, letters = new_token("device"), "".join(secrets.choice(_CODE_LETTERS) for _ in range(8))
    user_code = f"{letters[:4]}-{letters[4:]}"
    with call.world.lock:
        call.world.data.device_logins[code] = DeviceLogin(user_code, call.world.clock() + DEVICE_LIFETIME)
        call.world.changed()
    answer = {
        "device_code": code,
        "user_code": user_code,
        "verification_uri": call.request.url("device"),
        "expires_in": DEVICE_LIFETIME,
        "interval": DEVICE_INTERVAL,
    }
    return success(contract.DeviceCode.model_validate(answer))


def token(call: Call) -> Answer:
    """Exchange an approved device code or a refresh token; refresh tokens work once."""
    form = call.request.form()
    if form.get("client_id") != contract.CLIENT_ID:
        raise Problem(401, {"error": "invalid_client"})
    grant = form.get("grant_type")
    if grant == contract.DEVICE_GRANT:
        pair = _redeem(call.world, form.get("device_code", ""))
    elif grant == contract.REFRESH_GRANT:
        pair = _refresh(call.world, form.get("refresh_token", ""))
    else:
        raise Problem(400, {"error": "unsupported_grant_type"})
    answer = {
        "access_token": pair[0],
        "token_type": "Bearer",
        "expires_in": ACCESS_LIFETIME,
        "refresh_token": pair[1],
        "scope": contract.DEVICE_SCOPE,
    }
    return success(contract.TokenAnswer.model_validate(answer))


def _refresh(world: World, refresh_token: str) -> tuple[str, str]:
    pair = world.rotate(refresh_token)
    if pair is None:
        raise Problem(400, {"error": "invalid_grant", "error_description": "The refresh token is not valid"})
    return pair


def _redeem(world: World, code: str) -> tuple[str, str]:
    with world.lock:
        login = world.data.device_logins.get(code)
        if login is None or login.expires_at <= world.clock():
            raise Problem(400, {"error": "expired_token", "error_description": "The device code has expired"})
        if login.denied:
            raise Problem(400, {"error": "access_denied", "error_description": "The sign-in was refused"})
        if not login.email:
            raise Problem(400, {"error": "authorization_pending"})
        del world.data.device_logins[code]
        return world.open_session(login.email)


def decide_login(world: World, user_code: str, email: str) -> bool:
    """A person approves the sign-in with this code as `email`, or refuses it (""). False for an unknown code."""
    wanted = user_code.strip().upper().replace(" ", "-")
    with world.lock:
        for login in world.data.device_logins.values():
            fresh = login.expires_at > world.clock() and not login.email and not login.denied
            if fresh and secrets.compare_digest(login.user_code.encode(), wanted.encode()):
                login.email, login.denied = email, not email
                world.changed()
                return True
    return False


def userinfo(call: Call) -> Answer:
    """The person behind the token."""
    email = call.caller.email
    user = call.world.data.users.get(email)
    return success(contract.UserInfo(email=email, name=user.name if user else email))


def list_apps(call: Call) -> Answer:
    """The apps within reach, most recently updated first, 50 at most."""
    rows = [
        contract.AppSummary(
            id=app.id,
            name=app.name,
            user_description=app.description or None,
            is_managed_source_code=app.managed_source,
        )
        for app in call.world.apps_of(call.caller.workspaces)
    ]
    first = _number(call, "skip", 0) if call.world.pages_apps else 0
    return success(rows[first : first + min(_number(call, "limit", APPS_AT_MOST), APPS_AT_MOST)])


def _number(call: Call, name: str, default: int) -> int:
    value = call.request.query.get(name, "")
    return int(value) if value.isdecimal() else default


def one_app(call: Call) -> Answer:
    """One app."""
    return success(contract.App(id=call.app.id, name=call.app.name, organization_id=call.app.workspace))


def list_workspaces(call: Call) -> Answer:
    """The workspaces within reach."""
    rows = []
    for workspace_id in call.caller.workspaces:
        workspace = call.world.data.workspaces[workspace_id]
        owner = workspace.members[:1] == [call.caller.email]
        rows.append(
            contract.Workspace(
                id=workspace.id,
                name=workspace.name,
                user_role="owner" if owner else "editor",
                subscription_tier=workspace.tier,
                is_enterprise=workspace.tier == "enterprise",
            )
        )
    return success(contract.Workspaces(workspaces=tuple(rows)))


ACCOUNT_ROUTES: list[Route] = [
    route("POST", "/oauth/device/code", device_code, ""),
    route("POST", "/oauth/token", token, ""),
    route("GET", "/oauth/userinfo", userinfo, PERSON),
    route("GET", "/api/apps", list_apps, PERSON_OR_KEY),
    route("GET", "/api/apps/{app_id}", one_app, PERSON_OR_KEY),
    route("GET", "/api/workspace/workspaces", list_workspaces, PERSON_OR_KEY),
]

"""Who may do what at the emulated Base44, and how one signs in."""

from __future__ import annotations

import base64
import json

import pytest

from connectors.core.base44 import contract
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.account_routes import decide_login
from connectors.core.base44.emulator.seed import COLLEAGUE, OWNER, WORKSPACE
from connectors.core.base44.emulator.state import ACCESS_LIFETIME
from tests.servers.http import Reply, ask

AUTH = "/api/apps/shop/external-auth"
PERSON_ONLY = [
    ("GET", f"{AUTH}/list"),
    ("GET", f"{AUTH}/status?integration_type=a&connection_id=b"),
    ("GET", f"{AUTH}/available-integrations"),
    ("GET", "/api/external-auth/available-integrations"),
    ("PUT", f"{AUTH}/integrations/gmail"),
    ("POST", f"{AUTH}/initiate"),
    ("DELETE", f"{AUTH}/integrations/gmail/remove"),
    ("DELETE", f"{AUTH}/integrations/gmail"),
    ("GET", "/api/apps/shop/payments/stripe/status"),
    ("POST", "/api/apps/shop/payments/stripe/install"),
    ("DELETE", "/api/apps/shop/payments/stripe"),
]
WRITES = [(method, path) for method, path in PERSON_ONLY if method != "GET"]


def status(emulator: Emulator, path: str, token: str) -> int:
    return ask(emulator.url, "GET", path, token=token).status


def token_call(emulator: Emulator, **form: str) -> Reply:
    return ask(emulator.url, "POST", "/oauth/token", form={"client_id": contract.CLIENT_ID, **form})


def start_login(emulator: Emulator) -> contract.DeviceCode:
    body = {"client_id": contract.CLIENT_ID, "scope": contract.DEVICE_SCOPE}
    return contract.DeviceCode.model_validate(ask(emulator.url, "POST", "/oauth/device/code", body).json)


def redeem(emulator: Emulator, code: contract.DeviceCode) -> Reply:
    return token_call(emulator, grant_type=contract.DEVICE_GRANT, device_code=code.device_code.get_secret_value())


@pytest.mark.parametrize(("method", "path"), PERSON_ONLY)
def test_nothing_is_shown_without_a_credential(emulator: Emulator, method: str, path: str) -> None:
    assert ask(emulator.url, method, path).status == 401


@pytest.mark.parametrize(("method", "path"), PERSON_ONLY)
def test_workspace_keys_are_refused_where_a_person_is_needed(emulator: Emulator, method: str, path: str) -> None:
    key = emulator.add_token("key")
    reply = ask(emulator.url, method, path, headers={"api_key": key})
    assert (reply.status, reply.json["message"]) == (403, "Forbidden")


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_read_only_token_is_refused_on_writes(emulator: Emulator, method: str, path: str) -> None:
    assert ask(emulator.url, method, path, token=emulator.add_token(read_only=True)).status == 403


def test_a_read_only_token_reads(emulator: Emulator) -> None:
    assert status(emulator, f"{AUTH}/list", emulator.add_token(read_only=True)) == 200


def test_a_workspace_key_lists_apps(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", "/api/apps", headers={"api_key": emulator.add_token("key")})
    assert [row["id"] for row in reply.json] == ["shop"]


def test_an_app_of_another_workspace_is_out_of_reach(emulator: Emulator) -> None:
    emulator.add_app("other", workspace="ws-other")
    assert status(emulator, "/api/apps/other/external-auth/list", emulator.pat) == 403


def test_an_unknown_app_is_not_found(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", "/api/apps/nope/external-auth/list", token=emulator.pat)
    assert (reply.status, reply.json) == (404, {"error_type": "HTTPException", "message": "App not found"})


def test_a_token_dies_when_its_owner_leaves_the_workspace(emulator: Emulator) -> None:
    emulator.state.leave(OWNER, WORKSPACE)
    assert status(emulator, f"{AUTH}/list", emulator.pat) == 401


def test_a_withdrawn_token_is_unknown(emulator: Emulator) -> None:
    emulator.state.revoke(emulator.pat)
    assert status(emulator, f"{AUTH}/list", emulator.pat) == 401


def test_a_service_token_reads_nothing_but_connection_tokens(emulator: Emulator) -> None:
    assert status(emulator, f"{AUTH}/list", emulator.add_token("service", app="shop")) == 403


def test_a_token_can_be_kept_from_one_run_to_the_next() -> None:
    with Emulator(token="kept-by-the-test") as emulator:
        assert status(emulator, "/oauth/userinfo", "kept-by-the-test") == 200


# apps, workspaces, people


def test_apps_come_most_recent_first_and_fifty_at_most(emulator: Emulator) -> None:
    for number in range(60):
        emulator.advance(1)
        emulator.add_app(f"app-{number}")
    rows = ask(emulator.url, "GET", "/api/apps?limit=100", token=emulator.pat).json
    assert (len(rows), rows[0]["id"]) == (50, "app-59")


def test_an_app_names_its_workspace(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", "/api/apps/shop", token=emulator.pat)
    assert reply.json == {"id": "shop", "name": "Shop", "organization_id": WORKSPACE}


def test_a_login_reaches_every_workspace_of_its_person(emulator: Emulator) -> None:
    emulator.state.add_workspace("ws-two", "Two", members=[OWNER], tier="pro")
    access, _ = emulator.state.open_session(OWNER)
    reply = ask(emulator.url, "GET", "/api/workspace/workspaces", token=access)
    found = contract.Workspaces.model_validate(reply.json).workspaces
    assert [(row.id, row.user_role, row.is_enterprise) for row in found] == [
        (WORKSPACE, "owner", True),
        ("ws-two", "owner", False),
    ]


def test_userinfo_names_the_person_behind_a_token(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", "/oauth/userinfo", token=emulator.pat)
    assert reply.json == {"email": OWNER, "name": "Ada Admin"}


# device login


def test_a_device_login_is_pending_until_a_person_approves(emulator: Emulator) -> None:
    code = start_login(emulator)
    before = redeem(emulator, code)
    assert decide_login(emulator.state, code.user_code.lower(), COLLEAGUE)
    after = contract.TokenAnswer.model_validate(redeem(emulator, code).json)
    assert (before.status, before.json["error"]) == (400, "authorization_pending")
    reply = ask(emulator.url, "GET", "/oauth/userinfo", token=after.access_token.get_secret_value())
    assert reply.json["email"] == COLLEAGUE


def test_a_refused_device_login_is_denied(emulator: Emulator) -> None:
    code = start_login(emulator)
    decide_login(emulator.state, code.user_code, "")
    assert redeem(emulator, code).json["error"] == "access_denied"


def test_a_device_code_works_once(emulator: Emulator) -> None:
    code = start_login(emulator)
    decide_login(emulator.state, code.user_code, OWNER)
    assert [redeem(emulator, code).status for _ in range(2)] == [200, 400]


def test_a_device_code_runs_out(emulator: Emulator) -> None:
    code = start_login(emulator)
    emulator.advance(code.expires_in + 1)
    assert not decide_login(emulator.state, code.user_code, OWNER)
    assert redeem(emulator, code).json["error"] == "expired_token"


def test_an_access_token_runs_out_and_decodes_like_a_jwt(emulator: Emulator) -> None:
    access, _ = emulator.state.open_session(OWNER)
    payload = access.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["sub"] == OWNER
    assert abs(claims["exp"] - emulator.now() - ACCESS_LIFETIME) < 60
    emulator.advance(ACCESS_LIFETIME + 1)
    assert status(emulator, "/oauth/userinfo", access) == 401


def test_a_refresh_token_works_once_and_brings_a_new_one(emulator: Emulator) -> None:
    _, refresh = emulator.state.open_session(OWNER)
    first = token_call(emulator, grant_type="refresh_token", refresh_token=refresh)
    second = token_call(emulator, grant_type="refresh_token", refresh_token=refresh)
    assert first.json["refresh_token"] != refresh
    assert (second.status, second.json["error"]) == (400, "invalid_grant")


def test_an_unknown_grant_and_an_unknown_client_are_refused(emulator: Emulator) -> None:
    assert token_call(emulator, grant_type="password").json["error"] == "unsupported_grant_type"
    assert token_call(emulator, client_id="somebody").status == 401


# Stripe and secrets


def test_stripe_is_installed_once_claimed_and_removed(emulator: Emulator) -> None:
    def stripe(method: str, path: str = "") -> Reply:
        return ask(emulator.url, method, f"/api/apps/shop/payments/stripe{path}", token=emulator.pat)

    assert stripe("GET", "/status").json == {"stripe_mode": None, "sandbox_claim_url": None}
    claim = stripe("POST", "/install").json["claim_url"]
    assert stripe("POST", "/install").json == {"already_installed": True, "claim_url": claim}
    assert stripe("GET", "/status").json == {"stripe_mode": "sandbox", "sandbox_claim_url": claim}
    assert stripe("DELETE").json == {"success": True}
    assert emulator.app("shop").stripe.mode == ""


def test_secrets_are_listed_masked(emulator: Emulator) -> None:
    path = "/api/apps/shop/secrets"
    ask(emulator.url, "POST", path, {"API_NAME": "open sesame"}, token=emulator.pat)
    assert ask(emulator.url, "GET", path, token=emulator.pat).json == {"API_NAME": "********"}
    assert ask(emulator.url, "DELETE", f"{path}?secret_name=API_NAME", token=emulator.pat).status == 200
    assert ask(emulator.url, "DELETE", f"{path}?secret_name=API_NAME", token=emulator.pat).status == 404

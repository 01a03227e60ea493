"""The control API: what another process can arrange at the emulator."""

from __future__ import annotations

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.seed import OWNER
from tests.servers.http import Reply, ask

AUTH = "/api/apps/shop/external-auth"


def control(emulator: Emulator, path: str, /, **body: object) -> Reply:
    return ask(emulator.url, "POST", f"/_emulator/{path}", body)


def put_slackbot(emulator: Emulator) -> Reply:
    return ask(emulator.url, "PUT", f"{AUTH}/integrations/slackbot", {"scopes": ["chat:write"]}, token=emulator.pat)


def listing(emulator: Emulator) -> Reply:
    return ask(emulator.url, "GET", f"{AUTH}/list", token=emulator.pat)


def test_apps_connectors_and_stripe_are_added_and_shown(emulator: Emulator) -> None:
    control(emulator, "apps", id="crm", name="CRM")
    control(emulator, "connectors", app="crm", type="notion", scopes=["a"], status="expired", account="x@y.example")
    control(emulator, "stripe", app="crm", mode="live")
    apps = {app["id"]: app for app in ask(emulator.url, "GET", "/_emulator/apps").json["apps"]}
    assert apps["crm"]["connections"]["notion"]["status"] == "expired"
    assert apps["crm"]["stripe_mode"] == "live"


def test_connectors_are_changed_and_removed(emulator: Emulator) -> None:
    emulator.register("shop", "notion")
    control(emulator, "connectors/status", app="shop", type="notion", status="disconnected")
    assert emulator.app("shop").connections["notion"].status == "disconnected"
    control(emulator, "connectors/remove", app="shop", type="notion")
    assert emulator.app("shop").connections == {}


def test_a_token_is_made_and_withdrawn(emulator: Emulator) -> None:
    token = control(emulator, "tokens", read_only=True).json["token"]
    assert ask(emulator.url, "GET", f"{AUTH}/list", token=token).status == 200
    control(emulator, "tokens/revoke", token=token)
    assert ask(emulator.url, "GET", f"{AUTH}/list", token=token).status == 401


def test_a_pending_consent_is_listed_without_its_secret_and_decided(emulator: Emulator) -> None:
    link = put_slackbot(emulator).json["redirect_url"]
    pending = ask(emulator.url, "GET", "/_emulator/consents")
    assert [row["type"] for row in pending.json["consents"]] == ["slackbot"]
    assert link.rsplit("/", 1)[1] not in pending.text
    decided = control(emulator, "consents/decide", app="shop", type="slackbot", approve=["chat:write"], account=OWNER)
    assert decided.json["status"] == "ACTIVE"
    assert emulator.app("shop").connections["slackbot"].scopes == ["chat:write"]


def test_deciding_a_consent_that_nobody_asked_for_is_not_found(emulator: Emulator) -> None:
    reply = control(emulator, "consents/decide", app="shop", type="slackbot")
    assert (reply.status, reply.json["detail"]) == (404, "shop has no pending consent for slackbot")


def test_a_device_login_is_decided(emulator: Emulator) -> None:
    body = {"client_id": "base44_cli", "scope": "apps:read"}
    code = ask(emulator.url, "POST", "/oauth/device/code", body).json["user_code"]
    assert control(emulator, "logins/decide", user_code=code).status == 200
    assert control(emulator, "logins/decide", user_code=code).status == 404


def test_a_fault_is_ordered_and_taken_back(emulator: Emulator) -> None:
    control(emulator, "faults", method="GET", path="/list$", status=503, times=None)
    assert listing(emulator).status == 503
    ask(emulator.url, "DELETE", "/_emulator/faults")
    assert listing(emulator).status == 200


def test_settings_are_changed_one_by_one(emulator: Emulator) -> None:
    control(emulator, "settings", rate_limits=True, rate_multiplier=0.1)
    shown = control(emulator, "settings", latency_ms=1).json
    assert shown == {"latency_ms": 1.0, "rate_limits": True, "rate_multiplier": 0.1, "rate_window": 60.0}


def test_the_clock_is_moved(emulator: Emulator) -> None:
    emulator.register("shop", "notion", expires_in=60)
    control(emulator, "clock", advance_seconds=61)
    assert listing(emulator).json["integrations"][0]["status"] == "expired"


def test_scope_rules_are_changed(emulator: Emulator) -> None:
    control(emulator, "scope-rules", type="slackbot", auto_added=["team:read"], unallowed=["chat:*"], metered=True)
    put_slackbot(emulator)
    emulator.consent("shop", "slackbot")
    assert emulator.app("shop").connections["slackbot"].scopes == ["team:read"]
    assert ask(emulator.url, "GET", f"{AUTH}/tokens/slackbot", token=emulator.pat).status == 403


def test_reset_starts_anew_and_keeps_the_token(emulator: Emulator) -> None:
    emulator.register("shop", "notion")
    emulator.fail("*", "", times=None)
    control(emulator, "reset", seed="demo")
    rows = ask(emulator.url, "GET", "/api/apps", token=emulator.pat).json
    assert ("shop" in {row["id"] for row in rows}, len(rows)) == (False, 8)


def test_a_reset_to_an_unknown_seed_changes_nothing(emulator: Emulator) -> None:
    assert control(emulator, "reset", seed="weeds").status == 422
    assert listing(emulator).status == 200


def test_requests_are_counted_by_endpoint_without_control_calls(emulator: Emulator) -> None:
    listing(emulator)
    put_slackbot(emulator)
    control(emulator, "settings")
    counters = ask(emulator.url, "GET", "/_emulator/requests").json["counters"]
    assert counters == {
        "GET /api/apps/{app_id}/external-auth/list": 1,
        "PUT /api/apps/{app_id}/external-auth/integrations/{type}": 1,
    }
    ask(emulator.url, "DELETE", "/_emulator/requests")
    assert emulator.requests == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("settings", {"latncy_ms": 5}, 422),
        ("faults", {"path": "/", "kind": "gremlin"}, 422),
        ("reset", {"seed": "weeds"}, 422),
        ("stripe", {"app": "nowhere", "mode": "live"}, 404),
        ("connectors", {"app": "shop"}, 422),
    ],
)
def test_a_mistaken_control_call_is_refused(
    emulator: Emulator, path: str, body: dict[str, object], status: int
) -> None:
    assert control(emulator, path, **body).status == status


def test_a_form_of_another_web_page_cannot_control_the_emulator(emulator: Emulator) -> None:
    reply = ask(emulator.url, "POST", "/_emulator/reset", form={"seed": "demo"})
    assert reply.status == 415
    assert "shop" in emulator.state.data.apps

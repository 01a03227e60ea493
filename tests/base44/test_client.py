"""What the client asks, and what it makes of Base44's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import urllib3

from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import PersonalAccessToken
from connectors.core.base44.http import make_pool
from connectors.core.errors import ApiError, CredentialError
from connectors.core.specs import RegisteredConnector
from tests.base44.scripted import Asked, Says, ScriptedServer, scripted

GMAIL = {"integration_type": "gmail", "status": "ACTIVE", "scopes": ["email"], "user_email": "ann@team.example"}
NEEDS_CONSENT = {
    "redirect_url": "https://base44.example/consent?state=one-use",
    "connection_id": "c1",
    "already_authorized": False,
    "error": None,
    "error_message": None,
    "other_user_email": None,
}
Serve = Callable[..., tuple[Base44Client, ScriptedServer]]


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    pool = make_pool()
    yield pool
    pool.clear()


@pytest.fixture
def serve(pool: urllib3.PoolManager) -> Iterator[Serve]:
    """A client, and the server that gives it these answers."""
    with ExitStack() as stack:

        def start(*script: Says) -> tuple[Base44Client, ScriptedServer]:
            server = stack.enter_context(scripted(*script))
            credential = PersonalAccessToken("pat-of-ann")
            return Base44Client(server.url, credential, pool=pool, sleep=lambda _: None), server

        yield start


def line(asked: Asked) -> str:
    return f"{asked.method} {asked.path}"


def test_list_gives_the_portals_own_nouns(serve: Serve) -> None:
    client, server = serve(Says({"integrations": [GMAIL, {**GMAIL, "user_email": None, "status": "expired"}]}))
    assert client.list_connectors("app1") == (
        RegisteredConnector("gmail", "active", ("email",), "ann@team.example"),
        RegisteredConnector("gmail", "expired", ("email",), ""),
    )
    assert [line(asked) for asked in server.asked] == ["GET /api/apps/app1/external-auth/list"]


def test_each_request_carries_token_agent_and_a_request_id_of_its_own(serve: Serve) -> None:
    client, server = serve(Says({"integrations": []}))
    client.list_connectors("app1")
    client.list_connectors("app1")
    first, second = (asked.headers for asked in server.asked)
    assert first["authorization"] == "Bearer pat-of-ann"
    assert first["user-agent"].startswith("connector-portal/")
    assert first["x-request-id"] != second["x-request-id"]


def test_calls_share_one_connection(serve: Serve) -> None:
    client, server = serve(Says({"integrations": []}))
    for _ in range(5):
        client.list_connectors("app1")
    assert len(server.connections) == 1


def test_a_connector_in_an_odd_row_is_not_taken_for_absent(serve: Serve) -> None:
    odd = {"integration_type": "slack", "status": None, "scopes": ["chat:write", 5], "user_email": 7}
    client, _ = serve(Says({"integrations": [odd, GMAIL, "?"]}), Says({"stripe_mode": None}))
    state = client.registered_state("app1")
    assert [(row.type, row.status) for row in state.connectors] == [("gmail", "active"), ("slack", "unreadable")]
    assert [text.split(":")[0] for text in state.odd_rows] == ["Row 1 of Base44's list", "Row 3 of Base44's list"]


@pytest.mark.parametrize(("mode", "registered"), [("sandbox", "sandbox"), ("live", "live"), (None, "")])
def test_registered_state_holds_the_mode_of_stripe(serve: Serve, mode: str | None, registered: str) -> None:
    client, _ = serve(Says({"integrations": []}), Says({"stripe_mode": mode}))
    assert client.registered_state("app1").stripe_mode == registered


def test_a_failing_stripe_status_leaves_the_mode_unknown(serve: Serve) -> None:
    client, _ = serve(Says({"integrations": [GMAIL]}), Says({"detail": "No payments"}, 403))
    state = client.registered_state("app1")
    assert (state.stripe_mode, len(state.connectors)) == (None, 1)


def test_a_credential_that_dies_before_stripe_status_is_not_hidden(serve: Serve) -> None:
    client, _ = serve(Says({"integrations": []}), Says({"message": "Expired"}, 401))
    with pytest.raises(CredentialError):
        client.registered_state("app1")


def test_set_scopes_sends_scopes_in_order_and_the_config(serve: Serve) -> None:
    client, server = serve(Says(NEEDS_CONSENT))
    answer = client.set_scopes("app1", "sharepoint", ["b", "a"], {"site": "team"})
    assert line(server.asked[0]) == "PUT /api/apps/app1/external-auth/integrations/sharepoint"
    assert json.loads(server.asked[0].body) == {"scopes": ["b", "a"], "connection_config": {"site": "team"}}
    assert answer.connection_id == "c1"


def test_an_empty_config_is_not_sent(serve: Serve) -> None:
    client, server = serve(Says(NEEDS_CONSENT))
    client.set_scopes("app1", "gmail", [], {})
    assert json.loads(server.asked[0].body) == {"scopes": []}


def test_the_consent_link_is_hidden_until_asked_for(serve: Serve) -> None:
    client, _ = serve(Says(NEEDS_CONSENT))
    answer = client.set_scopes("app1", "gmail", ["email"], None)
    assert "one-use" not in repr(answer)
    assert answer.redirect_url is not None
    assert answer.redirect_url.get_secret_value() == NEEDS_CONSENT["redirect_url"]


def test_different_user_is_an_answer_and_no_exception(serve: Serve) -> None:
    refused = {**NEEDS_CONSENT, "redirect_url": None, "error": "different_user", "other_user_email": "bo@team.example"}
    client, _ = serve(Says(refused))
    answer = client.set_scopes("app1", "gmail", ["email"], None)
    assert (answer.error, answer.other_user_email) == ("different_user", "bo@team.example")


def test_status_asks_for_the_connection_and_gives_upper_case(serve: Serve) -> None:
    client, server = serve(Says({"status": "active"}))
    assert client.connection_status("app1", "gmail", "c 1&x") == "ACTIVE"
    assert line(server.asked[0]) == (
        "GET /api/apps/app1/external-auth/status?integration_type=gmail&connection_id=c+1%26x"
    )


def test_remove_asks_for_the_removal_of_one_type(serve: Serve) -> None:
    client, server = serve(Says({"status": "removed", "integration_type": "gmail"}))
    client.remove_connector("app1", "gmail")
    assert line(server.asked[0]) == "DELETE /api/apps/app1/external-auth/integrations/gmail/remove"


@pytest.mark.parametrize(
    ("app_id", "path"),
    [
        (None, "/api/external-auth/available-integrations"),
        ("app1", "/api/apps/app1/external-auth/available-integrations"),
    ],
)
def test_available_integrations_are_the_accounts_or_one_apps(serve: Serve, app_id: str | None, path: str) -> None:
    gmail = {"integration_type": "gmail", "display_name": "Gmail", "description": "", "connection_config_fields": []}
    client, server = serve(Says({"integrations": [gmail, {"integration_type": 1}]}))
    assert [row.integration_type for row in client.available_integrations(app_id)] == ["gmail"]
    assert server.asked[0].path == path


def test_auto_added_scopes_are_asked_for_without_the_credential(serve: Serve) -> None:
    client, server = serve(Says({"gmail": ["openid", "email"], "odd": None}))
    assert client.auto_added_scopes() == {"gmail": ("openid", "email")}
    assert "authorization" not in server.asked[0].headers


def test_stripe_install_gives_a_hidden_claim_link(serve: Serve) -> None:
    client, server = serve(Says({"already_installed": False, "claim_url": "https://stripe.example/claim/one-use"}))
    answer = client.stripe_install("app1")
    assert "one-use" not in repr(answer)
    assert (line(server.asked[0]), server.asked[0].body) == ("POST /api/apps/app1/payments/stripe/install", b"")


def test_stripe_removal_without_success_is_an_error(serve: Serve) -> None:
    client, _ = serve(Says({"success": False}))
    with pytest.raises(ApiError, match="without success"):
        client.stripe_remove("app1")


def page(start: int, count: int) -> Says:
    return Says([{"id": f"app{number}", "name": None} for number in range(start, start + count)])


def test_apps_beyond_the_fiftieth_are_listed(serve: Serve) -> None:
    client, server = serve(page(0, 50), page(50, 50), page(100, 3))
    assert len(client.list_apps()) == 103
    assert [asked.path.partition("limit=")[2] for asked in server.asked] == ["50", "50&skip=50", "50&skip=100"]


@pytest.mark.parametrize("second", [page(0, 50), Says({"detail": "unknown parameter"}, 422)])
def test_a_server_that_does_not_page_still_gives_fifty_apps(serve: Serve, second: Says) -> None:
    client, server = serve(page(0, 50), second)
    assert len(client.list_apps()) == 50
    assert len(server.asked) == 2


def test_app_workspaces_and_person_are_read(serve: Serve) -> None:
    client, _ = serve(
        Says({"id": "app1", "name": "Shop", "organization_id": "w1"}),
        Says({"workspaces": [{"id": "w1", "name": "Ann's", "subscription_tier": "pro"}]}),
        Says({"email": "ann@team.example", "name": "Ann"}),
    )
    assert client.app("app1").organization_id == "w1"
    assert client.workspaces()[0].subscription_tier == "pro"
    assert client.user_info().email == "ann@team.example"


@pytest.mark.parametrize("app_id", ["", "..", "a/b", "a?b", "a\r\nb", "ä"])
def test_an_app_id_cannot_lead_a_call_elsewhere(serve: Serve, app_id: str) -> None:
    client, server = serve(Says({}))
    with pytest.raises(ApiError, match="app id"):
        client.list_connectors(app_id)
    assert server.asked == []


def test_a_type_cannot_lead_a_removal_elsewhere(serve: Serve) -> None:
    client, server = serve(Says({}))
    with pytest.raises(ApiError, match="integration type"):
        client.remove_connector("app1", "../gmail")
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    ["", "app.base44.com", "ftp://a.example", "https://", "https://u:p@a.example", "https://a.example?x", "http://["],
)
def test_an_unusable_api_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ApiError, match="API address"):
        Base44Client(url, None)


def test_app_calls_drop_the_path_of_the_address_and_sign_in_keeps_it(pool: urllib3.PoolManager) -> None:
    with scripted(Says({"integrations": []}), Says({"email": "ann@team.example"})) as server:
        client = Base44Client(f"{server.url}/login/", PersonalAccessToken("pat-of-ann"), pool=pool)
        client.list_connectors("app1")
        client.user_info()
    assert [asked.path for asked in server.asked] == ["/api/apps/app1/external-auth/list", "/login/oauth/userinfo"]

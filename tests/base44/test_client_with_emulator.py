"""The whole client against the emulator: every call once, and what a flow makes of a sequence of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.core.base44.budget import LocalBudget
from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import DeviceLogin, DeviceTokens, PersonalAccessToken
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.account_routes import decide_login
from connectors.core.base44.emulator.seed import OWNER
from connectors.core.base44.http import Transport, make_pool
from connectors.core.base44.sign_in import device_login_poll, device_login_start, refresh_device_token
from connectors.core.errors import ApiError, CredentialError
from connectors.core.specs import RegisteredConnector


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        emulator.add_app("app1", "Shop")
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Base44Client]:
    pool = make_pool()
    yield Base44Client(emulator.url, PersonalAccessToken(emulator.pat), pool=pool, sleep=lambda _: None)
    pool.clear()


def test_a_connector_is_set_consented_to_seen_and_removed(emulator: Emulator, client: Base44Client) -> None:
    answer = client.set_scopes("app1", "slackbot", ["chat:write"])
    assert answer.redirect_url is not None
    assert answer.connection_id is not None
    assert client.connection_status("app1", "slackbot", answer.connection_id) == "PENDING"
    emulator.consent("app1", "slackbot")
    assert client.connection_status("app1", "slackbot", answer.connection_id) == "ACTIVE"
    (listed,) = client.list_connectors("app1")
    assert (listed.type, listed.status, listed.account) == ("slackbot", "active", OWNER)
    assert "chat:write" in listed.scopes
    client.remove_connector("app1", "slackbot")
    assert client.list_connectors("app1") == ()


def test_a_denied_consent_reads_failed(emulator: Emulator, client: Base44Client) -> None:
    answer = client.set_scopes("app1", "slackbot", ["chat:write"])
    emulator.consent("app1", "slackbot", approve=False)
    assert client.connection_status("app1", "slackbot", answer.connection_id or "") == "FAILED"


def test_the_same_scopes_again_need_no_consent(emulator: Emulator, client: Base44Client) -> None:
    client.set_scopes("app1", "slackbot", ["chat:write"])
    emulator.consent("app1", "slackbot")
    assert client.set_scopes("app1", "slackbot", ["chat:write"]).already_authorized


def test_a_colleagues_connection_is_reported_as_different_user(emulator: Emulator, client: Base44Client) -> None:
    client.set_scopes("app1", "slackbot", ["chat:write"])
    emulator.consent("app1", "slackbot")
    emulator.app("app1").connections["slackbot"].account = "bo@team.example"
    answer = client.set_scopes("app1", "slackbot", ["chat:write"])
    assert (answer.error, answer.other_user_email) == ("different_user", "bo@team.example")


def test_stripe_is_installed_seen_and_removed(client: Base44Client) -> None:
    assert client.registered_state("app1").stripe_mode == ""
    assert not client.stripe_install("app1").already_installed
    assert client.registered_state("app1").stripe_mode == "sandbox"
    client.stripe_remove("app1")
    assert client.registered_state("app1").stripe_mode == ""


def test_the_catalogue_lists_types_and_never_stripe(client: Base44Client) -> None:
    types = {row.integration_type for row in client.available_integrations()}
    assert "slackbot" in types
    assert "stripe" not in types
    assert types == {row.integration_type for row in client.available_integrations("app1")}


def test_auto_added_scopes_come_by_type(client: Base44Client) -> None:
    assert "email" in " ".join(client.auto_added_scopes()["gmail"])


def test_apps_workspace_and_person_are_found(emulator: Emulator, client: Base44Client) -> None:
    assert [app.name for app in client.list_apps()] == ["Shop"]
    assert client.app("app1").organization_id in {workspace.id for workspace in client.workspaces()}
    assert client.user_info().email == OWNER


def test_an_unknown_app_is_a_final_404(client: Base44Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.list_connectors("nowhere")
    assert (caught.value.status, caught.value.permanent) == (404, True)


def test_an_unknown_token_is_a_credential_error(emulator: Emulator) -> None:
    with pytest.raises(CredentialError):
        Base44Client(emulator.url, PersonalAccessToken("nobodys-token")).list_connectors("app1")


def test_a_read_only_token_is_refused_when_it_writes(emulator: Emulator) -> None:
    client = Base44Client(emulator.url, PersonalAccessToken(emulator.add_token(read_only=True)))
    assert client.list_connectors("app1") == ()
    with pytest.raises(ApiError) as caught:
        client.set_scopes("app1", "slackbot", ["chat:write"])
    assert (caught.value.status, caught.value.permanent) == (403, True)


def test_a_lost_answer_leaves_one_consent_link_and_not_two(emulator: Emulator, client: Base44Client) -> None:
    emulator.fail("PUT", "/integrations/slackbot", "lost")
    with pytest.raises(ApiError) as caught:
        client.set_scopes("app1", "slackbot", ["chat:write"])
    assert caught.value.code == "answer_lost"
    assert emulator.count("PUT", "/integrations/slackbot") == 1


@pytest.mark.parametrize("kind", ["status", "close", "truncated", "lost"])
def test_a_list_survives_one_fault(emulator: Emulator, client: Base44Client, kind: str) -> None:
    emulator.register("app1", "slackbot", ["chat:write"])
    emulator.fail("GET", "/list$", kind)
    assert client.list_connectors("app1") == (RegisteredConnector("slackbot", "active", ("chat:write",), OWNER),)


def test_a_gateways_page_is_named(emulator: Emulator, client: Base44Client) -> None:
    emulator.fail("GET", "/list$", "html", status=502, times=None)
    with pytest.raises(ApiError, match="502 Bad Gateway"):
        client.list_connectors("app1")


def test_the_budget_keeps_a_long_run_below_base44s_limits(emulator: Emulator) -> None:
    emulator.limits.enabled, emulator.limits.multiplier = True, 1
    pauses: list[float] = []
    budget = LocalBudget(1, clock=emulator.now)

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        emulator.advance(seconds)

    client = Base44Client(emulator.url, PersonalAccessToken(emulator.pat), budget=budget, sleep=sleep)
    for _ in range(150):
        client.list_connectors("app1")
    assert emulator.count("GET", "/list") == 150
    assert {entry.status for entry in emulator.log.entries()} == {200}
    assert pauses


def test_many_threads_share_one_client(emulator: Emulator, client: Base44Client) -> None:
    emulator.register("app1", "slackbot", ["chat:write"])
    with ThreadPoolExecutor(8) as threads:
        states = list(threads.map(lambda _: client.registered_state("app1"), range(80)))
    assert len(set(states)) == 1


def test_a_device_login_signs_in_works_and_renews(emulator: Emulator) -> None:
    pool = make_pool()
    transport = Transport(pool=pool)
    code = device_login_start(emulator.url, transport=transport)
    assert device_login_poll(emulator.url, code.device_code, transport=transport) is None
    assert decide_login(emulator.state, code.user_code, OWNER)
    tokens = device_login_poll(emulator.url, code.device_code, transport=transport)
    assert tokens is not None
    stored = [tokens]

    def refresh(stale: DeviceTokens) -> DeviceTokens:
        stored.append(refresh_device_token(emulator.url, stale, transport=transport))
        return stored[-1]

    login = DeviceLogin(tokens, refresh, clock=lambda: time.time() + 7_200)
    client = Base44Client(emulator.url, login, pool=pool)
    assert client.user_info().email == OWNER
    assert stored[-1].refresh_token != tokens.refresh_token
    with pytest.raises(CredentialError, match="sign in again"):
        refresh_device_token(emulator.url, tokens, transport=transport)
    pool.clear()

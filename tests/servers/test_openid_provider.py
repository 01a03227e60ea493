"""The provider that other tests rely on does what they rely on."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from tests.servers.http import Reply
from tests.servers.openid_provider import SCOPES, AuthMethod, Client, OpenIdProvider, Person
from tests.servers.openid_provider.install import HERE

CALLBACK = "http://127.0.0.1:1/callback/"


@pytest.fixture
def client(openid_provider: OpenIdProvider) -> Client:
    return openid_provider.register_client(CALLBACK)


@pytest.fixture
def alice(openid_provider: OpenIdProvider) -> Person:
    return openid_provider.person("alice@acme.example")


@pytest.fixture
def tokens(openid_provider: OpenIdProvider, client: Client, alice: Person) -> dict[str, Any]:
    """Of a grant of its own, with nothing counted yet."""
    answer = openid_provider.tokens(client, SCOPES, alice)
    openid_provider.reset_stats()
    return answer


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def in_background(call: Callable[[], Reply]) -> Future[Reply]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)
    pool.shutdown(wait=False)
    return future


@pytest.mark.parametrize("folder", [HERE, HERE / "nodejs"], ids=["provider", "nodejs"])
def test_the_lock_file_names_versions_and_hashes_but_no_hosts(folder: Path) -> None:
    lock = (folder / "package-lock.json").read_text()
    assert "integrity" in lock
    assert "resolved" not in lock
    assert "://" not in lock


def test_approval_leads_back_with_code_state_and_issuer(
    openid_provider: OpenIdProvider, client: Client, alice: Person
) -> None:
    request = openid_provider.request(client, SCOPES)
    callback_url = alice.approve(request.url)
    assert callback_url.startswith(CALLBACK)
    assert query(callback_url).keys() == {"code", "state", "iss"}
    assert (query(callback_url)["state"], query(callback_url)["iss"]) == (request.state, openid_provider.issuer)


@pytest.mark.parametrize("auth_method", ["client_secret_post", "client_secret_basic"])
def test_a_client_proves_itself_as_registered(
    openid_provider: OpenIdProvider, alice: Person, auth_method: AuthMethod
) -> None:
    client = openid_provider.register_client(CALLBACK, auth_method=auth_method)
    assert openid_provider.tokens(client, SCOPES, alice)["scope"].split() == list(SCOPES)


def test_the_id_token_carries_account_and_nonce(openid_provider: OpenIdProvider, client: Client, alice: Person) -> None:
    request = openid_provider.request(client, SCOPES)
    answer = openid_provider.exchange(client, request, alice.approve(request.url)).json
    key = jwt.PyJWKClient(openid_provider.jwks_url).get_signing_key_from_jwt(answer["id_token"])
    claims = jwt.decode(answer["id_token"], key, ["RS256"], audience=client.client_id, issuer=openid_provider.issuer)
    assert (claims["sub"], claims["nonce"]) == (alice.subject, request.nonce)


def test_userinfo_says_who_it_is(openid_provider: OpenIdProvider, tokens: dict[str, Any]) -> None:
    assert openid_provider.userinfo(tokens["access_token"]) == {
        "sub": "id:alice@acme.example",
        "email": "alice@acme.example",
        "email_verified": True,
        "name": "Alice",
    }


def test_only_what_a_person_chose_is_granted(openid_provider: OpenIdProvider, client: Client, alice: Person) -> None:
    request = openid_provider.request(client, SCOPES)
    callback_url = alice.approve(request.url, only=["openid", "files.read"])
    answer = openid_provider.exchange(client, request, callback_url).json
    assert answer["scope"].split() == ["openid", "offline_access", "files.read"]


def test_what_was_refused_once_can_be_allowed_later(
    openid_provider: OpenIdProvider, client: Client, alice: Person
) -> None:
    alice.approve(openid_provider.request(client, SCOPES).url, only=["openid"])
    answer = openid_provider.tokens(client, SCOPES, alice, grant="shared")
    assert answer["scope"].split() == list(SCOPES)


def test_denial_leads_back_with_an_error(openid_provider: OpenIdProvider, client: Client, alice: Person) -> None:
    request = openid_provider.request(client, SCOPES)
    answer = query(alice.deny(request.url))
    assert (answer["error"], answer["state"]) == ("access_denied", request.state)


def test_a_request_without_pkce_is_refused(openid_provider: OpenIdProvider, client: Client, alice: Person) -> None:
    url = openid_provider.request(client, SCOPES).url.partition("&code_challenge")[0]
    assert query(alice.approve(url))["error"] == "invalid_request"


def test_reuse_of_a_refresh_token_ends_the_grant(
    openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any]
) -> None:
    fresh = openid_provider.refresh(client, tokens["refresh_token"]).json
    assert fresh["refresh_token"] != tokens["refresh_token"]
    assert openid_provider.refresh(client, tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert not openid_provider.alive(fresh["refresh_token"])
    assert not openid_provider.alive(fresh["access_token"])
    assert openid_provider.stats().happened("grant.revoked") == 1


@pytest.mark.parametrize(("grant", "survives"), [("new", True), ("shared", False)])
def test_revocation_reaches_tokens_of_the_same_grant(
    openid_provider: OpenIdProvider, client: Client, alice: Person, grant: Any, survives: bool
) -> None:
    first, second = (openid_provider.tokens(client, SCOPES, alice, grant=grant) for _ in range(2))
    assert openid_provider.revoke(client, first["refresh_token"]).status == 200
    assert not openid_provider.alive(first["access_token"])
    assert openid_provider.alive(second["access_token"]) is survives


def test_introspection_tells_scope_and_account(openid_provider: OpenIdProvider, tokens: dict[str, Any]) -> None:
    known = openid_provider.introspect(tokens["access_token"])
    assert (known["sub"], known["scope"].split()) == ("id:alice@acme.example", list(SCOPES))


def test_access_tokens_live_as_long_as_told() -> None:
    with OpenIdProvider(access_token_seconds=7) as provider:
        client = provider.register_client(CALLBACK)
        assert provider.tokens(client, SCOPES, provider.person("bob@acme.example"))["expires_in"] == 7


def test_the_next_calls_fail_as_told_and_spend_nothing(
    openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any]
) -> None:
    openid_provider.fail_next_tokens(2, status=429, body={"error": "slow_down"}, retry_after=5)
    replies = [openid_provider.refresh(client, tokens["refresh_token"]) for _ in range(3)]
    assert [reply.status for reply in replies] == [429, 429, 200]
    assert replies[0].headers["retry-after"] == "5"
    stats = openid_provider.stats()
    assert stats.count("refresh_token", status=429, error="slow_down") == 2
    assert stats.count() == 3


def test_a_call_held_before_has_not_reached_the_provider(
    openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any]
) -> None:
    openid_provider.hold("before")
    held = in_background(lambda: openid_provider.refresh(client, tokens["refresh_token"]))
    openid_provider.wait_until_held()
    assert openid_provider.stats().happened("refresh_token.consumed") == 0
    openid_provider.release()
    assert held.result().status == 200


def test_a_call_held_after_has_spent_its_refresh_token(
    openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any]
) -> None:
    openid_provider.hold("after")
    held = in_background(lambda: openid_provider.refresh(client, tokens["refresh_token"]))
    openid_provider.wait_until_held()
    assert openid_provider.stats().happened("refresh_token.consumed") == 1
    openid_provider.release()
    assert held.result().status == 200


@pytest.mark.parametrize(("when", "spent"), [("before", 0), ("after", 1)])
def test_a_dropped_call_gets_no_answer(
    openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any], when: Any, spent: int
) -> None:
    openid_provider.hold(when)
    held = in_background(lambda: openid_provider.refresh(client, tokens["refresh_token"]))
    openid_provider.wait_until_held()
    openid_provider.release(drop=True)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        held.result()
    assert openid_provider.stats().happened("refresh_token.consumed") == spent


def test_the_next_answer_is_changed_as_told(
    openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any]
) -> None:
    openid_provider.tamper_next_token({"scope": "openid", "refresh_token": None})
    answer = openid_provider.refresh(client, tokens["refresh_token"]).json
    assert answer["scope"] == "openid"
    assert "refresh_token" not in answer
    assert "access_token" in answer


def test_reset_ends_what_was_arranged(openid_provider: OpenIdProvider, client: Client, tokens: dict[str, Any]) -> None:
    openid_provider.fail_next_tokens()
    openid_provider.tamper_next_token({"access_token": None})
    openid_provider.hold("before")
    openid_provider.reset()
    reply = openid_provider.refresh(client, tokens["refresh_token"])
    assert reply.status == 200
    assert "access_token" in reply.json

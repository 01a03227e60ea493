"""Exchange, refresh and probe as the standards have them: what is sent, what is read, and what each failure means."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from pydantic import SecretStr

from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.profile import Registration, profile_of
from connectors.core.oauth.token_endpoint import TokenEndpoint
from connectors.core.oauth.transport import MAX_BODY, make_pool
from tests.servers.scripted import Provider

REDIRECT = "https://portal.example/connectors/oauth/c/callback/"
Endpoint = Callable[[str], TokenEndpoint]


def secret() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(24))


def refreshed(endpoint: TokenEndpoint) -> OAuthError:
    """The error of a refresh."""
    with pytest.raises(OAuthError) as caught:
        endpoint.refresh(secret(), secret())
    return caught.value


def test_an_exchange_sends_the_code_the_redirect_uri_and_the_verifier(
    provider: Provider, endpoint: Endpoint, client: Registration
) -> None:
    provider.answers({"access_token": "a1", "token_type": "Bearer"})
    code, verifier = secret(), secret()
    endpoint("gmail").exchange(code, REDIRECT, verifier=verifier, callback={})
    (asked,) = provider.asked
    assert asked.form == {
        "grant_type": "authorization_code",
        "code": code.get_secret_value(),
        "redirect_uri": REDIRECT,
        "code_verifier": verifier.get_secret_value(),
        "client_id": "client-1",
        "client_secret": client.client_secret.get_secret_value(),
    }
    assert asked.headers["accept"] == "application/json"


def test_a_grant_holds_what_the_answer_said(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(
        {"access_token": "a1", "refresh_token": "r1", "token_type": "Bearer", "expires_in": 3599, "scope": "b a b"}
    )
    grant = endpoint("gmail").exchange(secret(), REDIRECT)
    assert (grant.access_token.get_secret_value(), grant.token_type) == ("a1", "Bearer")
    assert grant.refresh_token is not None
    assert grant.refresh_token.get_secret_value() == "r1"
    assert (grant.expires_in, grant.refresh_expires_in, grant.scopes) == (3599.0, None, ("b", "a"))


def test_a_refresh_sends_the_refresh_token_and_no_scope_or_redirect_uri(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a2"})
    token = secret()
    endpoint("gmail").refresh(token, secret(), redirect_uri=REDIRECT)
    assert provider.asked[0].form.keys() == {"grant_type", "refresh_token", "client_id", "client_secret"}
    assert provider.asked[0].form["refresh_token"] == token.get_secret_value()


def test_an_answer_without_a_refresh_token_leaves_the_old_one_in_force(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a2", "expires_in": 3600})
    grant = endpoint("gmail").refresh(secret(), secret())
    assert (grant.refresh_token, grant.scopes) == (None, None)


def test_nothing_is_asked_without_a_refresh_token(provider: Provider, endpoint: Endpoint) -> None:
    google = endpoint("gmail")
    assert not google.can_refresh(None)
    assert not google.can_refresh(SecretStr(""))
    with pytest.raises(OAuthError) as caught:
        google.refresh(None, secret())
    assert (caught.value.kind, caught.value.code, provider.asked) == (Kind.CONSENT, "no_refresh_token", [])


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_grant", Kind.CONSENT),
        (400, "interaction_required", Kind.CONSENT),
        (401, "invalid_client", Kind.CLIENT),
        (400, "unauthorized_client", Kind.CLIENT),
        (400, "invalid_scope", Kind.REFUSED),
        (400, "invalid_request", Kind.REFUSED),
        (200, "invalid_grant", Kind.CONSENT),
        (400, "temporarily_unavailable", Kind.TRANSIENT),
        (429, "slow_down", Kind.TRANSIENT),
        (503, "server_error", Kind.TRANSIENT),
        (500, "invalid_grant", Kind.TRANSIENT),
    ],
)
def test_an_error_code_says_who_can_help(
    provider: Provider, endpoint: Endpoint, status: int, code: str, kind: Kind
) -> None:
    provider.answers({"error": code, "error_description": "told by the provider"}, status)
    error = refreshed(endpoint("gmail"))
    assert (error.kind, error.code, error.status, error.lost) == (kind, code, status, False)
    assert code in str(error)
    assert "told by" not in str(error)


def test_a_401_without_a_code_is_about_the_client(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"message": "Who are you?"}, 401)
    assert refreshed(endpoint("gmail")).kind is Kind.CLIENT


def test_a_wait_that_the_provider_asks_for_is_passed_on(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(b"slow", 429, Retry_After="17")
    error = refreshed(endpoint("gmail"))
    assert (error.kind, error.retry_after, error.lost) == (Kind.TRANSIENT, 17.0, False)


@pytest.mark.parametrize(
    ("body", "status", "lost"),
    [
        (b"<html>Sign in to the proxy</html>", 200, True),
        (b"", 200, True),
        (b"[]", 200, True),
        (b'{"access_token": ""}', 200, True),
        (b'{"access_token": "two\\nlines"}', 200, True),
        (b"<html>", 403, False),
        (b"bad gateway", 502, True),
        (b"busy", 503, False),
    ],
)
def test_an_answer_that_cannot_be_read_is_transient_and_lost_when_the_token_may_be_spent(
    provider: Provider, endpoint: Endpoint, body: bytes, status: int, *, lost: bool
) -> None:
    provider.answers(body, status)
    error = refreshed(endpoint("gmail"))
    assert (error.kind, error.lost) == (Kind.TRANSIENT, lost)


def test_a_redirect_is_not_followed(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(b"", 307, Location=f"{provider.url}/elsewhere")
    error = refreshed(endpoint("gmail"))
    assert (error.kind, error.code, len(provider.asked)) == (Kind.REFUSED, "redirect", 1)


def test_a_body_beyond_the_limit_is_not_read(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers(b" " * (MAX_BODY + 1))
    error = refreshed(endpoint("gmail"))
    assert (error.kind, error.code, error.lost) == (Kind.TRANSIENT, "too_large", True)


def listening_socket() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def endpoint_at(port: int, *, timeout: float = 15.0) -> TokenEndpoint:
    client = Registration("client-1", secret(), {"token_url": f"http://127.0.0.1:{port}/token"})
    return TokenEndpoint(profile_of("gmail", client), client, pool=make_pool(), timeout=timeout)


def test_a_provider_that_nobody_reaches_has_done_nothing() -> None:
    with listening_socket() as bound:  # bound, but not listening: connections are refused
        error = refreshed(endpoint_at(bound.getsockname()[1]))
    assert (error.kind, error.code, error.lost, error.status) == (Kind.TRANSIENT, "no_connection", False, None)


def test_an_answer_that_never_comes_is_lost() -> None:
    with listening_socket() as silent:
        silent.listen()
        error = refreshed(endpoint_at(silent.getsockname()[1], timeout=0.1))
    assert (error.kind, error.code, error.lost) == (Kind.TRANSIENT, "timeout", True)


def test_a_connection_that_breaks_loses_the_answer() -> None:
    with listening_socket() as listener:
        listener.listen()
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        error = refreshed(endpoint_at(listener.getsockname()[1]))
        thread.join()
    assert (error.kind, error.lost) == (Kind.TRANSIENT, True)


def test_one_connection_serves_many_refreshes(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a2"})
    google = endpoint("gmail")
    for _ in range(5):
        google.refresh(secret(), secret())
    assert len(provider.asked) == 5
    assert provider.connections <= 1  # none, when an earlier test left one open


def test_threads_share_an_endpoint(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"access_token": "a2"})
    google, tokens = endpoint("gmail"), [secret() for _ in range(16)]
    threads = [threading.Thread(target=google.refresh, args=(token, token)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {asked.form["refresh_token"] for asked in provider.asked} == {t.get_secret_value() for t in tokens}


@pytest.mark.parametrize("code", ["invalid_grant", "access_denied"])
def test_a_probe_passes_when_only_the_made_up_code_is_refused(
    provider: Provider, endpoint: Endpoint, code: str
) -> None:
    provider.answers({"error": code}, 400)
    assert endpoint("gmail").probe(REDIRECT) is None
    assert provider.asked[0].form["redirect_uri"] == REDIRECT


def test_a_probe_tells_a_wrong_client_from_a_provider_that_is_down(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"error": "invalid_client"}, 401)
    provider.answers(b"", 503)
    found = [endpoint("gmail").probe(REDIRECT) for _ in range(2)]
    assert [error and error.kind for error in found] == [Kind.CLIENT, Kind.TRANSIENT]


def test_a_probe_of_a_type_with_pkce_sends_a_verifier(provider: Provider, endpoint: Endpoint) -> None:
    provider.answers({"error": "invalid_grant"}, 400)
    assert endpoint("airtable").probe(REDIRECT) is None
    assert len(provider.asked[0].form["code_verifier"]) >= 43


@pytest.mark.parametrize(("type_", "tenant"), [("instagram", ""), ("outlook", "common")])
def test_a_probe_that_would_prove_nothing_is_not_made(
    provider: Provider, client: Registration, type_: str, tenant: str
) -> None:
    settings = {} if tenant else client.settings
    used = replace(client, settings=settings)
    error = TokenEndpoint(profile_of(type_, used), used).probe(REDIRECT)
    assert error is not None
    assert (error.kind, error.code, provider.asked) == (Kind.REFUSED, "cannot_tell", [])


def test_a_probe_at_one_microsoft_tenant_asks_for_a_token_of_the_client_itself(
    provider: Provider, endpoint: Endpoint
) -> None:
    provider.answers({"error": "invalid_client"}, 401)
    error = endpoint("outlook").probe(REDIRECT)
    assert error is not None
    assert error.kind is Kind.CLIENT
    assert provider.asked[0].form["grant_type"] == "client_credentials"
    assert provider.asked[0].form["scope"] == "https://graph.microsoft.com/.default"

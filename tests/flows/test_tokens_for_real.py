"""Revoking and looking up against a certified provider: what ends there is what the portal says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.flows.introspect import introspect_token
from connectors.flows.revoke import forget_token, revoke_tokens, siblings
from connectors.models import OAuthClient, Project, Sealed, Token
from tests.factories import SHELL, make_connector, make_oauth_client, make_token
from tests.servers.openid_provider import Client, OpenIdProvider
from tests.servers.openid_provider.person import Grant

pytestmark = pytest.mark.django_db

SCOPES = ["openid", "offline_access", "files.read"]
State = Token.State
Held = Callable[[str, Grant], Token]


@pytest.fixture
def registered(openid_provider: OpenIdProvider) -> Client:
    return openid_provider.register_client("http://127.0.0.1:8000/oauth/idp/callback/")


@pytest.fixture
def oauth_client(db: None, openid_provider: OpenIdProvider, registered: Client) -> OAuthClient:
    names = ["issuer", "authorize_url", "token_url", "userinfo_url", "revoke_url", "introspect_url"]
    return make_oauth_client(
        client_id=registered.client_id,
        secret=registered.client_secret.get_secret_value(),
        settings={name: getattr(openid_provider, name) for name in names},
    )


@pytest.fixture
def held(project: Project, oauth_client: OAuthClient, openid_provider: OpenIdProvider, registered: Client) -> Held:
    """A token of Alice's for a connector of this type, of a grant of its own or of the one that she gave before."""
    alice = openid_provider.person("alice@acme.example")

    def hold(type_: str, grant: Grant) -> Token:
        given = openid_provider.tokens(registered, SCOPES, alice, grant=grant)
        texts = {"access": given["access_token"], "refresh": given["refresh_token"]}
        connector = make_connector(project, type_, SCOPES)
        return make_token(connector, oauth_client=oauth_client, account_id=alice.subject, **texts)

    return hold


def test_the_end_of_a_shared_grant_is_the_end_of_the_sibling_that_was_listed(
    held: Held, openid_provider: OpenIdProvider
) -> None:
    one, two = held("gmail", "new"), held("googledrive", "shared")
    texts = [token.access_token.reveal() for token in (one, two)]
    assert siblings(one) == [two]
    revoke_tokens([one], SHELL)
    assert [openid_provider.alive(text) for text in texts] == [False, False]


def test_all_of_a_shared_grant_can_be_revoked_though_the_first_call_ends_them(held: Held) -> None:
    tokens = [held("gmail", "new"), held("googledrive", "shared")]
    assert all(outcome.ended for outcome in revoke_tokens(tokens, SHELL))
    assert set(Token.objects.values_list("state", flat=True)) == {State.REVOKED}


def test_a_grant_of_its_own_lives_on(held: Held, openid_provider: OpenIdProvider) -> None:
    one, two = held("gmail", "new"), held("googledrive", "new")
    revoke_tokens([one], SHELL)
    assert openid_provider.alive(two.access_token.reveal())


def test_a_forgotten_token_stays_valid_at_the_provider(held: Held, openid_provider: OpenIdProvider) -> None:
    token = held("gmail", "new")
    forget_token(token, SHELL)
    assert openid_provider.alive(token.access_token.reveal())


def test_the_provider_says_what_a_token_may_do(held: Held) -> None:
    token = held("gmail", "new")
    learnt = introspect_token(token, SHELL)
    assert learnt.active
    assert set(Token.objects.get().granted_scopes or ()) >= {"openid", "files.read"}


def test_a_sibling_that_ended_with_another_is_found_out_by_asking(held: Held) -> None:
    one, two = held("gmail", "new"), held("googledrive", "shared")
    revoke_tokens([one], SHELL)
    assert introspect_token(two, SHELL).active is False
    assert two.state == State.NEEDS_CONSENT


def test_an_access_token_that_ended_alone_is_renewed_when_asked_about(
    held: Held, openid_provider: OpenIdProvider
) -> None:
    token = held("gmail", "new")
    Token.objects.update(access_token=Sealed.of("ended-long-ago"))
    token.refresh_from_db()
    introspect_token(token, SHELL)
    assert openid_provider.alive(Token.objects.get().access_token.reveal())

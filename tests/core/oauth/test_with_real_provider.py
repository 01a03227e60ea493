"""The same calls against a certified OpenID provider: what it takes and how it answers is not ours to decide."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.grant import Grant
from connectors.core.oauth.inspect import Account, introspect, revoke, who
from connectors.core.oauth.profile import Profile, Registration, profile_of
from connectors.core.oauth.token_endpoint import TokenEndpoint
from tests.servers.openid_provider import Client, OpenIdProvider

CALLBACK = "http://127.0.0.1:1/callback/"
ALICE = "alice@acme.example"
SCOPES = ("openid", "email", "offline_access")
Used = tuple[Profile, Registration, TokenEndpoint, Client]


def used(provider: OpenIdProvider, type_: str, *, secret: SecretStr | None = None) -> Used:
    """A client at the provider, used for `type_` by the way of authenticating that the catalogue names for it."""
    basic = type_ in ("hugging_face", "calendly")
    known = provider.register_client(CALLBACK, auth_method="client_secret_basic" if basic else "client_secret_post")
    names = ("issuer", "authorize_url", "token_url", "revoke_url", "introspect_url", "userinfo_url")
    settings = {name: str(getattr(provider, name)) for name in names}
    registration = Registration(known.client_id, secret or known.client_secret, settings)
    profile = profile_of(type_, registration)
    return profile, registration, TokenEndpoint(profile, registration), known


@pytest.fixture(params=["gmail", "gitlab", "calendly", "slack"])
def type_(request: pytest.FixtureRequest) -> str:
    """Types with habits of their own: at another issuer none of those may show."""
    return str(request.param)


@pytest.fixture
def consent(openid_provider: OpenIdProvider) -> Callable[[Used], Grant]:
    """Gives Alice's consent and exchanges the code."""

    def exchange(by: Used) -> Grant:
        _, _, endpoint, known = by
        asked = openid_provider.request(known, SCOPES)
        back = openid_provider.person(ALICE).approve(asked.url)
        code = parse_qs(urlsplit(back).query)["code"][0]
        return endpoint.exchange(SecretStr(code), CALLBACK, verifier=SecretStr(asked.verifier), callback={})

    return exchange


def test_a_code_becomes_tokens_scopes_and_claims(
    openid_provider: OpenIdProvider, consent: Callable[[Used], Grant], type_: str
) -> None:
    grant = consent(used(openid_provider, type_))
    assert grant.refresh_token is not None
    assert set(grant.scopes or ()) == set(SCOPES)
    assert grant.expires_in == float(openid_provider.access_token_seconds)
    assert grant.claims["sub"] == openid_provider.person(ALICE).subject


def test_a_refresh_gives_a_new_pair_and_the_old_one_is_spent(
    openid_provider: OpenIdProvider, consent: Callable[[Used], Grant], type_: str
) -> None:
    by = used(openid_provider, type_)
    first = consent(by)
    second = by[2].refresh(first.refresh_token, first.access_token, redirect_uri=CALLBACK)
    assert second.refresh_token is not None
    assert second.refresh_token != first.refresh_token
    with pytest.raises(OAuthError) as caught:
        by[2].refresh(first.refresh_token, first.access_token, redirect_uri=CALLBACK)
    assert (caught.value.kind, caught.value.code) == (Kind.CONSENT, "invalid_grant")


def test_a_live_token_is_looked_up_and_a_revoked_one_is_dead(
    openid_provider: OpenIdProvider, consent: Callable[[Used], Grant], type_: str
) -> None:
    by = used(openid_provider, type_)
    profile, registration, _, _ = by
    grant = consent(by)
    found = introspect(profile, registration, grant.access_token, grant.refresh_token)
    assert (found.active, set(found.scopes or ())) == (True, set(SCOPES))
    revoke(profile, registration, grant.access_token, grant.refresh_token)
    revoke(profile, registration, grant.access_token, grant.refresh_token)  # ended before counts as ended
    assert introspect(profile, registration, grant.access_token).active is False
    assert not openid_provider.alive(grant.access_token.get_secret_value())


def test_the_account_is_named_with_and_without_the_grant(
    openid_provider: OpenIdProvider, consent: Callable[[Used], Grant], type_: str
) -> None:
    by = used(openid_provider, type_)
    grant = consent(by)
    alice = Account(openid_provider.person(ALICE).subject, ALICE)
    assert who(by[0], grant.access_token) == alice
    assert who(by[0], grant.access_token, grant=grant) == alice


def test_a_probe_tells_a_right_secret_from_a_wrong_one(openid_provider: OpenIdProvider, type_: str) -> None:
    wrong = used(openid_provider, type_, secret=SecretStr("not-the-" + "secret"))[2].probe(CALLBACK)
    assert used(openid_provider, type_)[2].probe(CALLBACK) is None
    assert wrong is not None
    assert (wrong.kind, wrong.code) == (Kind.CLIENT, "invalid_client")


def test_a_gateways_answer_leaves_open_whether_the_token_is_spent(
    openid_provider: OpenIdProvider, consent: Callable[[Used], Grant]
) -> None:
    by = used(openid_provider, "gitlab")
    grant = consent(by)
    openid_provider.fail_next_tokens(status=502, body="Bad gateway")
    with pytest.raises(OAuthError) as caught:
        by[2].refresh(grant.refresh_token, grant.access_token)
    assert (caught.value.kind, caught.value.lost) == (Kind.TRANSIENT, True)

"""Every integration type of the catalogue leads to its provider's page with what was declared, or says why not."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import RequestFactory
from pydantic import SecretStr

from connectors.core.catalog import load_catalog
from connectors.core.oauth.profile import Registration, profile_of
from connectors.core.oauth.support import Level, support_of
from connectors.oauth.provider import Client, GenericOAuth2Provider, _provider, departure

TYPES = load_catalog().types
SUPPORTED = [slug for slug, info in TYPES.items() if support_of(info).level != Level.NONE]
BY_ALLAUTH = [slug for slug, info in TYPES.items() if support_of(info).level == Level.ALLAUTH]
REDIRECT_URI = "https://portal.example/oauth/client/callback/"


def settings_of(type_: str) -> dict[str, str]:
    """A value for each setting that an OAuth client of this type can have."""
    return {setting.name: "acme.example" for setting in TYPES[type_].oauth.client_settings}


def client_of(type_: str) -> Client:
    registration = Registration("client-1", SecretStr("not-sent-to-the-page"), settings_of(type_))
    return Client("client", profile_of(type_, registration), registration, REDIRECT_URI)


def depart(type_: str, scopes: list[str]) -> tuple[str, list[SecretStr | None]]:
    """The address at the provider, and the verifiers that were stashed."""
    stashed: list[SecretStr | None] = []

    def stash(verifier: SecretStr | None) -> SecretStr:
        stashed.append(verifier)
        return SecretStr("state-of-ours")

    request = RequestFactory().get("/")
    return departure(request, client_of(type_), scopes, nonce=SecretStr("nonce-of-ours"), stash=stash), stashed


def scopes_of(type_: str) -> list[str]:
    return [info.name for info in load_catalog().scopes_for(type_)][:3]


@pytest.mark.parametrize("type_", SUPPORTED)
def test_it_leads_to_the_providers_own_page(type_: str) -> None:
    address, _ = depart(type_, scopes_of(type_))
    expected = urlsplit(client_of(type_).profile.authorize_url)
    assert (urlsplit(address).scheme, urlsplit(address).netloc) == ("https", expected.netloc)
    assert "{" not in address


@pytest.mark.parametrize("type_", SUPPORTED)
def test_state_and_client_are_sent_and_the_secret_is_not(type_: str) -> None:
    address, stashed = depart(type_, scopes_of(type_))
    assert "state-of-ours" in address
    assert "client-1" in address
    assert "not-sent-to-the-page" not in address
    assert len(stashed) == 1


@pytest.mark.parametrize("type_", [slug for slug in SUPPORTED if TYPES[slug].has_scopes])
def test_exactly_the_declared_scopes_are_asked_for(type_: str) -> None:
    facts = TYPES[type_].oauth
    scopes = scopes_of(type_)
    query = parse_qs(urlsplit(depart(type_, scopes)[0]).query)
    [asked] = query[facts.user_scope_param or "scope"]
    assert sorted(asked.split(facts.scope_separator)) == sorted(scopes)


@pytest.mark.parametrize("type_", SUPPORTED)
def test_pkce_is_used_where_the_provider_takes_it(type_: str) -> None:
    address, [verifier] = depart(type_, scopes_of(type_))
    query = parse_qs(urlsplit(address).query)
    if TYPES[type_].oauth.pkce in ("required", "supported"):
        assert verifier is not None
        assert query["code_challenge_method"] == ["S256"]
    else:
        assert verifier is None
        assert "code_challenge" not in query


@pytest.mark.parametrize("type_", BY_ALLAUTH)
def test_allauths_class_serves_it(type_: str) -> None:
    provider = _provider(RequestFactory().get("/"), client_of(type_), lambda verifier: SecretStr(""))
    assert not isinstance(provider, GenericOAuth2Provider)


def test_a_client_with_addresses_of_its_own_never_gets_a_class_made_for_the_public_service() -> None:
    settings = {"authorize_url": "https://git.acme.example/a", "token_url": "https://git.acme.example/t"}
    registration = Registration("client-1", SecretStr(""), settings)
    client = Client("client", profile_of("gitlab", registration), registration, REDIRECT_URI)
    provider = _provider(RequestFactory().get("/"), client, lambda verifier: SecretStr(""))
    assert isinstance(provider, GenericOAuth2Provider)


def test_a_nonce_is_sent_only_with_openid() -> None:
    with_openid, _ = depart("gmail", ["openid"])
    without, _ = depart("gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    assert "nonce=nonce-of-ours" in with_openid
    assert "nonce" not in without


@pytest.mark.parametrize("type_", [slug for slug in TYPES if slug not in SUPPORTED])
def test_what_is_not_supported_says_why(type_: str) -> None:
    assert support_of(TYPES[type_]).why.endswith(".")

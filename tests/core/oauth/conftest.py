"""A scripted provider, and clients of it for every type of the catalogue."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from connectors.core.oauth.profile import Profile, Registration, profile_of
from connectors.core.oauth.token_endpoint import TokenEndpoint
from tests.servers.scripted import Provider, scripted_provider

NOW = 1_700_000_000.0
SETTINGS = {"subdomain": "acme", "workspace_host": "dbc.cloud.databricks.com"}


@pytest.fixture(scope="session")
def _running_provider() -> Iterator[Provider]:
    with scripted_provider() as provider:
        yield provider


@pytest.fixture
def provider(_running_provider: Provider) -> Provider:
    """A provider without requests and answers yet."""
    _running_provider.reset()
    return _running_provider


@pytest.fixture
def client(provider: Provider) -> Registration:
    """An OAuth client whose endpoints are the scripted provider's."""
    return registration(provider)


def registration(provider: Provider) -> Registration:
    """A client with a secret of its own."""
    urls = {name: f"{provider.url}/{name.removesuffix('_url')}" for name in ("token_url", "revoke_url")}
    urls |= {name: f"{provider.url}/{name.removesuffix('_url')}" for name in ("introspect_url", "userinfo_url")}
    return Registration("client-1", SecretStr(secrets.token_urlsafe(24)), {**SETTINGS, **urls})


def local_profile(type_: str, client: Registration, provider: Provider) -> Profile:
    """The type's profile, with Instagram's two further addresses at the scripted provider too."""
    profile = profile_of(type_, client)
    wire = profile.facts.wire
    if wire.extend_url:
        wire = replace(wire, extend_url=f"{provider.url}/extend", renew_url=f"{provider.url}/renew")
    return replace(profile, facts=replace(profile.facts, wire=wire))


@pytest.fixture
def profile_for(client: Registration, provider: Provider) -> Callable[[str], Profile]:
    """Makes the profile of a type for `client`."""
    return lambda type_: local_profile(type_, client, provider)


@pytest.fixture
def endpoint(client: Registration, provider: Provider) -> Callable[[str], TokenEndpoint]:
    """Makes the token endpoint of a type for `client`; its clock stands at NOW."""
    return lambda type_: TokenEndpoint(local_profile(type_, client, provider), client, wall_clock=lambda: NOW)

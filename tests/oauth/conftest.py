"""An OAuth client of the portal at a real OpenID provider, and the way of a person through both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client
from django.test.utils import override_settings

from connectors.models import Connector, OAuthClient, Project
from tests.factories import make_connector, make_oauth_client
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.openid_provider.ways import PORTAL, way_out

SCOPES = ["openid", "email", "offline_access", "files.read", "mail.read"]


@pytest.fixture(autouse=True)
def portal_url() -> Iterator[None]:
    """Where the provider sends people back to."""
    with override_settings(PORTAL_URL=PORTAL):
        yield


@pytest.fixture
def oauth_client(db: None, openid_provider: OpenIdProvider) -> OAuthClient:
    """A client that the provider knows, with the provider's addresses in place of the catalogue's."""
    return registered_client(openid_provider, "idp")


@pytest.fixture
def connector(project: Project) -> Connector:
    """A connector that asks for identity, a refresh token and two rights."""
    return make_connector(project, "gmail", SCOPES)


def registered_client(provider: OpenIdProvider, slug: str) -> OAuthClient:
    """A client of the portal, registered at the provider."""
    known = provider.register_client(f"{PORTAL}/oauth/{slug}/callback/")
    return make_oauth_client(
        slug,
        provider="google",
        client_id=known.client_id,
        secret=known.client_secret.get_secret_value(),
        settings={
            "issuer": provider.issuer,
            "authorize_url": provider.authorize_url,
            "token_url": provider.token_url,
            "userinfo_url": provider.userinfo_url,
            "revoke_url": provider.revoke_url,
            "introspect_url": provider.introspect_url,
        },
    )


def leave(browser: Client, connector: Connector, oauth_client: OAuthClient, **fields: str) -> str:
    """Presses Authorise; the address at the provider that the page leads to."""
    answer = browser.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": oauth_client.pk, **fields})
    return way_out(answer)

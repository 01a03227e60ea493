"""An OAuth client of the portal at a real OpenID provider, and the way of a person through both."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.test.utils import override_settings

from connectors.models import Connector, OAuthClient, Project
from tests.factories import make_connector, make_oauth_client
from tests.servers.openid_provider import OpenIdProvider

PORTAL = "http://127.0.0.1:8000"
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
    assert answer.status_code == 200, answer.headers.get("Location", answer.content)
    found = re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', answer.content.decode())
    assert found is not None
    return html.unescape(found[1])


def local(url: str) -> str:
    """Path and query of an address of the portal, for Django's test client."""
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == PORTAL
    return f"{parts.path}?{parts.query}"

"""A sign-in provider of the portal at a real OpenID provider, and the way of a person through both."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from connectors.models import Sealed, SignInProvider
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.openid_provider.ways import PORTAL, local, way_out


@pytest.fixture
def sso(db: None, settings: Any, openid_provider: OpenIdProvider) -> SignInProvider:
    """A provider that lets in addresses of acme.example whom somebody invited."""
    settings.PORTAL_URL = PORTAL
    settings.SIGN_IN_ALLOWED_PRIVATE_HOSTS = ["localhost"]
    known = openid_provider.register_client(f"{PORTAL}/accounts/sign-in/corp/callback/")
    return SignInProvider.objects.create(
        slug="corp",
        name="Acme login",
        server_url=openid_provider.issuer,
        client_id=known.client_id,
        client_secret=Sealed.of(known.client_secret.get_secret_value()),
        allowed_domains=["acme.example"],
    )


def leave(browser: Client, slug: str = "corp", **fields: str) -> str:
    """Presses the provider's button on the login page; the address at the provider that the page leads to."""
    answer = browser.post(f"/accounts/sign-in/{slug}/", fields)
    return way_out(answer)


def come_in(browser: Client, provider: OpenIdProvider, email: str, **fields: str) -> Any:
    """The whole way: button, the provider's page, and back."""
    return browser.get(local(provider.person(email).approve(leave(browser, **fields))))


def who(browser: Client) -> str:
    """Whose session this is; "" for nobody's."""
    return str(browser.session.get("_auth_user_id", ""))

"""The way of a person in a browser from the portal to a real OpenID provider and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from connectors.models import Connector, OAuthClient
from tests.browser.harness import Watched
from tests.factories import make_oauth_client
from tests.servers.openid_provider import Client, OpenIdProvider

SCOPES = ["openid", "email", "offline_access", "files.read", "mail.read"]
ALICE, BOB = "alice@acme.example", "bob@acme.example"

OpenWindow = Callable[..., AbstractContextManager[Watched]]


@dataclass(frozen=True, slots=True)
class Trip:
    """A portal at `base`, as its people see it, and the provider where they agree."""

    base: str
    provider: OpenIdProvider

    @property
    def addresses(self) -> dict[str, str]:
        """The provider's addresses in place of the catalogue's."""
        names = ("issuer", "authorize_url", "token_url", "revoke_url", "introspect_url", "userinfo_url")
        return {name: getattr(self.provider, name) for name in names}

    def register(self, slug: str) -> Client:
        """A client at the provider, for the redirect URI that the portal shows."""
        return self.provider.register_client(f"{self.base}/oauth/{slug}/callback/")

    def oauth_client(self, slug: str = "acme") -> OAuthClient:
        """A client that both know."""
        known = self.register(slug)
        return make_oauth_client(
            slug,
            client_id=known.client_id,
            secret=known.client_secret.get_secret_value(),
            settings=self.addresses,
            state=OAuthClient.State.USABLE,
        )

    def leave(self, window: Watched, connector: Connector) -> None:
        """Presses Authorise on the connector's page, and is at the provider."""
        window.open(authorise_path(connector))
        window.page.get_by_role("button", name="Authorise at").click()
        self.arrive(window.page)

    def arrive(self, page: Page) -> None:
        """Waits until the page of the portal in between has led to the provider's."""
        page.wait_for_url(f"{self.provider.issuer}/interaction/**")

    def decide(self, page: Page, *, email: str = "", without: Iterable[str] = (), decision: str = "Approve") -> None:
        """Signs in if asked, unticks some scopes, and decides; the browser is back at the portal after that."""
        if email:
            page.get_by_role("textbox", name="E-mail address").fill(email)
        for scope in without:
            page.get_by_role("checkbox", name=scope).uncheck()
        page.get_by_role("button", name=decision).click()
        page.wait_for_url(f"{self.base}/**")


def authorise_path(connector: Connector) -> str:
    """The connector's Authorise page."""
    return f"/admin/connectors/connector/{connector.pk}/authorise/"


def log_in(page: Page, user: User) -> None:
    """Fills in the portal's login page."""
    page.get_by_label("Username or e-mail").fill(user.username)
    page.get_by_label("Password").fill("password")
    page.get_by_role("button", name="Log in").click()


def forget_the_login(page: Page, provider: OpenIdProvider) -> None:
    """As if another person used the browser: the provider knows nobody in it any more."""
    page.context.clear_cookies(domain=urlsplit(provider.issuer).hostname)


def expect_said(page: Page, text: str) -> None:
    """The portal's message on the page."""
    expect(page.get_by_text(text).first).to_be_visible()

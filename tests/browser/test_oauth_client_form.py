"""Adding an OAuth client in a browser: the form follows the provider, and its page leads on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.models import OAuthClient
from tests.browser import harness
from tests.browser.conftest import OpenWindow
from tests.browser.scene import Scene
from tests.servers.token_endpoint import TokenServer, token_server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ADD = "/admin/connectors/oauthclient/add/"


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as state:
        yield state


@pytest.fixture
def window(cast: Scene, open_window: OpenWindow) -> harness.Watched:
    return open_window(cast.admin, harness.WIDE)


def test_the_form_follows_the_provider_and_keeps_what_was_typed(window: harness.Watched) -> None:
    window.open(ADD)
    page = window.page
    page.locator("#id_name").press_sequentially("Graph of the sales team")
    page.locator("#id_provider").select_option("microsoft")
    page.get_by_label("Tenant").fill("acme.example")
    page.get_by_text("First, at Microsoft").wait_for()
    assert page.locator("#id_name").input_value() == "Graph of the sales team"
    assert page.locator("#id_slug").input_value() == "graph-of-the-sales-team"
    assert window.audit() == []


def test_a_client_is_added_and_checked(window: harness.Watched, server: TokenServer) -> None:
    window.open(f"{ADD}?provider=google")
    page = window.page
    page.locator("#id_name").fill("Fresh")
    page.locator("#id_client_id").fill("the-id")
    page.locator("#id_secret").fill("not-a-real-one")
    page.get_by_text("Addresses that differ").click()
    page.get_by_label("Token endpoint").fill(f"{server.url}/token")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.locator("#redirect-uri").inner_text() == f"{window.base}/oauth/fresh/callback/"
    page.get_by_role("button", name="Check").click()
    page.get_by_text("Google accepts the client id and secret.").wait_for()
    assert OAuthClient.objects.get(slug="fresh").state == OAuthClient.State.USABLE


def test_a_fault_in_a_folded_address_is_to_be_seen(window: harness.Watched) -> None:
    window.open(f"{ADD}?provider=snowflake")
    page = window.page
    page.get_by_text("Addresses that differ").click()
    page.get_by_label("Issuer").fill("http://idp.example")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The setting “issuer” of the OAuth client must be").wait_for()
    assert page.get_by_label("Issuer").get_attribute("aria-invalid") == "true"
    assert window.audit() == []

"""The test provider's own page, as a person sees it when a browser test leads there."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.servers.openid_provider import SCOPES, OpenIdProvider

pytestmark = pytest.mark.browser


def test_a_person_signs_in_and_chooses_scopes(browser: Browser, openid_provider: OpenIdProvider) -> None:
    client = openid_provider.register_client(f"{openid_provider.issuer}/landed")
    request = openid_provider.request(client, SCOPES)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(request.url)
        page.get_by_label("E-mail address", exact=True).fill("carol@acme.example")
        page.get_by_label("Change your files").uncheck()
        page.get_by_role("button", name="Approve").click()
        page.wait_for_url("**/landed?*")
        answer = openid_provider.exchange(client, request, page.url).json
    assert set(answer["scope"].split()) == set(SCOPES) - {"files.write"}
    assert openid_provider.userinfo(answer["access_token"])["email"] == "carol@acme.example"


def test_a_person_who_denies_comes_back_with_an_error(browser: Browser, openid_provider: OpenIdProvider) -> None:
    client = openid_provider.register_client(f"{openid_provider.issuer}/landed")
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(openid_provider.request(client, SCOPES).url)
        page.get_by_role("button", name="Deny").click()
        page.wait_for_url("**/landed?*")
        assert "error=access_denied" in page.url

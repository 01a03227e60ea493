"""From the button to the stored token and back, against a certified OpenID provider."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.utils import timezone

from connectors.flows.refresh import refresh_due
from connectors.models import Authorisation, Connector, OAuthClient, Token
from tests.factories import make_connector, make_membership
from tests.oauth.conftest import SCOPES, leave, registered_client
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.openid_provider.ways import local

pytestmark = pytest.mark.django_db

Outcome = Authorisation.Outcome
ALICE, BOB = "alice@acme.example", "bob@acme.example"


@pytest.fixture
def browser(client: Client, operator: User) -> Client:
    """The operator's browser, logged in to the portal."""
    client.force_login(operator)
    return client


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def changed(url: str, **values: str | None) -> str:
    """The address with other query parameters; None takes one out."""
    parts = urlsplit(url)
    query = {name: found[0] for name, found in parse_qs(parts.query).items()} | values
    return urlunsplit(parts._replace(query=urlencode({name: text for name, text in query.items() if text is not None})))


def test_the_request_asks_for_exactly_what_is_declared(
    browser: Client, connector: Connector, oauth_client: OAuthClient
) -> None:
    query = parse_qs(urlsplit(leave(browser, connector, oauth_client)).query)
    assert query["scope"][0].split() == SCOPES
    assert query["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(query)


def test_approving_everything_connects(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    alice = openid_provider.person(ALICE)
    answer = browser.get(local(alice.approve(leave(browser, connector, oauth_client))))
    token = Token.objects.get(connector=connector)
    assert answer["Location"] == f"/admin/connectors/connector/{connector.pk}/authorise/"
    assert "every scope" in said(answer)
    assert (token.account, token.account_id) == (ALICE, alice.subject)
    assert sorted(token.granted_scopes or []) == sorted(SCOPES)
    assert openid_provider.alive(token.access_token.reveal())


def test_the_token_is_refreshed_and_the_grant_lives(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    browser.get(local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client))))
    for _ in range(3):
        Token.objects.update(refresh_at=timezone.now())
        assert refresh_due() == 1
    token = Token.objects.get()
    assert (token.refresh_count, token.state) == (3, Token.State.FRESH)
    assert openid_provider.alive(token.access_token.reveal())
    assert openid_provider.stats().happened("grant.revoked") == 0


def test_approving_some_says_what_is_missing(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    address = leave(browser, connector, oauth_client)
    answer = browser.get(local(openid_provider.person(ALICE).approve(address, only=["openid", "email", "files.read"])))
    assert "Missing: mail.read" in said(answer)
    assert Authorisation.objects.get().outcome == Outcome.FEWER_SCOPES
    assert "mail.read" not in (Token.objects.get().granted_scopes or [])


def test_denying_keeps_the_token_there_was(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    alice = openid_provider.person(ALICE)
    browser.get(local(alice.approve(leave(browser, connector, oauth_client))))
    held = Token.objects.get().access_token.reveal()
    answer = browser.get(local(alice.deny(leave(browser, connector, oauth_client))))
    assert "denied" in said(answer)
    assert Token.objects.get().access_token.reveal() == held
    assert openid_provider.alive(held)


def test_another_account_is_refused_until_it_is_wanted(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    browser.get(local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client))))
    bob = openid_provider.person(BOB)
    answer = browser.get(local(bob.approve(leave(browser, connector, oauth_client))))
    assert BOB in said(answer)
    assert Token.objects.get().account == ALICE
    browser.get(local(bob.approve(leave(browser, connector, oauth_client, allow_other_account="on"))))
    assert Token.objects.get().account == BOB


def test_an_account_of_another_domain_is_refused(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    workspace = connector.project.workspace
    workspace.allowed_account_domains = ["acme.example"]
    workspace.save()
    eve = openid_provider.person("eve@elsewhere.example")
    answer = browser.get(local(eve.approve(leave(browser, connector, oauth_client))))
    assert "acme.example" in said(answer)
    assert not Token.objects.exists()


def test_two_connectors_of_one_account_have_their_own_tokens(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    other = make_connector(connector.project, "googledrive", ["openid", "offline_access", "crm.read"])
    alice = openid_provider.person(ALICE)
    for each in (connector, other):
        browser.get(local(alice.approve(leave(browser, each, oauth_client))))
    first, second = Token.objects.get(connector=connector), Token.objects.get(connector=other)
    assert first.access_token.reveal() != second.access_token.reveal()
    assert first.account_id == second.account_id
    assert "crm.read" in (second.granted_scopes or [])
    assert "crm.read" not in (first.granted_scopes or [])


def test_the_provider_being_down_is_said(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    address = openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client))
    openid_provider.fail_next_tokens(status=503)
    answer = browser.get(local(address))
    assert Authorisation.objects.get().outcome == Outcome.PROVIDER_DOWN
    assert said(answer)
    assert not Token.objects.exists()


def test_a_wrong_secret_marks_the_client(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    oauth_client.client_secret = type(oauth_client.client_secret).of("not-the-secret")
    oauth_client.save()
    browser.get(local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client))))
    oauth_client.refresh_from_db()
    assert oauth_client.state == OAuthClient.State.MISCONFIGURED
    assert Authorisation.objects.get().outcome == Outcome.CLIENT_ERROR


@pytest.mark.parametrize("iss", ["https://other.example", "http://localhost:1"])
def test_an_answer_in_the_name_of_another_issuer_is_not_exchanged(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider, iss: str
) -> None:
    address = openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client))
    browser.get(local(changed(address, iss=iss)))
    assert Authorisation.objects.get().outcome == Outcome.NOT_TRUSTED
    assert openid_provider.stats().count("authorization_code") == 0


def test_an_identity_token_of_another_request_is_refused(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    alice = openid_provider.person(ALICE)
    address = alice.approve(changed(leave(browser, connector, oauth_client), nonce="of-another-request"))
    browser.get(local(address))
    assert Authorisation.objects.get().outcome == Outcome.NOT_TRUSTED
    assert not Token.objects.exists()


def test_a_replayed_answer_is_refused(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    address = local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client)))
    browser.get(address)
    answer = browser.get(address)
    assert answer.status_code == 403
    assert b"used already" in answer.content
    assert openid_provider.stats().count("authorization_code") == 1
    assert openid_provider.alive(Token.objects.get().access_token.reveal())


@pytest.mark.django_db(transaction=True)
def test_of_eight_replays_at_once_one_code_is_exchanged(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    address = local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client)))
    cookies = browser.cookies.output(header="", sep=";").strip()

    def replay(_: int) -> int:
        try:
            one = Client()
            one.cookies.load(cookies)
            return one.get(address).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(replay, range(8)))
    assert statuses == [302] + [403] * 7
    assert openid_provider.stats().count("authorization_code") == 1
    assert openid_provider.alive(Token.objects.get().access_token.reveal())


def test_another_person_cannot_finish_it(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider, viewer: User
) -> None:
    address = local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client)))
    other = Client()
    other.force_login(viewer)
    assert other.get(address).status_code == 403
    assert openid_provider.stats().count("authorization_code") == 0
    assert browser.get(address).status_code == 302
    assert Token.objects.exists()


def test_a_new_session_of_the_same_person_cannot_finish_it(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider, operator: User
) -> None:
    address = local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client)))
    elsewhere = Client()
    elsewhere.force_login(operator)
    assert elsewhere.get(address).status_code == 403


def test_an_answer_that_comes_too_late_is_refused(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    address = local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client)))
    Authorisation.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))
    answer = browser.get(address)
    assert (answer.status_code, b"too long" in answer.content) == (403, True)
    assert not Token.objects.exists()


def test_a_state_that_nobody_made_is_refused(browser: Client, oauth_client: OAuthClient) -> None:
    answer = browser.get(f"/oauth/{oauth_client.slug}/callback/?state=made-up&code=made-up")
    assert answer.status_code == 403


def test_an_answer_for_another_client_is_refused(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    address = local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client)))
    registered_client(openid_provider, "second")
    assert browser.get(address.replace("/oauth/idp/", "/oauth/second/")).status_code == 403


def test_an_anonymous_answer_keeps_the_code_out_of_the_login_page(oauth_client: OAuthClient, client: Client) -> None:
    answer = client.get(f"/oauth/{oauth_client.slug}/callback/?state=some-state&code=some-code")
    assert answer.status_code == 403
    assert b"some-code" not in answer.content + answer.headers.get("Location", "").encode()


def test_starting_needs_a_post(browser: Client, connector: Connector, oauth_client: OAuthClient) -> None:
    assert browser.get(f"/oauth/connectors/{connector.pk}/start/").status_code == 405


def test_starting_needs_the_token_of_the_form(operator: User, connector: Connector, oauth_client: OAuthClient) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)
    answer = strict.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": oauth_client.pk})
    assert answer.status_code == 403


def test_starting_needs_the_permission(
    client: Client, viewer: User, connector: Connector, oauth_client: OAuthClient
) -> None:
    make_membership(viewer, "viewer", project=connector.project)
    client.force_login(viewer)
    answer = client.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": oauth_client.pk})
    assert answer.status_code == 403
    assert not Authorisation.objects.exists()


def test_a_stranger_does_not_learn_that_the_connector_exists(
    client: Client, stranger: User, connector: Connector, oauth_client: OAuthClient
) -> None:
    client.force_login(stranger)
    answer = client.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": oauth_client.pk})
    assert answer.status_code == 404


@pytest.mark.parametrize("chosen", ["", "0", "nonsense", "99999999999999999999", "\u0661"])
def test_a_client_that_is_none_is_said(browser: Client, connector: Connector, chosen: str) -> None:
    answer = browser.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": chosen})
    assert "Choose one" in said(answer)


def test_allauths_own_tables_and_the_login_stay_untouched(
    browser: Client, connector: Connector, oauth_client: OAuthClient, openid_provider: OpenIdProvider
) -> None:
    session = browser.session.session_key
    browser.get(local(openid_provider.person(ALICE).approve(leave(browser, connector, oauth_client))))
    assert not any(model.objects.exists() for model in (SocialAccount, SocialApp, SocialToken))
    assert User.objects.count() == 1
    assert browser.session.session_key == session


def test_the_page_that_leads_away_is_kept_by_nobody(
    browser: Client, connector: Connector, oauth_client: OAuthClient
) -> None:
    answer = browser.post(f"/oauth/connectors/{connector.pk}/start/", {"oauth_client": oauth_client.pk})
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    state = parse_qs(urlsplit(leave(browser, connector, oauth_client)).query)["state"][0]
    assert state not in str(dict(browser.session))

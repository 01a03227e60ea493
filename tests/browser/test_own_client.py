"""Consent with the team's own OAuth client, as people give it, at a certified provider and with a real worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from connectors import tasks
from connectors.models import Authorisation, Connector, ConsentLink, OAuthClient, Token
from tests.browser import harness
from tests.browser.at_provider import ALICE, BOB, SCOPES, Trip, expect_said, forget_the_login, log_in
from tests.browser.harness import Watched
from tests.factories import make_connector, make_project, make_token, make_user, make_workspace
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.worker import Worker, eventually

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

Visit = Callable[[User | None], Watched]


@pytest.fixture
def trip(live_server: LiveServer, openid_provider: OpenIdProvider) -> Trip:
    """The portal is at 127.0.0.1 and the provider at localhost: two sites, as they are for real."""
    return Trip(live_server.url.replace("localhost", "127.0.0.1"), openid_provider)


@pytest.fixture
def connector(admin: User) -> Connector:
    """Gmail in a shop; what it declares are scopes that the tests' provider knows."""
    shop = make_project("shop", workspace=make_workspace("Acme"), name="Shop")
    return make_connector(shop, "gmail", SCOPES)


@pytest.fixture
def visit(browser: Browser, trip: Trip) -> Iterator[Visit]:
    """Opens a browser of its own for somebody."""
    with ExitStack() as stack:

        def open_one(user: User | None) -> Watched:
            elsewhere = (trip.provider.issuer,)
            return stack.enter_context(harness.window(browser, trip.base, harness.WIDE, user, elsewhere=elsewhere))

        yield open_one


# --- An admin, from nothing to a token that is refreshed and forgotten -------------------------------------------


def test_from_an_oauth_client_to_a_refreshed_token_and_its_end(
    admin: User, connector: Connector, trip: Trip, visit: Visit, running_worker: Worker
) -> None:
    window = visit(admin)
    page = window.page
    add_client(window, trip)
    authorise_twice(window, connector, trip)
    see_the_token(window, connector)
    refresh_by_hand_and_by_worker(window)
    forget_it(window, connector)
    assert not Token.objects.filter(connector=connector).exists()
    assert page.context.pages == [page]
    assert window.faults == []


def add_client(window: Watched, trip: Trip) -> None:
    page = window.page
    window.open("/admin/connectors/oauthclient/add/")
    page.get_by_role("combobox", name="Provider").select_option("Google")
    shown = page.get_by_text("/oauth/SHORT-NAME/callback/")
    redirect_uri = (shown.text_content() or "").replace("SHORT-NAME", "acme-google")
    known = trip.provider.register_client(redirect_uri)
    secret = known.client_secret.get_secret_value()
    page.locator("#id_name").fill("Acme Google")
    page.get_by_label("Client id").fill(known.client_id)
    page.get_by_label("Client secret").fill(secret)
    fill_addresses(page, trip)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#redirect-uri")).to_have_text(redirect_uri)
    page.get_by_role("button", name="Check", exact=True).click()
    expect_said(page, "Google accepts the client id and secret.")
    assert secret not in page.content()
    assert OAuthClient.objects.get().state == OAuthClient.State.USABLE


def fill_addresses(page: Page, trip: Trip) -> None:
    labels = {
        "Authorisation page": "authorize_url",
        "Token endpoint": "token_url",
        "Revocation endpoint": "revoke_url",
        "Introspection endpoint": "introspect_url",
        "User info endpoint": "userinfo_url",
        "Issuer": "issuer",
    }
    page.get_by_text("Addresses that differ").click()
    for label, name in labels.items():
        page.get_by_label(label).fill(trip.addresses[name])


def authorise_twice(window: Watched, connector: Connector, trip: Trip) -> None:
    """Once without a scope, then with all."""
    trip.leave(window, connector)
    trip.decide(window.page, email=ALICE, without=["Read your mail"])
    expect_said(window.page, "Missing: mail.read.")
    trip.leave(window, connector)
    trip.decide(window.page)
    expect_said(window.page, f"Connected as {ALICE}, with every scope that was asked for.")


def see_the_token(window: Watched, connector: Connector) -> None:
    page, token = window.page, Token.objects.get(connector=connector)
    window.open(f"/admin/connectors/connector/{connector.pk}/change/")
    page.get_by_role("link", name="Token details").click()
    expect_said(page, ALICE)
    for scope in SCOPES:
        expect(page.locator(".pc-chip", has_text=scope)).to_be_visible()
    content = page.content()
    assert token.access_token.reveal() not in content
    assert token.refresh_token.reveal() not in content


def refresh_by_hand_and_by_worker(window: Watched) -> None:
    page = window.page
    lines = page.get_by_role("region", name="Refreshes").get_by_role("row")
    page.get_by_role("button", name="Refresh now").click()
    expect_said(page, "The token is refreshed.")
    expect(lines).to_have_count(2)  # with the head
    Token.objects.update(refresh_at=timezone.now())
    tasks.refresh_due_tokens.delay()
    eventually("the worker has refreshed it", lambda: Token.objects.get().refresh_count == 2)
    page.reload()
    expect(lines).to_have_count(3)


def forget_it(window: Watched, connector: Connector) -> None:
    token, page = Token.objects.get(), window.page
    other = make_connector(connector.project, "googledrive", ["openid"])
    make_token(other, oauth_client=token.oauth_client, account=ALICE, account_id=token.account_id)
    page.get_by_role("link", name="Revoke…").click()
    expect(page.get_by_role("link", name="Googledrive in Shop")).to_be_visible()
    page.get_by_role("radio", name="Forget it here only").check()
    page.get_by_role("button", name="Confirm").click()
    page.wait_for_load_state()
    expect_said(page, "forgotten")


# --- A colleague, by a link --------------------------------------------------------------------------------------


@pytest.fixture
def ended(connector: Connector, trip: Trip) -> Token:
    """A token whose consent its provider has ended."""
    return make_token(
        connector,
        oauth_client=trip.oauth_client(),
        state=Token.State.NEEDS_CONSENT,
        account=ALICE,
        account_id=f"id:{ALICE}",
        asked_scopes=SCOPES,
        granted_scopes=SCOPES,
    )


def test_a_colleague_gives_consent_by_a_link_that_serves_nobody_else(
    admin: User, ended: Token, trip: Trip, visit: Visit
) -> None:
    ada, kim, eve = visit(admin), visit(None), visit(None)
    link = make_link(ada)
    open_and_agree(kim, link, trip)
    eve.page.goto(link)
    expect_said(eve.page, "This link was used")
    ada.open("/admin/connectors/consentlink/")
    expect(ada.page.locator("#result_list").get_by_text("Used")).to_be_visible()
    expect(ada.page.locator("#result_list").get_by_text("kim")).to_be_visible()
    ended.refresh_from_db()
    assert (ended.state, ended.authorised_by_label) == (Token.State.FRESH, "kim")
    assert [*ada.faults, *kim.faults] == []


def make_link(window: Watched) -> str:
    page = window.page
    window.open("/admin/connectors/connector/desk/")
    page.get_by_role("checkbox", name="Gmail in Shop").check()
    page.get_by_label("Note for the colleague").fill("The support mailbox, please")
    page.get_by_role("button", name="Get links for 1 row").click()
    return page.locator("[id^=link-]").first.inner_text()


def open_and_agree(window: Watched, link: str, trip: Trip) -> None:
    page = window.page
    page.goto(link)
    log_in(page, make_user("kim"))
    for words in ("Shop asks to use Gmail", "The support mailbox, please", "Your password stays between you"):
        expect_said(page, words)
    assert link.rpartition("/consent/")[2].strip("/") not in page.url
    page.get_by_role("button", name="Continue to").click()
    trip.arrive(page)
    trip.decide(page, email=ALICE)
    expect_said(page, f"Connected as {ALICE}, with every scope that was asked for.")


def test_the_link_is_for_the_first_who_starts_with_it(admin: User, ended: Token, trip: Trip, visit: Visit) -> None:
    link = make_link(visit(admin))
    first, second = visit(make_user("kim")), visit(make_user("eve"))
    first.page.goto(link)
    first.page.get_by_role("button", name="Continue to").click()
    trip.arrive(first.page)
    second.page.goto(link)
    expect_said(second.page, "kim has opened this link already. It works for one person only.")
    trip.decide(first.page, email=ALICE)
    assert ConsentLink.objects.get().claimed_by_id == User.objects.get(username="kim").pk


# --- What can go wrong, in words ---------------------------------------------------------------------------------


def test_a_denied_request_and_another_account_are_said_and_leave_the_token(
    admin: User, connector: Connector, trip: Trip, visit: Visit
) -> None:
    oauth_client = trip.oauth_client()
    held = make_token(connector, oauth_client=oauth_client, account=ALICE, account_id=f"id:{ALICE}")
    window = visit(admin)
    trip.leave(window, connector)
    trip.decide(window.page, email=ALICE, decision="Deny")
    expect_said(window.page, "denied")
    forget_the_login(window.page, trip.provider)
    trip.leave(window, connector)
    trip.decide(window.page, email=BOB)
    expect_said(window.page, f"You signed in as {BOB}, but this connector belongs to {ALICE}.")
    assert Token.objects.get().generation == held.generation
    assert window.faults == []


def test_an_answer_that_took_too_long_is_said(admin: User, connector: Connector, trip: Trip, visit: Visit) -> None:
    trip.oauth_client()
    window = visit(admin)
    trip.leave(window, connector)
    Authorisation.objects.update(expires_at=timezone.now())
    trip.decide(window.page, email=ALICE)
    expect_said(window.page, "This sign-in took too long, and nothing was changed. Start again.")
    assert not Token.objects.exists()

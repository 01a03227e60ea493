"""Logging in as people do: a passkey from set-up to login, and a provider of single sign-on, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from connectors.models import Event, Sealed, SignInProvider
from tests.browser.conftest import OpenWindow
from tests.browser.harness import View, Watched
from tests.servers.openid_provider import OpenIdProvider

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NARROW_DARK = View("dark", 390, 844)


def give_key(window: Watched) -> None:
    """The browser gets a security key that says yes to everything, as a finger on a sensor would."""
    session = window.page.context.new_cdp_session(window.page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def log_in(window: Watched, user: User) -> None:
    window.open("/accounts/login/")
    window.page.get_by_label("Username or e-mail").fill(user.username)
    window.page.get_by_label("Password").fill("password")
    window.page.get_by_role("button", name="Log in", exact=True).click()


def looked_at(window: Watched) -> Callable[[str], None]:
    """Looks for faults of the page as it stands, which are told together at the end."""
    faults: list[str] = []

    def look(name: str) -> None:
        window.settle()
        faults.extend(f"{name}: {fault}" for fault in window.audit())
        window.faults.clear()
        assert not faults, "\n".join(faults)

    return look


@pytest.mark.parametrize("view", [View("light", 1440, 900), NARROW_DARK], ids=["wide", "narrow"])
def test_a_passkey_is_set_up_and_logs_in_without_a_password(
    admin: User, open_window: OpenWindow, settings: Any, view: View
) -> None:
    settings.MFA_REQUIRED = True
    admin.set_password("password")
    admin.save()
    window = open_window(view=view)
    look = looked_at(window)
    give_key(window)
    log_in(window, admin)
    window.page.wait_for_url("**/accounts/2fa/")
    look("second factor")
    window.page.get_by_role("link", name="Add a key").click()
    window.page.get_by_label("Password").fill("password")
    look("confirm access")
    window.page.get_by_role("button", name="Confirm").click()
    window.page.get_by_label("Passwordless").check()
    look("add a key")
    window.page.get_by_role("button", name="Add").click()
    window.page.wait_for_url("**/recovery-codes/")
    expect(window.page.locator("#recovery-codes li")).to_have_count(10)
    look("recovery codes")
    with window.page.expect_download() as download:
        window.page.get_by_role("link", name="Download the codes").click()
    assert len(download.value.path().read_text().split()) == 10
    window.open("/accounts/2fa/webauthn/")
    look("keys")
    window.open("/accounts/sessions/")
    look("sessions")
    window.page.context.clear_cookies()
    window.open("/accounts/login/")
    window.page.get_by_role("button", name="Use a passkey").click()
    window.page.wait_for_url("**/admin/")
    assert Event.objects.filter(verb="login.succeeded").latest("pk").after == {"how": "passkey"}
    Authenticator.objects.filter(type="webauthn").delete()
    window.page.context.clear_cookies()
    window.open("/accounts/login/")
    window.page.get_by_role("button", name="Use a passkey").click()
    expect(window.page.get_by_text("Incorrect code")).to_be_visible()
    assert Event.objects.filter(verb="login.failed").latest("pk").note == "Wrong passkey."


def test_an_authenticator_app_is_set_up_from_the_page(admin: User, open_window: OpenWindow) -> None:
    window = open_window(admin, NARROW_DARK)
    admin.set_password("password")
    admin.save()
    log_in(window, admin)
    window.open("/accounts/2fa/totp/activate/")
    window.page.get_by_label("Password").fill("password")
    window.page.get_by_role("button", name="Confirm").click()
    expect(window.page.get_by_alt_text("QR code for the authenticator app")).to_be_visible()
    looked_at(window)("set up an app")
    window.page.get_by_label("Authenticator code").fill("000000")
    window.page.get_by_role("button", name="Activate").click()
    expect(window.page.get_by_text("Incorrect code")).to_be_visible()
    looked_at(window)("wrong code")
    assert not Authenticator.objects.exists()


def test_the_button_of_a_provider_leads_there_and_back_in(
    admin: User, open_window: OpenWindow, openid_provider: OpenIdProvider, live_server: LiveServer, settings: Any
) -> None:
    settings.SIGN_IN_ALLOWED_PRIVATE_HOSTS = ["localhost"]
    known = openid_provider.register_client(f"{live_server.url}/accounts/sign-in/corp/callback/")
    SignInProvider.objects.create(
        slug="corp",
        name="Acme login",
        server_url=openid_provider.issuer,
        client_id=known.client_id,
        client_secret=Sealed.of(known.client_secret.get_secret_value()),
    )
    window = open_window()
    window.open("/accounts/login/?next=/accounts/sessions/")
    looked_at(window)("login")
    window.page.get_by_role("button", name="Continue with Acme login").click()
    window.page.wait_for_url(re.compile(r"/interaction/"))
    window.page.get_by_role("textbox", name="E-mail address").fill(admin.email)
    window.page.get_by_role("button", name="Approve").click()
    window.page.wait_for_url("**/accounts/sessions/")
    expect(window.page.get_by_text("This one")).to_be_visible()

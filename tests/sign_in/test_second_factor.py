"""Staff show a second factor before anything else, and keep one."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.contrib.auth.models import User
from django.test import Client
from fido2.utils import websafe_encode

from connectors.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def required(settings: Any) -> None:
    settings.MFA_REQUIRED = True


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


def log_in(client: Client, user: User) -> Any:
    return client.post("/accounts/login/", {"login": user.username, "password": "password"})


def verbs() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("verb", flat=True))


def test_whoever_has_none_is_led_to_set_one_up_and_gets_no_page_before(operator: User, client: Client) -> None:
    log_in(client, operator)
    for path in ("/admin/", "/admin/connectors/connector/", "/accounts/sessions/", "/accounts/password/change/"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/"), path
    assert client.get("/accounts/2fa/").status_code == 200


def test_a_fragment_that_htmx_asks_for_leads_the_whole_page_there(operator: User, client: Client) -> None:
    log_in(client, operator)
    answer = client.get("/admin/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/accounts/2fa/")


@pytest.mark.django_db(transaction=True)  # allauth tells of a new app when its row is committed
def test_an_authenticator_app_opens_the_portal_and_the_codes_are_shown_once(operator: User, client: Client) -> None:
    log_in(client, operator)
    client.post("/accounts/reauthenticate/", {"password": "password"})
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    found = re.search(r'id="authenticator_secret"[^>]*value="([A-Z0-9]+)"', page)
    assert found is not None
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_of(found[1])}, follow=True)
    codes = re.findall(r"<li>(\d{10})</li>", answer.content.decode())
    assert len(codes) == 10
    assert client.get("/admin/").status_code == 200
    assert codes[0] not in client.get("/accounts/2fa/recovery-codes/").content.decode()


def test_its_secret_is_encrypted_in_the_database(operator: User) -> None:
    secret = generate_totp_secret()
    assert secret not in str(TOTP.activate(operator, secret).instance.data)
    assert TOTP(Authenticator.objects.get()).validate_code(code_of(secret))


def test_the_login_asks_for_the_code_and_is_recorded_with_how(operator: User, client: Client) -> None:
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    assert log_in(client, operator)["Location"] == "/accounts/2fa/authenticate/"
    assert client.get("/admin/").status_code == 302
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    assert client.get("/admin/").status_code == 200
    assert Event.objects.get(verb="login.succeeded").after == {"how": "password and authenticator app"}


def test_a_wrong_code_lets_nobody_in_and_says_in_the_record_that_the_password_was_right(
    operator: User, client: Client
) -> None:
    TOTP.activate(operator, generate_totp_secret())
    log_in(client, operator)
    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert "_auth_user_id" not in client.session
    event = Event.objects.get(verb="login.failed")
    assert (event.target_id, event.note) == (str(operator.pk), "Wrong code; the password was right.")


def test_a_recovery_code_works_once_and_its_use_is_recorded(operator: User, client: Client) -> None:
    TOTP.activate(operator, generate_totp_secret())
    [code, *_] = RecoveryCodes.activate(operator).get_unused_codes()
    log_in(client, operator)
    client.post("/accounts/2fa/authenticate/", {"code": code})
    assert client.get("/admin/").status_code == 200
    assert "login.second_factor_used" in verbs()
    other = Client()
    log_in(other, operator)
    other.post("/accounts/2fa/authenticate/", {"code": code})
    assert "_auth_user_id" not in other.session


def test_a_session_from_before_the_factor_has_to_show_it(operator: User, client: Client) -> None:
    log_in(client, operator)
    TOTP.activate(operator, generate_totp_secret())
    assert client.get("/admin/")["Location"] == "/accounts/2fa/reauthenticate/?next=%2Fadmin%2F"


def test_the_last_factor_stays_while_it_is_required(operator: User, client: Client) -> None:
    secret = generate_totp_secret()
    TOTP.activate(operator, secret)
    log_in(client, operator)
    client.post("/accounts/2fa/authenticate/", {"code": code_of(secret)})
    client.post("/accounts/reauthenticate/", {"password": "password"})
    client.post("/accounts/2fa/totp/deactivate/")
    assert Authenticator.objects.filter(type="totp").exists()


def test_the_last_passkey_stays_too(operator: User, client: Client) -> None:
    key = Authenticator.objects.create(user=operator, type="webauthn", data={"name": "Key", "credential": {}})
    client.force_login(operator)
    client.post("/accounts/reauthenticate/", {"password": "password"})
    client.post(f"/accounts/2fa/webauthn/keys/{key.pk}/remove/")
    assert Authenticator.objects.filter(pk=key.pk).exists()


def test_a_factor_that_is_not_required_may_go_and_that_is_recorded(
    operator: User, client: Client, settings: Any
) -> None:
    settings.MFA_REQUIRED = False
    TOTP.activate(operator, generate_totp_secret())
    client.force_login(operator)
    client.post("/accounts/reauthenticate/", {"password": "password"})
    client.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    assert "login.second_factor_removed" in verbs()


def test_people_who_are_no_staff_and_doors_for_machines_need_none(stranger: User, client: Client) -> None:
    log_in(client, stranger)
    assert client.get("/accounts/sessions/").status_code == 200
    assert client.post("/api/check/").status_code == 401


def test_whoever_has_keys_alone_is_asked_for_one(operator: User, client: Client) -> None:
    Authenticator.objects.create(user=operator, type="webauthn", data={"name": "Key", "credential": {}})
    client.force_login(operator)
    assert client.get("/admin/")["Location"] == "/accounts/2fa/webauthn/reauthenticate/?next=%2Fadmin%2F"


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/2fa/totp/activate/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/2fa/webauthn/",
        "/accounts/2fa/recovery-codes/",
        "/accounts/2fa/recovery-codes/generate/",
        "/accounts/2fa/",
    ],
)
def test_a_session_without_the_factor_gets_no_other_one_by_the_password(
    operator: User, client: Client, path: str
) -> None:
    log_in(client, operator)
    Authenticator.objects.create(user=operator, type="webauthn", data={"name": "Key", "credential": {}})
    client.post("/accounts/reauthenticate/", {"password": "password"})
    for answer in (client.get(path), client.post(path, {})):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/2fa/webauthn/reauthenticate/?next=")


def test_a_session_without_the_factor_shows_a_recovery_code_instead(operator: User, client: Client) -> None:
    log_in(client, operator)
    TOTP.activate(operator, generate_totp_secret())
    [code, *_] = RecoveryCodes.activate(operator).get_unused_codes()
    assert client.get("/accounts/2fa/reauthenticate/").status_code == 200
    client.post("/accounts/2fa/reauthenticate/", {"code": code})
    assert client.get("/admin/").status_code == 200


def somebodys_passkey(user: User) -> dict[str, str]:
    """What a browser would send for this person, signed with a key that the portal does not know."""
    told = {"type": "webauthn.get", "challenge": websafe_encode(secrets.token_bytes(32)), "origin": "http://testserver"}
    credential = {
        "id": websafe_encode(b"unknown"),
        "rawId": websafe_encode(b"unknown"),
        "type": "public-key",
        "response": {
            "clientDataJSON": websafe_encode(json.dumps(told).encode()),
            "authenticatorData": websafe_encode(hashlib.sha256(b"testserver").digest() + bytes([5, 0, 0, 0, 0])),
            "signature": websafe_encode(secrets.token_bytes(64)),
            "userHandle": websafe_encode(str(user.pk).encode()),
        },
    }
    return {"credential": json.dumps(credential)}


def failures() -> list[tuple[str, str]]:
    return list(Event.objects.filter(verb="login.failed").values_list("target_label", "note"))


def test_a_wrong_passkey_after_the_password_is_on_record(operator: User, client: Client) -> None:
    TOTP.activate(operator, generate_totp_secret())
    log_in(client, operator)
    client.post("/accounts/2fa/authenticate/", somebodys_passkey(operator))
    assert "_auth_user_id" not in client.session
    assert failures() == [(str(operator), "Wrong passkey; the password was right.")]


def test_a_wrong_passkey_alone_is_on_record_without_the_name_it_claims(operator: User, client: Client) -> None:
    client.post("/accounts/2fa/webauthn/login/", somebodys_passkey(operator))
    assert "_auth_user_id" not in client.session
    assert failures() == [("(not known here)", "Wrong passkey.")]


def test_a_wrong_passkey_when_asked_again_is_on_record(operator: User, client: Client) -> None:
    Authenticator.objects.create(user=operator, type="webauthn", data={"name": "Key", "credential": {}})
    client.force_login(operator)
    client.post("/accounts/2fa/webauthn/reauthenticate/", somebodys_passkey(operator))
    assert failures() == [(str(operator), "Wrong passkey, when asked for it again.")]

"""Tokens and the device login: what is refused, when it is renewed, and by whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
import urllib3
from pydantic import SecretStr

from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import DeviceLogin, DeviceTokens, PersonalAccessToken
from connectors.core.base44.http import Transport, make_pool
from connectors.core.base44.sign_in import device_login_poll, device_login_start, refresh_device_token
from connectors.core.errors import ApiError, CredentialError
from tests.base44.scripted import Says, scripted

NOW = 1_000.0
EMPTY = Says({"integrations": []})
TOKEN_ANSWER = Says(
    {"access_token": "access-2", "token_type": "bearer", "expires_in": 600, "refresh_token": "refresh-2"}
)


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    pool = make_pool()
    yield pool
    pool.clear()


@pytest.fixture
def transport(pool: urllib3.PoolManager) -> Transport:
    return Transport(pool=pool, sleep=lambda _: None)


def tokens(number: int = 1, *, lives: float = 600) -> DeviceTokens:
    return DeviceTokens(SecretStr(f"access-{number}"), SecretStr(f"refresh-{number}"), NOW + lives)


class Owner:
    """Stores the tokens of a login, as the portal's database does."""

    def __init__(self, *outcomes: DeviceTokens | ApiError) -> None:
        self.outcomes, self.asked = list(outcomes), list[DeviceTokens]()

    def __call__(self, stale: DeviceTokens) -> DeviceTokens:
        self.asked.append(stale)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome


def login(held: DeviceTokens, owner: Owner) -> DeviceLogin:
    return DeviceLogin(held, owner, clock=lambda: NOW)


def test_a_workspace_key_is_refused_before_any_request() -> None:
    with pytest.raises(CredentialError, match="personal access token") as caught:
        PersonalAccessToken("b44k_" + "k" * 9)
    assert "kkk" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  \n", "two words", "a\r\nX-Evil: 1", "tökèn"])
def test_what_cannot_be_a_token_is_refused_without_quoting_it(token: str) -> None:
    with pytest.raises(CredentialError) as caught:
        PersonalAccessToken(SecretStr(token))
    assert "Evil" not in str(caught.value)


def test_blanks_around_a_pasted_token_are_dropped() -> None:
    assert PersonalAccessToken(" pat-of-ann\n").headers() == {"Authorization": "Bearer pat-of-ann"}


def test_credentials_do_not_show_their_tokens() -> None:
    shown = repr([PersonalAccessToken("pat-of-ann"), login(tokens(), Owner()), tokens()])
    assert "pat-of-ann" not in shown
    assert "access-1" not in shown


def test_a_login_that_lasts_is_not_renewed() -> None:
    assert login(tokens(lives=61), Owner()).headers() == {"Authorization": "Bearer access-1"}


def test_a_login_is_renewed_a_minute_before_its_end() -> None:
    owner = Owner(tokens(2))
    assert login(tokens(lives=60), owner).headers() == {"Authorization": "Bearer access-2"}
    assert owner.asked == [tokens(lives=60)]


def test_an_outage_does_not_stop_what_the_old_token_still_can_do() -> None:
    owner = Owner(ApiError("later", permanent=False))
    assert login(tokens(lives=30), owner).headers() == {"Authorization": "Bearer access-1"}


def test_an_outage_is_reported_once_the_old_token_is_over() -> None:
    with pytest.raises(ApiError, match="later"):
        login(tokens(lives=0), Owner(ApiError("later", permanent=False))).headers()


def test_an_ended_login_is_reported_even_before_the_access_token_is_over() -> None:
    with pytest.raises(CredentialError):
        login(tokens(lives=30), Owner(CredentialError("sign in again"))).headers()


def test_threads_that_meet_401_together_renew_once() -> None:
    owner = Owner(tokens(2))
    credential = login(tokens(), owner)
    rejected = credential.headers()
    threads = [threading.Thread(target=credential.renew, args=(rejected,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(owner.asked) == 1
    assert credential.headers() == {"Authorization": "Bearer access-2"}


def test_after_401_the_call_is_made_again_with_renewed_tokens(pool: urllib3.PoolManager) -> None:
    with scripted(Says({"detail": "Expired"}, 401), EMPTY) as server:
        Base44Client(server.url, login(tokens(), Owner(tokens(2))), pool=pool).list_connectors("app1")
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer access-1", "Bearer access-2"]


def test_a_second_401_ends_the_call(pool: urllib3.PoolManager) -> None:
    with scripted(Says({"detail": "Expired"}, 401)) as server:
        client = Base44Client(server.url, login(tokens(), Owner(tokens(2), tokens(3))), pool=pool)
        with pytest.raises(CredentialError):
            client.list_connectors("app1")
    assert len(server.asked) == 2


def test_a_sign_in_starts_with_a_code_to_show(transport: Transport) -> None:
    code = {
        "device_code": "device-secret",
        "user_code": "ABCD-EFGH",
        "verification_uri": "https://base44.example/device",
        "expires_in": 600,
        "interval": 5,
    }
    with scripted(Says(code)) as server:
        started = device_login_start(server.url, transport=transport)
    assert (started.user_code, started.interval) == ("ABCD-EFGH", 5)
    assert "device-secret" not in repr(started)
    assert b'"client_id":"base44_cli"' in server.asked[0].body


@pytest.mark.parametrize("error", ["authorization_pending", "slow_down"])
def test_polling_gives_nothing_until_the_person_agreed(transport: Transport, error: str) -> None:
    with scripted(Says({"error": error}, 400)) as server:
        assert device_login_poll(server.url, SecretStr("device-secret"), transport=transport) is None


def test_polling_gives_tokens_once_the_person_agreed(transport: Transport) -> None:
    with scripted(TOKEN_ANSWER) as server:
        assert device_login_poll(server.url, SecretStr("d"), now=NOW, transport=transport) == tokens(2)
    assert server.asked[0].headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(("error", "said"), [("access_denied", "declined"), ("expired_token", "in time")])
def test_polling_says_why_a_sign_in_is_over(transport: Transport, error: str, said: str) -> None:
    with scripted(Says({"error": error}, 400)) as server, pytest.raises(CredentialError, match=said):
        device_login_poll(server.url, SecretStr("device-secret"), transport=transport)


def test_renewing_sends_the_refresh_token_and_gives_the_new_ones(transport: Transport) -> None:
    with scripted(TOKEN_ANSWER) as server:
        assert refresh_device_token(server.url, tokens(), now=NOW, transport=transport) == tokens(2)
    form = parse_qs(server.asked[0].body.decode())
    assert (form["grant_type"], form["refresh_token"]) == (["refresh_token"], ["refresh-1"])


def test_a_refused_refresh_token_needs_a_new_sign_in(transport: Transport) -> None:
    refused = Says({"error": "invalid_grant", "error_description": "refresh-1 was used before"}, 400)
    with scripted(refused) as server, pytest.raises(CredentialError, match="sign in again") as caught:
        refresh_device_token(server.url, tokens(), transport=transport)
    assert "refresh-1" not in str(caught.value)


@pytest.mark.parametrize(
    "trouble", [Says(status=502), Says(hangs_up=True), Says({"access_token": "access-2"})], ids=repr
)
def test_a_failed_renewal_is_not_repeated_and_does_not_end_the_login(transport: Transport, trouble: Says) -> None:
    with scripted(trouble) as server, pytest.raises(ApiError) as caught:
        refresh_device_token(server.url, tokens(), transport=transport)
    assert (caught.value.permanent, caught.value.code, len(server.asked)) == (False, "answer_lost", 1)
    assert not isinstance(caught.value, CredentialError)

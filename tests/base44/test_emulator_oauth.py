"""The stand-in OAuth provider of the demo: consent, tokens, their rotation and their end, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.oauth_rules import SPENT_KEPT
from connectors.core.base44.emulator.oauth_state import OAuthClient
from connectors.core.base44.emulator.seed import COLLEAGUE, OWNER
from tests.servers.http import Reply, ask

REDIRECT = "http://127.0.0.1:9/oauth/demo/callback/"
SCOPES = ["openid", "mail.read", "mail.send"]
VERIFIER = secrets.token_urlsafe(48)
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Team:
    """A client of the provider, and a browser beside it."""

    emulator: Emulator
    client: OAuthClient

    @property
    def credentials(self) -> dict[str, str]:
        return {"client_id": self.client.client_id, "client_secret": self.client.client_secret}

    def path(self, **changes: str) -> str:
        query = {
            "client_id": self.client.client_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "state": "a state & more",
            "nonce": "a-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return f"/provider/authorize?{urlencode({**query, **changes})}"

    def decide(self, decision: str, *, path: str = "", **form: object) -> dict[str, str]:
        """What the answer at the redirect URI says."""
        sent = {"decision": decision, "account": OWNER, **form}
        return answer_in(ask(self.emulator.url, "POST", path or self.path(), form=sent))

    def post(self, name: str, **form: str) -> Reply:
        return ask(self.emulator.url, "POST", f"/provider/{name}", form={**self.credentials, **form})

    def exchange(self, code: str, **changes: str) -> Reply:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        return self.post("token", **{**form, **changes})

    def refresh(self, token: str) -> Reply:
        return self.post("token", grant_type="refresh_token", refresh_token=token)

    def tokens(self) -> dict[str, Any]:
        """An answer of the token endpoint after everything was approved."""
        answer: dict[str, Any] = self.exchange(self.decide("all")["code"]).json
        return answer

    def is_active(self, token: str) -> bool:
        return bool(self.post("introspect", token=token).json["active"])

    def whose(self, access: str) -> Reply:
        return ask(self.emulator.url, "GET", "/provider/userinfo", token=access)


def answer_in(reply: Reply) -> dict[str, str]:
    location = reply.headers["location"]
    assert (reply.status, location.partition("?")[0]) == (303, REDIRECT)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


@pytest.fixture
def team(emulator: Emulator) -> Team:
    client = OAuthClient("demo-client", secrets.token_urlsafe(32), "Demo app", [REDIRECT], access_life=120)
    emulator.add_oauth_client(client)
    return Team(emulator, client)


# the consent page


def test_the_page_says_that_it_is_a_stand_in_and_who_asks_for_what(team: Team) -> None:
    text = ask(team.emulator.url, "GET", team.path()).text
    for words in ("<h1>Stand-in provider</h1>", "consent page", "Demo app", OWNER, COLLEAGUE, *SCOPES):
        assert words in text


def test_the_page_lets_its_form_lead_back_to_the_client_only(team: Team) -> None:
    policy = ask(team.emulator.url, "GET", team.path()).headers["content-security-policy"]
    assert policy.endswith("form-action 'self' http://127.0.0.1:9")


def test_the_account_of_the_login_hint_is_chosen(team: Team) -> None:
    text = ask(team.emulator.url, "GET", team.path(login_hint=COLLEAGUE)).text
    assert f'value="{COLLEAGUE}" selected' in text


def test_the_answer_brings_state_and_issuer_back(team: Team) -> None:
    answer = team.decide("all")
    assert (answer["state"], answer["iss"]) == ("a state & more", f"{team.emulator.url}/provider")


def test_denying_is_told_to_the_client(team: Team) -> None:
    answer = team.decide("deny")
    assert (answer["error"], answer["state"], "code" in answer) == ("access_denied", "a state & more", False)


def test_approving_what_is_ticked_grants_only_that(team: Team) -> None:
    code = team.decide("some", scope=["mail.read", "mail.delete"])["code"]
    assert team.exchange(code).json["scope"] == "mail.read"


def test_an_account_can_be_typed(team: Team) -> None:
    access = team.exchange(team.decide("all", other="someone@else.example")["code"]).json["access_token"]
    assert team.whose(access).json["email"] == "someone@else.example"


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "nobody"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://127.0.0.1:9/oauth/other/callback/"},
        {"redirect_uri": "http://127.0.0.1:9@evil.example/oauth/demo/callback/"},
        {"redirect_uri": ""},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_sent_to_an_address_that_is_not_registered(team: Team, method: str, change: dict[str, str]) -> None:
    reply = ask(team.emulator.url, method, team.path(**change), form={"decision": "all", "account": OWNER})
    assert (reply.status, "location" in reply.headers) == (400, False)


def test_elsewhere_the_redirect_uri_counts_letter_by_letter(team: Team) -> None:
    team.client.redirect_uris = ["https://portal.example/callback/"]
    for near in ("https://portal.example/callback", "https://portal.example:8443/callback/", "https://evil.example/"):
        assert ask(team.emulator.url, "GET", team.path(redirect_uri=near)).status == 400


def test_a_client_on_this_machine_may_have_moved_to_another_port(team: Team) -> None:
    moved = REDIRECT.replace(":9/", ":10/")
    reply = ask(team.emulator.url, "POST", team.path(redirect_uri=moved), form={"decision": "deny"})
    assert reply.headers["location"].startswith(moved)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_what_is_wrong_with_a_request_is_told_to_the_client(team: Team, change: dict[str, str], error: str) -> None:
    assert answer_in(ask(team.emulator.url, "GET", team.path(**change)))["error"] == error


@pytest.mark.parametrize("form", [{"decision": "perhaps", "account": OWNER}, {"decision": "all"}])
def test_a_form_without_decision_or_account_decides_nothing(team: Team, form: dict[str, str]) -> None:
    reply = ask(team.emulator.url, "POST", team.path(), form=form)
    assert (reply.status, team.emulator.state.data.oauth.codes) == (400, {})


def test_scopes_are_shown_as_text_not_as_markup(team: Team) -> None:
    text = ask(team.emulator.url, "GET", team.path(scope="<script>alert(1)</script>")).text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


# tokens


def test_a_code_is_exchanged_for_a_pair_of_tokens(team: Team) -> None:
    reply = team.exchange(team.decide("all")["code"])
    assert (reply.json["token_type"], reply.json["expires_in"], reply.json["scope"].split()) == ("Bearer", 120, SCOPES)
    assert reply.headers["cache-control"] == "no-store"
    assert team.whose(reply.json["access_token"]).json["email"] == OWNER


def test_the_identity_token_answers_this_request_and_is_signed_with_the_clients_secret(team: Team) -> None:
    answer = team.tokens()
    claims = jwt.decode(
        answer["id_token"],
        team.client.client_secret,
        algorithms=["HS256"],
        audience=team.client.client_id,
        issuer=f"{team.emulator.url}/provider",
    )
    assert (claims["nonce"], claims["email"]) == ("a-nonce", OWNER)
    assert claims["sub"] == team.whose(answer["access_token"]).json["sub"]


def test_there_is_no_identity_token_unless_it_was_asked_for(team: Team) -> None:
    code = team.decide("all", path=team.path(scope="mail.read"))["code"]
    assert "id_token" not in team.exchange(code).json


@pytest.mark.parametrize(
    "change",
    [{"code_verifier": "another"}, {"code_verifier": ""}, {"redirect_uri": "http://127.0.0.1:9/"}],
)
def test_a_code_is_refused_to_whoever_did_not_start(team: Team, change: dict[str, str]) -> None:
    reply = team.exchange(team.decide("all")["code"], **change)
    assert (reply.status, reply.json["error"]) == (400, "invalid_grant")


def test_a_made_up_code_is_refused(team: Team) -> None:
    assert team.exchange(secrets.token_urlsafe(16)).json["error"] == "invalid_grant"


def test_an_unreadable_challenge_is_answered_by_nothing(team: Team) -> None:
    code = team.decide("all", path=team.path(code_challenge="ä"))["code"]
    assert team.exchange(code).json["error"] == "invalid_grant"


def test_a_code_of_another_client_is_refused(team: Team) -> None:
    other = Team(team.emulator, OAuthClient("other", secrets.token_urlsafe(16), "Other", [REDIRECT]))
    team.emulator.add_oauth_client(other.client)
    assert other.exchange(team.decide("all")["code"]).json["error"] == "invalid_grant"


def test_a_code_ends_after_a_minute(team: Team) -> None:
    code = team.decide("all")["code"]
    team.emulator.advance(61)
    assert team.exchange(code).json["error"] == "invalid_grant"


def test_a_code_used_twice_ends_what_it_was_exchanged_for(team: Team) -> None:
    code = team.decide("all")["code"]
    first = team.exchange(code).json
    assert team.exchange(code).json["error"] == "invalid_grant"
    assert not team.is_active(first["access_token"])


def test_an_access_token_ends_in_its_time(team: Team) -> None:
    access = team.tokens()["access_token"]
    team.emulator.advance(121)
    assert (team.is_active(access), team.whose(access).status) == (False, 401)


def test_a_refresh_gives_another_pair_with_the_same_scopes(team: Team) -> None:
    first = team.tokens()
    second = team.refresh(first["refresh_token"]).json
    assert second["scope"] == first["scope"]
    assert {second["access_token"], second["refresh_token"]}.isdisjoint(first.values())


def test_a_grant_can_have_an_end_that_no_refresh_moves(team: Team) -> None:
    team.client.refresh_life = 1000
    first = team.tokens()
    team.emulator.advance(600)
    second = team.refresh(first["refresh_token"]).json
    assert first["refresh_token_expires_in"] > 900
    assert second["refresh_token_expires_in"] <= 400
    team.emulator.advance(400)
    assert team.refresh(second["refresh_token"]).json["error"] == "invalid_grant"


def test_a_refresh_token_used_twice_ends_the_grant(team: Team) -> None:
    first = team.tokens()
    second = team.refresh(first["refresh_token"]).json
    assert team.refresh(first["refresh_token"]).json["error"] == "invalid_grant"
    assert team.refresh(second["refresh_token"]).json["error"] == "invalid_grant"
    assert not team.is_active(second["access_token"])


def test_many_refreshes_do_not_fill_the_state(team: Team) -> None:
    answer = team.tokens()
    for _ in range(SPENT_KEPT + 5):
        team.emulator.advance(121)
        answer = team.refresh(answer["refresh_token"]).json
    assert len(team.emulator.state.data.oauth.tokens) == SPENT_KEPT + 2


def test_an_access_token_refreshes_nothing(team: Team) -> None:
    assert team.refresh(team.tokens()["access_token"]).json["error"] == "invalid_grant"


def test_an_unknown_kind_of_grant_is_refused(team: Team) -> None:
    assert team.post("token", grant_type="password").json == {"error": "unsupported_grant_type"}


@pytest.mark.parametrize("name", ["token", "revoke", "introspect"])
def test_a_wrong_secret_is_refused(team: Team, name: str) -> None:
    reply = team.post(name, client_secret="another", token="x", grant_type="refresh_token")
    assert (reply.status, reply.json) == (401, {"error": "invalid_client"})


def test_a_client_can_name_itself_in_the_header(team: Team) -> None:
    basic = base64.b64encode(f"{team.client.client_id}:{team.client.client_secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    reply = ask(team.emulator.url, "POST", "/provider/introspect", form={"token": "x"}, headers=headers)
    assert (reply.status, reply.json) == (200, {"active": False})


@pytest.mark.parametrize("header", ["Basic %%%", "Basic /w==", "Basic"])
def test_an_unreadable_header_names_nobody(team: Team, header: str) -> None:
    headers = {"Authorization": header}
    assert ask(team.emulator.url, "POST", "/provider/token", form={}, headers=headers).status == 401


# looking up and ending


def test_introspection_tells_scopes_account_and_end(team: Team) -> None:
    access = team.tokens()["access_token"]
    found = team.post("introspect", token=access).json
    assert (found["active"], found["scope"].split(), found["username"]) == (True, SCOPES, OWNER)
    assert 100 < found["exp"] - team.emulator.now() <= 120


def test_a_client_learns_nothing_of_anothers_token(team: Team) -> None:
    other = Team(team.emulator, OAuthClient("other", secrets.token_urlsafe(16), "Other", [REDIRECT]))
    team.emulator.add_oauth_client(other.client)
    access = team.tokens()["access_token"]
    other.post("revoke", token=access)
    assert (other.is_active(access), team.is_active(access)) == (False, True)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_both(team: Team, which: str) -> None:
    answer = team.tokens()
    assert [team.post("revoke", token=answer[which]).status for _ in range(2)] == [200, 200]
    assert not team.is_active(answer["access_token"])
    assert team.refresh(answer["refresh_token"]).json["error"] == "invalid_grant"


def test_other_consents_of_the_account_survive_a_revocation(team: Team) -> None:
    first, second = team.tokens(), team.tokens()
    team.post("revoke", token=first["refresh_token"])
    assert team.is_active(second["access_token"])


def test_a_person_takes_consent_back(team: Team) -> None:
    access = team.tokens()["access_token"]
    text = ask(team.emulator.url, "GET", "/provider").text
    assert "Demo app" in text
    assert OWNER in text
    path = text.split('action="')[1].split('"')[0]
    assert ask(team.emulator.url, "POST", path, form={}).headers["location"] == "/provider"
    assert not team.is_active(access)


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic eDp5"}])
def test_a_profile_is_shown_to_holders_of_a_token_only(team: Team, header: dict[str, str]) -> None:
    assert ask(team.emulator.url, "GET", "/provider/userinfo", headers=header).status == 401


def test_a_refresh_token_opens_no_profile(team: Team) -> None:
    assert team.whose(team.tokens()["refresh_token"]).status == 401


# arranging it


def test_a_client_is_registered_and_changed_from_outside(team: Team) -> None:
    body = {"client_id": "demo-client", "client_secret": "another", "redirect_uris": [REDIRECT], "access_life": 5}
    access = team.tokens()["access_token"]
    assert ask(team.emulator.url, "POST", "/_emulator/oauth-clients", body).status == 200
    changed = Team(team.emulator, OAuthClient("demo-client", "another", "demo-client"))
    assert changed.is_active(access)
    assert changed.tokens()["expires_in"] == 5


def test_a_refresh_can_be_made_to_fail(team: Team) -> None:
    token = team.tokens()["refresh_token"]
    team.emulator.fail("POST", "/provider/token", status=503)
    assert [team.refresh(token).status for _ in range(2)] == [503, 200]


def test_clients_and_grants_are_kept_between_starts(tmp_path: Path) -> None:
    state, client = tmp_path / "state.json", OAuthClient("kept", secrets.token_urlsafe(16), "Kept", [REDIRECT])
    with Emulator(state_file=state) as first:
        first.add_oauth_client(client)
        answer = Team(first, client).tokens()
    with Emulator(state_file=state) as second:
        assert Team(second, client).refresh(answer["refresh_token"]).status == 200


def test_the_log_of_requests_holds_no_token(team: Team) -> None:
    answer = team.tokens()
    team.whose(answer["access_token"])
    shown = ask(team.emulator.url, "GET", "/_emulator/requests").text
    assert "/provider/token" in shown
    assert not [text for text in answer.values() if isinstance(text, str) and len(text) > 20 and text in shown]

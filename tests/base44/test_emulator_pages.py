"""The pages on which a person gives consent, signs in, or claims a Stripe sandbox."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.seed import COLLEAGUE, OWNER
from tests.servers.http import Reply, ask

AUTH = "/api/apps/shop/external-auth"
SCOPES = ["chat:write", "channels:read"]


def consent_path(emulator: Emulator, integration_type: str = "slackbot") -> str:
    path = f"{AUTH}/integrations/{integration_type}"
    answer = ask(emulator.url, "PUT", path, {"scopes": SCOPES}, token=emulator.pat).json
    return str(urlsplit(answer["redirect_url"]).path)


def decide(emulator: Emulator, path: str, decision: str, **form: object) -> Reply:
    return ask(emulator.url, "POST", path, form={"decision": decision, **form})


def granted(emulator: Emulator) -> list[str]:
    return emulator.app("shop").connections["slackbot"].scopes


def test_the_consent_page_names_app_type_and_every_scope(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", consent_path(emulator))
    assert reply.status == 200
    for words in ("Connect Slack Bot to Shop", *SCOPES, OWNER, COLLEAGUE):
        assert words in reply.text


def test_approving_all_grants_every_scope(emulator: Emulator) -> None:
    reply = decide(emulator, consent_path(emulator), "all", account=OWNER)
    assert "You can close this page" in reply.text
    assert granted(emulator) == SCOPES


def test_approving_what_is_ticked_grants_only_that(emulator: Emulator) -> None:
    decide(emulator, consent_path(emulator), "some", account=OWNER, scope=["channels:read"])
    assert granted(emulator) == ["channels:read"]


def test_auto_added_scopes_cannot_be_unticked(emulator: Emulator) -> None:
    path = consent_path(emulator, "slack")
    assert 'value="identify" checked disabled' in ask(emulator.url, "GET", path).text
    decide(emulator, path, "some", scope=["chat:write"])
    assert emulator.app("shop").connections["slack"].scopes == ["chat:write", "identify"]


def test_denying_connects_nothing(emulator: Emulator) -> None:
    decide(emulator, consent_path(emulator), "deny")
    assert emulator.app("shop").connections == {}


def test_another_person_can_give_consent(emulator: Emulator) -> None:
    decide(emulator, consent_path(emulator), "all", account=OWNER, other="someone@acme.example")
    assert emulator.app("shop").connections["slackbot"].account == "someone@acme.example"


def test_a_link_works_once(emulator: Emulator) -> None:
    path = consent_path(emulator)
    decide(emulator, path, "deny")
    for reply in (ask(emulator.url, "GET", path), decide(emulator, path, "all")):
        assert (reply.status, "This link has been used" in reply.text) == (410, True)
    assert emulator.app("shop").connections == {}


def test_looking_at_a_link_does_not_use_it_up(emulator: Emulator) -> None:
    path = consent_path(emulator)
    assert [ask(emulator.url, "GET", path).status for _ in range(2)] == [200, 200]


def test_an_unknown_link_is_not_found(emulator: Emulator) -> None:
    assert ask(emulator.url, "GET", "/connect/nothing").status == 404


def test_a_form_without_a_decision_decides_nothing(emulator: Emulator) -> None:
    path = consent_path(emulator)
    assert decide(emulator, path, "perhaps").status == 400
    assert ask(emulator.url, "GET", path).status == 200


def test_scopes_are_shown_as_text_not_as_markup(emulator: Emulator) -> None:
    path = f"{AUTH}/integrations/slackbot"
    answer = ask(emulator.url, "PUT", path, {"scopes": ["<script>alert(1)</script>"]}, token=emulator.pat).json
    text = ask(emulator.url, "GET", urlsplit(answer["redirect_url"]).path).text
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_pages_load_nothing_and_are_not_kept(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", consent_path(emulator))
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert (reply.headers["cache-control"], reply.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert not re.search(r"(src|href)=", reply.text)


def test_the_log_does_not_hold_the_secret_of_a_link(emulator: Emulator) -> None:
    path = consent_path(emulator)
    ask(emulator.url, "GET", path)
    assert path not in ask(emulator.url, "GET", "/_emulator/requests").text


def test_the_first_page_shows_what_there_is(emulator: Emulator) -> None:
    emulator.register("shop", "notion", status="expired")
    text = ask(emulator.url, "GET", "/").text
    assert "notion, expired, 0 scopes" in text


# device login


def user_code(emulator: Emulator) -> str:
    body = {"client_id": "base44_cli", "scope": "apps:read"}
    return str(ask(emulator.url, "POST", "/oauth/device/code", body).json["user_code"])


def test_a_person_approves_a_sign_in_by_its_code(emulator: Emulator) -> None:
    code = user_code(emulator)
    assert f'value="{code}"' in ask(emulator.url, "GET", f"/device?user_code={code}").text
    assert "Signed in" in decide(emulator, "/device", "approve", user_code=code, account=COLLEAGUE).text
    assert [login.email for login in emulator.state.data.device_logins.values()] == [COLLEAGUE]


def test_a_person_refuses_a_sign_in(emulator: Emulator) -> None:
    decide(emulator, "/device", "deny", user_code=user_code(emulator), account=OWNER)
    assert [login.denied for login in emulator.state.data.device_logins.values()] == [True]


def test_a_wrong_code_is_refused(emulator: Emulator) -> None:
    assert decide(emulator, "/device", "approve", user_code="XXXX-XXXX", account=OWNER).status == 404


def test_only_known_people_sign_in(emulator: Emulator) -> None:
    code = user_code(emulator)
    assert decide(emulator, "/device", "approve", user_code=code, other="nobody@else.example").status == 400


# Stripe


def test_a_sandbox_is_claimed_once(emulator: Emulator) -> None:
    answer = ask(emulator.url, "POST", "/api/apps/shop/payments/stripe/install", token=emulator.pat).json
    path = urlsplit(answer["claim_url"]).path
    assert "Claim the Stripe sandbox of Shop" in ask(emulator.url, "GET", path).text
    assert [ask(emulator.url, "POST", path).status for _ in range(2)] == [200, 410]
    status = ask(emulator.url, "GET", "/api/apps/shop/payments/stripe/status", token=emulator.pat).json
    assert status == {"stripe_mode": "sandbox", "sandbox_claim_url": None}

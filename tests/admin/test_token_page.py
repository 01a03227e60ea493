"""A token's page and what can be done there: never its text, never more than was shown, and unknown is said as such."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.models import Authorisation, Connector, OAuthClient, Project, Token, TokenRefresh
from tests.admin.html import parse
from tests.factories import make_connector, make_oauth_client, make_project, make_token, make_user
from tests.servers.token_endpoint import TokenServer

SCOPES = ["openid", "https://www.googleapis.com/auth/gmail.send"]


@pytest.fixture
def oauth_client(idp: TokenServer, db: None) -> OAuthClient:
    paths = {"token_url": "/token", "introspect_url": "/introspect", "revoke_url": "/revoke"}
    return make_oauth_client(settings={name: idp.url + path for name, path in paths.items()})


@pytest.fixture
def token(project: Project, oauth_client: OAuthClient, idp: TokenServer) -> Token:
    return held(project, "gmail", oauth_client, refresh=idp.issue()[1])


def held(project: Project, type_: str, oauth_client: OAuthClient, **values: Any) -> Token:
    values = {"asked_scopes": SCOPES, "account": "ada@acme.example", "account_id": "a-1", **values}
    return make_token(make_connector(project, type_, SCOPES), oauth_client=oauth_client, **values)


def path(token: Token, page: str = "change") -> str:
    return reverse(f"admin:connectors_token_{page}", args=[token.pk])


def text(browser: Client, address: str) -> str:
    """What the page says, without its markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", browser.get(address).content.decode()).split())


def messages(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def logged_in(user: User, *codenames: str) -> Client:
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(User.objects.get(pk=user.pk))
    return client


# --- What the page says -------------------------------------------------------------------------------------------


def test_scopes_that_nobody_knows_are_not_shown_as_none(browser: Client, token: Token) -> None:
    page = text(browser, path(token))
    assert "The provider does not say what it granted. These scopes were asked for:" in page
    assert SCOPES[1] in page
    assert "granted no scopes" not in page


def test_no_granted_scope_is_said_as_the_providers_word(browser: Client, token: Token) -> None:
    Token.objects.update(granted_scopes=[], asked_scopes=[])
    assert "The provider says that it granted no scopes." in text(browser, path(token))


def test_a_scope_that_was_asked_for_and_not_granted_is_marked(browser: Client, token: Token) -> None:
    Token.objects.update(granted_scopes=["openid"])
    page = parse(browser.get(path(token)).content)
    assert [chip.text for chip in page.having("class", "pc-chip--del")] == [f"Asked for and not granted: {SCOPES[1]}"]


def test_the_list_says_that_granted_scopes_are_unknown(browser: Client, token: Token) -> None:
    assert "unknown" in text(browser, reverse("admin:connectors_token_changelist"))


def test_the_page_says_when_other_scopes_are_declared_by_now(browser: Client, token: Token) -> None:
    assert "asks for other scopes by now" not in text(browser, path(token))
    Connector.objects.update(scopes=["openid"])
    assert "asks for other scopes by now" in text(browser, path(token))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"state": "needs_consent", "last_error": "The consent has ended."}, "The consent has ended."),
        ({"state": "failing", "last_error": "Google did not answer.", "failures": 3}, "Google did not answer."),
        ({"state": "revoked"}, "The token was revoked."),
        ({"refresh_at": None, "expires_at": timezone.now()}, "There is nothing to renew it with"),
    ],
)
def test_what_is_wrong_is_said_in_words(values: dict[str, Any], words: str, browser: Client, token: Token) -> None:
    Token.objects.update(**values)
    assert words in text(browser, path(token))


def test_a_misconfigured_client_is_named_as_the_reason(browser: Client, token: Token) -> None:
    OAuthClient.objects.update(state="misconfigured", state_note="Google refused the secret.")
    assert "Google refused the secret." in text(browser, path(token))


def test_the_page_shows_refreshes_and_who_tried_to_authorise(browser: Client, token: Token, viewer: User) -> None:
    TokenRefresh.objects.create(token=token, at=timezone.now(), outcome="transient", note="Google answered 503.")
    attempt(token, viewer, "denied")
    page = text(browser, path(token))
    assert "Google answered 503." in page
    assert "viewer" in page
    assert "Denied" in page


def attempt(token: Token, user: User, outcome: str) -> None:
    now = timezone.now()
    Authorisation.objects.create(
        state_hash=f"{outcome}-{Authorisation.objects.count()}",
        connector=token.connector,
        oauth_client=token.oauth_client,
        user=user,
        outcome=outcome,
        created_at=now,
        expires_at=now,
    )


def test_the_page_takes_the_same_statements_however_long_its_history(
    browser: Client, token: Token, viewer: User
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            browser.get(path(token))
        return len(captured)

    statements()  # from here on the numbers in the sidebar come from the cache
    few = statements()
    line = {"token": token, "at": timezone.now(), "outcome": "ok"}
    TokenRefresh.objects.bulk_create(TokenRefresh(**line) for _ in range(60))
    for _ in range(30):
        attempt(token, viewer, "connected")
    assert (few, statements()) == (8, 8)


def test_no_page_shows_or_loads_a_secret(browser: Client, token: Token, oauth_client: OAuthClient) -> None:
    other = held(make_project(), "googledrive", oauth_client)
    sealed = [token.access_token, token.refresh_token, oauth_client.client_secret, other.refresh_token]
    secrets = [word for one in sealed for word in (one.reveal(), one.ciphertext)]
    pages = [path(token), path(token, "revoke"), path(token, "history"), reverse("admin:connectors_token_changelist")]
    pages += [reverse("admin:connectors_connector_change", args=[token.connector_id])]
    contents = [browser.get(page).content.decode() for page in pages]
    contents += [browser.post(path(token, name), follow=True).content.decode() for name in ("refresh", "introspect")]
    contents.append(browser.post(path(token, "revoke"), {"how": "one"}, follow=True).content.decode())
    assert not [secret for secret in secrets for content in contents if secret in content]


def test_a_page_is_shown_when_the_key_of_the_secrets_is_lost(browser: Client, token: Token, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    for page in ("change", "revoke"):
        assert browser.get(path(token, page)).status_code == 200
    assert "cannot be read" in messages(browser.post(path(token, "introspect"), follow=True))[0]


def test_the_connectors_page_shows_its_token(browser: Client, token: Token) -> None:
    page = browser.get(reverse("admin:connectors_connector_change", args=[token.connector_id])).content.decode()
    assert "ada@acme.example" in page
    assert "granted: unknown" in page
    assert path(token) in page


def test_a_connector_without_a_token_says_so(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail")
    page = text(browser, reverse("admin:connectors_connector_change", args=[connector.pk]))
    assert "The portal holds no token for it." in page


def test_whoever_deletes_a_connector_or_project_is_told_of_its_token(browser: Client, token: Token) -> None:
    connector = reverse("admin:connectors_connector_delete", args=[token.connector_id])
    assert "stays valid at the provider: revoke it first" in text(browser, connector)
    project = reverse("admin:connectors_project_delete", args=[token.connector.project_id])
    assert "1 token(s) stay valid at their providers" in text(browser, project)


def test_a_connector_with_a_token_can_be_deleted(browser: Client, token: Token) -> None:
    browser.post(reverse("admin:connectors_connector_delete", args=[token.connector_id]), {"post": "yes"})
    assert not Connector.objects.exists()
    assert not Token.objects.exists()


@pytest.mark.parametrize("page", ["connector", "project"])
def test_who_may_not_forget_tokens_deletes_nothing_that_has_one(page: str, token: Token) -> None:
    allowed = [f"{may}_{what}" for may in ("view", "delete") for what in ("connector", "project")]
    browser = logged_in(make_user("cleaner", staff=True), *allowed)
    row = {"connector": token.connector_id, "project": token.connector.project_id}[page]
    browser.post(reverse(f"admin:connectors_{page}_delete", args=[row]), {"post": "yes"})
    assert Token.objects.exists()


# --- Buttons ------------------------------------------------------------------------------------------------------


def test_refresh_now_refreshes_and_says_so(browser: Client, token: Token, idp: TokenServer) -> None:
    answer = browser.post(path(token, "refresh"), follow=True)
    assert messages(answer) == ["The token is refreshed."]
    assert idp.refreshes == 1


def test_a_refresh_that_fails_says_why(browser: Client, token: Token, idp: TokenServer) -> None:
    idp.fail_with(400, "invalid_grant")
    (said,) = messages(browser.post(path(token, "refresh"), follow=True))
    assert said.startswith("Consent ended: ")
    assert Token.objects.get().state == Token.State.NEEDS_CONSENT


@pytest.mark.parametrize("page", ["refresh", "introspect"])
def test_a_link_does_nothing(page: str, browser: Client, token: Token, idp: TokenServer) -> None:
    assert browser.get(path(token, page)).status_code == 405
    assert idp.forms == []


def test_the_provider_is_asked_and_its_answer_said(browser: Client, token: Token, idp: TokenServer) -> None:
    idp.override = lambda form: (200, {"active": True, "scope": "openid", "expires_in": "3000"})
    assert browser.post(path(token, "introspect"), follow=True).status_code == 200
    assert Token.objects.get().granted_scopes == ["openid"]


def test_asking_is_not_offered_where_the_provider_cannot_tell(browser: Client, project: Project) -> None:
    token = held(project, "outlook", make_oauth_client(provider="microsoft"))
    assert "Ask the provider" not in text(browser, path(token))
    (said,) = messages(browser.post(path(token, "introspect"), follow=True))
    assert "does not tell" in said


def test_who_may_only_look_gets_no_buttons(reader: User, token: Token) -> None:
    page = text(logged_in(reader), path(token))
    assert not [word for word in ("Refresh now", "Ask the provider", "Revoke…") if word in page]


# --- Revoking -----------------------------------------------------------------------------------------------------


@pytest.fixture
def sibling(project: Project, oauth_client: OAuthClient, token: Token) -> Token:
    return held(make_project("shop", name="The shop"), "googledrive", oauth_client)


def choices(browser: Client, token: Token) -> list[str]:
    page = parse(browser.get(path(token, "revoke")).content)
    return [radio.attributes["value"] for radio in page.having("type", "radio")]


def test_what_would_end_too_is_listed_before(browser: Client, token: Token, sibling: Token) -> None:
    page = text(browser, path(token, "revoke"))
    assert "in The shop" in page
    assert "revoking one ends them all" in page
    assert Token.objects.alive().count() == 2


def test_where_all_end_together_revoking_only_one_is_not_offered(browser: Client, token: Token, sibling: Token) -> None:
    assert choices(browser, token) == ["all", "forget"]


def test_where_a_token_ends_alone_that_is_offered_first(browser: Client, project: Project) -> None:
    client = make_oauth_client(provider="github")
    token = held(project, "github", client)
    held(make_project(), "github", client)
    assert choices(browser, token) == ["one", "all", "forget"]


def test_without_siblings_there_is_no_all(browser: Client, token: Token) -> None:
    assert choices(browser, token) == ["one", "forget"]


def test_where_the_provider_cannot_revoke_only_forgetting_is_offered(browser: Client, project: Project) -> None:
    token = held(project, "outlook", make_oauth_client(provider="microsoft"))
    assert choices(browser, token) == ["forget"]
    assert "myapps.microsoft.com" in text(browser, path(token, "revoke"))


def test_an_account_that_is_not_known_is_said_to_be_so(browser: Client, token: Token, sibling: Token) -> None:
    Token.objects.update(account_id="")
    assert "Nobody knows which account these belong to." in text(browser, path(token, "revoke"))
    assert choices(browser, token) == ["all", "one", "forget"]


def test_all_that_were_shown_are_revoked(browser: Client, token: Token, sibling: Token, idp: TokenServer) -> None:
    data = {"how": "all", "shown": [str(sibling.pk)]}
    (said,) = messages(browser.post(path(token, "revoke"), data, follow=True))
    assert said == "Revoked: gmail in Crm, googledrive in The shop."
    assert not Token.objects.alive().exists()
    assert len(idp.revoked) == 2


def test_nothing_is_revoked_when_more_would_end_than_was_shown(
    browser: Client, token: Token, sibling: Token, idp: TokenServer
) -> None:
    answer = browser.post(path(token, "revoke"), {"how": "all", "shown": []})
    assert b"More tokens would end than this page showed" in answer.content
    assert (Token.objects.alive().count(), idp.revoked) == (2, [])


@pytest.mark.parametrize("how", ["", "one", "nonsense"])
def test_a_choice_that_was_not_offered_does_nothing(
    how: str, browser: Client, token: Token, sibling: Token, idp: TokenServer
) -> None:
    assert b"Nothing was done" in browser.post(path(token, "revoke"), {"how": how}).content
    assert (Token.objects.alive().count(), idp.revoked) == (2, [])


def test_forgetting_leaves_the_others_and_the_provider_alone(
    browser: Client, token: Token, sibling: Token, idp: TokenServer
) -> None:
    browser.post(path(token, "revoke"), {"how": "forget"})
    assert list(Token.objects.all()) == [sibling]
    assert idp.revoked == []


def test_what_was_not_revoked_is_said_with_the_reason(browser: Client, project: Project) -> None:
    nobody = "http://127.0.0.1:9"
    client = make_oauth_client(settings={"revoke_url": f"{nobody}/revoke"})
    token = held(project, "gmail", client)
    (said,) = messages(browser.post(path(token, "revoke"), {"how": "one"}, follow=True))
    assert said.startswith("gmail in Crm was not revoked. ")
    assert Token.objects.get().state == Token.State.FRESH


@pytest.mark.parametrize(
    ("permission", "offered"), [("change_token", ["one"]), ("delete_token", ["forget"]), ("view_token", [])]
)
def test_each_permission_offers_what_it_allows(
    permission: str, offered: list[str], token: Token, idp: TokenServer
) -> None:
    browser = logged_in(make_user("editor", staff=True), "view_token", permission)
    if not offered:
        assert browser.get(path(token, "revoke")).status_code == 403
        return
    assert choices(browser, token) == offered
    refused = {"one": "forget", "forget": "one"}[offered[0]]
    assert b"Nothing was done" in browser.post(path(token, "revoke"), {"how": refused}).content
    assert Token.objects.alive().count() == 1

"""Revoking: what else would end is known before, what has ended loses its text, and what fails stays as it was."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.flows.refresh import TOKENS
from connectors.flows.revoke import forget_token, reach_of, revoke_tokens, siblings, why_not
from connectors.models import Event, OAuthClient, Project, Token
from tests.factories import SHELL, make_connector, make_oauth_client, make_token
from tests.servers.token_endpoint import TokenServer

pytestmark = pytest.mark.django_db

State = Token.State


@pytest.fixture
def oauth_client(idp: TokenServer) -> OAuthClient:
    return make_oauth_client(settings={"revoke_url": f"{idp.url}/revoke", "issuer": idp.url})


@pytest.fixture
def token(project: Project, oauth_client: OAuthClient) -> Token:
    return held(project, oauth_client, "gmail")


def held(project: Project, oauth_client: OAuthClient, type_: str, account: str = "a-1", **values: Any) -> Token:
    return make_token(make_connector(project, type_), oauth_client=oauth_client, account_id=account, **values)


# --- Siblings -----------------------------------------------------------------------------------------------------


def test_siblings_are_the_live_tokens_of_the_same_account_and_client(
    token: Token, project: Project, oauth_client: OAuthClient
) -> None:
    same = held(project, oauth_client, "googledrive")
    held(project, oauth_client, "googledocs", account="a-2")
    held(project, oauth_client, "googletasks", state=State.REVOKED)
    held(project, make_oauth_client(), "googlesheets")
    assert siblings(token) == [same]


def test_tokens_whose_account_is_not_known_may_be_siblings(project: Project, oauth_client: OAuthClient) -> None:
    one, two = (held(project, oauth_client, type_, account="") for type_ in ("gmail", "googledrive"))
    held(project, oauth_client, "googledocs")
    assert siblings(one) == [two]


@pytest.mark.parametrize(
    ("type_", "provider", "reach"),
    [("gmail", "google", "account"), ("github", "github", "pair"), ("linear", "linear", None)],
)
def test_the_catalogue_says_how_far_a_revocation_reaches(
    type_: str, provider: str, reach: str | None, project: Project
) -> None:
    assert reach_of(held(project, make_oauth_client(provider=provider), type_)) == reach


# --- At the provider ----------------------------------------------------------------------------------------------


def test_the_provider_is_asked_to_end_the_refresh_token(token: Token, idp: TokenServer) -> None:
    refresh = token.refresh_token.reveal()
    (outcome,) = revoke_tokens([token], SHELL)
    assert outcome.ended
    assert idp.revoked == [refresh]


def test_a_revoked_token_keeps_no_text_and_is_not_refreshed(token: Token) -> None:
    revoke_tokens([token], SHELL)
    row = Token.objects.get()
    assert (row.state, row.refresh_at, row.lease_until) == (State.REVOKED, None, None)
    assert not row.access_token
    assert not row.refresh_token
    assert row.generation == token.generation + 1


def test_all_that_are_named_are_revoked(token: Token, project: Project, oauth_client: OAuthClient) -> None:
    other = held(project, oauth_client, "googledrive")
    revoke_tokens([token, other], SHELL)
    assert set(Token.objects.values_list("state", flat=True)) == {State.REVOKED}


def test_a_sibling_that_is_not_named_stays_as_it_is(token: Token, project: Project, oauth_client: OAuthClient) -> None:
    other = held(project, oauth_client, "googledrive")
    revoke_tokens([token], SHELL)
    other.refresh_from_db()
    assert other.state == State.FRESH
    assert other.access_token


def test_the_record_names_who_revoked_what_and_holds_no_text(token: Token) -> None:
    text = token.refresh_token.reveal()
    revoke_tokens([token], SHELL)
    event = Event.objects.get(verb="token.revoked")
    assert (event.actor_label, event.project, event.after) == ("tests", token.connector.project, {"state": "revoked"})
    assert text not in repr(Event.objects.values_list())


def test_a_token_that_cannot_be_revoked_now_stays_and_says_why(project: Project) -> None:
    nobody = "http://127.0.0.1:9"
    token = held(project, make_oauth_client(settings={"revoke_url": f"{nobody}/revoke", "issuer": nobody}), "gmail")
    (outcome,) = revoke_tokens([token], SHELL)
    assert not outcome.ended
    assert outcome.words
    row = Token.objects.get()
    assert (row.state, row.lease_until, bool(row.refresh_token)) == (State.FRESH, None, True)
    assert not Event.objects.filter(verb="token.revoked").exists()


def test_one_that_fails_keeps_no_other_from_being_revoked(token: Token, project: Project) -> None:
    nobody = make_oauth_client(settings={"revoke_url": "http://127.0.0.1:9/revoke", "issuer": "http://127.0.0.1:9"})
    outcomes = revoke_tokens([held(project, nobody, "googledrive"), token], SHELL)
    assert [outcome.ended for outcome in outcomes] == [False, True]


def test_a_token_is_not_revoked_twice(token: Token, idp: TokenServer) -> None:
    revoke_tokens([token], SHELL)
    (outcome,) = revoke_tokens([token], SHELL)
    assert outcome.ended
    assert len(idp.revoked) == 1
    assert Token.objects.get().lease_until is None


def test_a_token_that_is_being_refreshed_is_waited_for(
    token: Token, idp: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.flows.revoke.PATIENCE", dt.timedelta(0))
    assert TOKENS.take(token.pk, token.generation, timezone.now())
    (outcome,) = revoke_tokens([token], SHELL)
    assert "being refreshed" in outcome.words
    assert idp.revoked == []


@pytest.mark.parametrize(
    ("type_", "provider", "words"),
    [("outlook", "microsoft", "myapps.microsoft.com"), ("clickup", "clickup", "connected apps are listed")],
)
def test_where_the_provider_cannot_revoke_it_is_said_what_to_do_instead(
    type_: str, provider: str, words: str, project: Project
) -> None:
    token = held(project, make_oauth_client(provider=provider), type_)
    assert words in why_not(token)
    with pytest.raises(Refused, match="forget it here"):
        revoke_tokens([token], SHELL)
    assert Token.objects.get().state == State.FRESH


def test_an_access_token_that_has_ended_is_renewed_where_revoking_takes_one(project: Project, idp: TokenServer) -> None:
    addresses = {"revoke_url": f"{idp.url}/revoke", "token_url": f"{idp.url}/token"}
    client = make_oauth_client(provider="dropbox", settings=addresses)
    past = timezone.now() - dt.timedelta(hours=1)
    (outcome,) = revoke_tokens([held(project, client, "dropbox", refresh=idp.issue()[1], expires_at=past)], SHELL)
    assert outcome.ended
    assert idp.refreshes == 1


def test_a_token_of_a_clients_own_server_goes_to_no_other(project: Project, idp: TokenServer) -> None:
    client = make_oauth_client(settings={"token_url": f"{idp.url}/token"})
    token = held(project, client, "gmail")
    assert "its setting “revoke_url” is empty" in why_not(token)
    with pytest.raises(Refused):
        revoke_tokens([token], SHELL)


# --- Here only ----------------------------------------------------------------------------------------------------


def test_forgetting_deletes_here_and_asks_nobody(token: Token, idp: TokenServer) -> None:
    forget_token(token, SHELL)
    assert not Token.objects.exists()
    assert (idp.revoked, idp.forms) == ([], [])


def test_the_record_says_that_a_forgotten_token_stays_valid_at_the_provider(token: Token) -> None:
    forget_token(token, SHELL)
    event = Event.objects.get(verb="token.forgotten")
    assert "stays valid" in event.note
    assert event.before["refresh_token"] == "set"


def test_a_token_that_is_being_refreshed_is_not_forgotten(token: Token, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.flows.revoke.PATIENCE", dt.timedelta(0))
    assert TOKENS.take(token.pk, token.generation, timezone.now())
    with pytest.raises(Refused, match="being refreshed"):
        forget_token(token, SHELL)
    assert Token.objects.exists()

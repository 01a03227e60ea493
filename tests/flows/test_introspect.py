"""Asking a provider about a token: what it says is stored, what it leaves out stays as it was."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from connectors.core.errors import Refused
from connectors.core.oauth.errors import OAuthError
from connectors.flows.introspect import introspect_token, why_not
from connectors.models import Event, Project, Sealed, Token
from tests.factories import SHELL, make_connector, make_oauth_client, make_token
from tests.servers.token_endpoint import Answer, Form, TokenServer

pytestmark = pytest.mark.django_db

State = Token.State


@pytest.fixture
def token(project: Project, idp: TokenServer) -> Token:
    paths = {"issuer": "", "token_url": "/token", "introspect_url": "/introspect", "authorize_url": "/auth"}
    client = make_oauth_client(settings={name: idp.url + path for name, path in paths.items()})
    access, refresh = idp.issue()
    return make_token(make_connector(project, "gmail"), oauth_client=client, access=access, refresh=refresh)


def says(idp: TokenServer, status: int = 200, **values: Any) -> None:
    """What the provider answers to a question about a token; a refresh goes its usual way."""

    def answer(form: Form) -> Answer | None:
        return None if "grant_type" in form else (status, values)

    idp.override = answer


def test_the_scopes_that_the_provider_names_are_stored(token: Token, idp: TokenServer) -> None:
    says(idp, active=True, scope="openid mail.read")
    learnt = introspect_token(token, SHELL)
    assert learnt.active
    assert Token.objects.get().granted_scopes == ["openid", "mail.read"]


def test_scopes_that_it_does_not_name_stay_as_they_were(token: Token, idp: TokenServer) -> None:
    Token.objects.update(granted_scopes=["openid"])
    says(idp, active=True)
    introspect_token(token, SHELL)
    assert Token.objects.get().granted_scopes == ["openid"]


def test_an_end_that_was_not_known_is_stored_with_the_next_refresh(token: Token, idp: TokenServer) -> None:
    Token.objects.update(expires_at=None, refresh_at=None)
    token.refresh_from_db()
    says(idp, active=True, exp=int(timezone.now().timestamp()) + 7200)
    introspect_token(token, SHELL)
    row, hour = Token.objects.get(), dt.timedelta(hours=1)
    assert row.expires_at is not None
    assert row.refresh_at is not None
    assert timezone.now() + hour < row.refresh_at < row.expires_at < timezone.now() + 2 * hour


def test_the_end_that_is_known_already_moves_no_refresh(token: Token, idp: TokenServer) -> None:
    assert token.expires_at
    says(idp, active=True, exp=int(token.expires_at.timestamp()) + 20)
    introspect_token(token, SHELL)
    assert Token.objects.get().refresh_at == token.refresh_at


@pytest.mark.parametrize(("known", "expected"), [("", "ada@acme.example"), ("team@acme.example", "team@acme.example")])
def test_an_account_is_stored_where_none_was_known(known: str, expected: str, token: Token, idp: TokenServer) -> None:
    Token.objects.update(account=known)
    says(idp, active=True, username="ada@acme.example")
    introspect_token(token, SHELL)
    assert Token.objects.get().account == expected


def test_a_token_that_has_ended_is_refreshed(token: Token, idp: TokenServer) -> None:
    says(idp, active=False)
    introspect_token(token, SHELL)
    row = Token.objects.get()
    assert (row.state, row.refresh_count, idp.refreshes) == (State.FRESH, 1, 1)


def test_a_token_that_has_ended_and_cannot_be_refreshed_needs_consent(token: Token, idp: TokenServer) -> None:
    Token.objects.update(refresh_token=Sealed(), refresh_at=None)
    token.refresh_from_db()
    says(idp, active=False)
    introspect_token(token, SHELL)
    assert (token.state, token.refresh_at, bool(token.last_error)) == (State.NEEDS_CONSENT, None, True)
    assert set(Event.objects.values_list("verb", flat=True)) == {"token.introspected", "token.needs_consent"}


def test_a_token_that_has_ended_while_its_refresh_token_has_too_needs_consent(token: Token, idp: TokenServer) -> None:
    Token.objects.update(refresh_token=Sealed.of("spent long ago"))
    token.refresh_from_db()
    says(idp, active=False)
    introspect_token(token, SHELL)
    assert token.state == State.NEEDS_CONSENT


def test_an_answer_about_a_pair_that_was_replaced_meanwhile_changes_nothing(token: Token, idp: TokenServer) -> None:
    Token.objects.update(generation=5)
    says(idp, active=False, scope="openid")
    introspect_token(token, SHELL)
    row = Token.objects.get()
    assert (row.granted_scopes, row.state, idp.refreshes) == (None, State.FRESH, 0)


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_provider_that_cannot_be_asked_changes_nothing(status: int, token: Token, idp: TokenServer) -> None:
    before = Token.objects.values().get()
    says(idp, status, error="anything")
    with pytest.raises(OAuthError) as caught:
        introspect_token(token, SHELL)
    assert Token.objects.values().get() == before
    event = Event.objects.get(verb="token.introspection_failed")
    assert (event.target_id, event.note) == (str(token.pk), str(caught.value))


def test_the_record_names_what_changed_and_holds_no_text(token: Token, idp: TokenServer) -> None:
    says(idp, active=True, scope="openid")
    introspect_token(token, SHELL)
    event = Event.objects.get(verb="token.introspected")
    assert event.after == {"active": True, "granted_scopes": ["openid"]}
    assert token.access_token.reveal() not in repr(Event.objects.values_list())


def test_where_the_provider_does_not_tell_it_is_said(project: Project) -> None:
    client = make_oauth_client(provider="microsoft")
    token = make_token(make_connector(project, "outlook"), oauth_client=client)
    assert "does not tell" in why_not(token)
    with pytest.raises(Refused, match="does not tell"):
        introspect_token(token, SHELL)


def test_a_token_of_a_clients_own_server_is_looked_up_nowhere_else(project: Project, idp: TokenServer) -> None:
    client = make_oauth_client(settings={"token_url": f"{idp.url}/token"})
    token = make_token(make_connector(project, "gmail"), oauth_client=client)
    with pytest.raises(Refused, match="its setting “introspect_url” is empty"):
        introspect_token(token, SHELL)


def test_nobody_is_asked_about_a_revoked_token(token: Token, idp: TokenServer) -> None:
    token.state = State.REVOKED
    with pytest.raises(Refused, match="revoked"):
        introspect_token(token, SHELL)
    assert idp.forms == []

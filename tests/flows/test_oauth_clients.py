"""OAuth clients: kept with their secret sealed, checked at the provider, deleted when nobody uses them."""

from __future__ import annotations

import datetime as dt
import secrets
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.crypto import UnreadableSecretError
from connectors.core.errors import PortalError, Refused
from connectors.core.oauth.errors import OAuthError
from connectors.flows.oauth_clients import (
    check_client,
    delete_client,
    endpoint_of,
    redirect_uri_of,
    registration_of,
    save_client,
    setting_problem,
)
from connectors.models import Event, OAuthClient, Project, Sealed, Token
from tests.factories import SHELL, make_connector, make_oauth_client, make_token
from tests.servers.token_endpoint import TokenServer

State = OAuthClient.State
REDIRECT = "https://portal.example/oauth/shop/callback/"
DEAD = "http://127.0.0.1:9"
"""The discard port: nothing answers there."""


@pytest.fixture
def client(db: None, idp: TokenServer) -> OAuthClient:
    return make_oauth_client("shop", settings=pointed_at(idp.url))


def pointed_at(url: str) -> dict[str, str]:
    names = ("token_url", "revoke_url", "introspect_url", "userinfo_url")
    return {name: f"{url}/{name}" for name in names}


def a_token(project: Project, client: OAuthClient, type_: str = "gmail", **values: Any) -> Token:
    return make_token(make_connector(project, type_), oauth_client=client, **values)


def changed(client: OAuthClient, **values: Any) -> OAuthClient:
    row = OAuthClient.objects.get(pk=client.pk)
    for name, value in values.items():
        setattr(row, name, value)
    return row


def new_secret() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(24))


# --- What core gets -----------------------------------------------------------------------------------------------


def test_core_gets_the_id_the_secret_and_the_settings(db: None) -> None:
    secret = secrets.token_urlsafe(24)
    client = make_oauth_client("ms", provider="microsoft", secret=secret, settings={"tenant": "acme"})
    found = registration_of(client)
    assert (found.client_id, found.client_secret.get_secret_value()) == ("id-of-ms", secret)
    assert found.settings == {"tenant": "acme"}


def test_a_setting_that_is_missing_is_named(db: None) -> None:
    with pytest.raises(Refused, match="subdomain"):
        endpoint_of(make_oauth_client(provider="snowflake"), "snowflake", {})


def test_a_secret_that_no_key_opens_is_told_apart(db: None) -> None:
    client = make_oauth_client()
    client.client_secret = Sealed("sealed with a key that is lost")
    with pytest.raises(UnreadableSecretError):
        registration_of(client)


def test_the_redirect_uri_holds_the_short_name(db: None) -> None:
    assert redirect_uri_of(make_oauth_client("shop"), "https://portal.example/") == REDIRECT


@override_settings(PORTAL_URL="https://outside.example")
def test_the_portals_own_address_goes_before_that_of_the_request(db: None) -> None:
    expected = "https://outside.example/oauth/shop/callback/"
    assert redirect_uri_of(make_oauth_client("shop"), "http://10.0.0.7:8000/") == expected


# --- Save ---------------------------------------------------------------------------------------------------------


def test_a_new_client_is_stored_with_its_secret_sealed(db: None) -> None:
    secret, client = new_secret(), OAuthClient(name="Shop", slug="shop", provider="google", client_id="id")
    save_client(client, SHELL, secret=secret)
    stored = OAuthClient.objects.get()
    assert stored.client_secret.reveal() == secret.get_secret_value()
    assert (stored.state, stored.secret_set_at is not None) == (State.UNCHECKED, True)


def test_the_record_says_of_a_secret_only_that_it_is_set(db: None) -> None:
    secret, client = new_secret(), OAuthClient(name="Shop", slug="shop", provider="google", client_id="id")
    save_client(client, SHELL, secret=secret)
    event = Event.objects.get()
    assert (event.verb, event.after["client_secret"]) == ("oauth_client.added", "set")
    assert secret.get_secret_value() not in str([event.before, event.after, event.note])


def test_no_secret_keeps_the_one_that_is_set(client: OAuthClient) -> None:
    before = client.client_secret.reveal()
    save_client(changed(client, name="Shop 2"), SHELL)
    client.refresh_from_db()
    assert (client.name, client.client_secret.reveal()) == ("Shop 2", before)


def test_a_secret_set_by_somebody_else_meanwhile_is_not_undone(client: OAuthClient) -> None:
    opened, theirs = changed(client, name="Shop 2"), new_secret()
    save_client(changed(client), SHELL, secret=theirs)
    save_client(opened, SHELL)
    assert OAuthClient.objects.get().client_secret.reveal() == theirs.get_secret_value()


def test_a_secret_can_be_forgotten(client: OAuthClient) -> None:
    save_client(changed(client), SHELL, forget_secret=True)
    client.refresh_from_db()
    assert (bool(client.client_secret), client.secret_set_at) == (False, None)
    assert Event.objects.get().after["client_secret"] == "not set"


def test_nothing_changed_is_nothing_recorded(client: OAuthClient) -> None:
    save_client(changed(client), SHELL)
    assert not Event.objects.exists()


@pytest.mark.parametrize("values", [{"client_id": "another"}, {"settings": {}}, {"provider": "slack", "settings": {}}])
def test_what_a_verdict_was_about_makes_it_void_when_it_changes(client: OAuthClient, values: dict[str, Any]) -> None:
    usable = changed(client, state=State.USABLE, checked_at=timezone.now(), state_note="x")
    usable.save()
    save_client(changed(usable, **values), SHELL, secret=new_secret())
    client.refresh_from_db()
    assert (client.state, client.state_note, client.checked_at) == (State.UNCHECKED, "", None)


def test_another_name_leaves_the_verdict(client: OAuthClient) -> None:
    changed(client, state=State.USABLE).save()
    save_client(changed(client, name="Another", is_testing=True), SHELL)
    assert OAuthClient.objects.get().state == State.USABLE


# --- Where the secret and the tokens go -----------------------------------------------------------------------------


def test_the_stored_secret_goes_to_no_other_server(client: OAuthClient) -> None:
    with pytest.raises(Refused, match="Enter the secret again"):
        save_client(changed(client, settings=pointed_at("https://evil.example")), SHELL)
    assert OAuthClient.objects.get().settings == client.settings


def test_another_server_is_taken_with_a_secret_for_it(client: OAuthClient) -> None:
    save_client(changed(client, settings=pointed_at("https://idp.example")), SHELL, secret=new_secret())
    assert OAuthClient.objects.get().settings == pointed_at("https://idp.example")


@pytest.mark.parametrize("name", ["token_url", "revoke_url", "introspect_url", "userinfo_url"])
def test_no_address_that_gets_a_token_moves_to_another_server_while_there_are_tokens(
    client: OAuthClient, project: Project, name: str
) -> None:
    a_token(project, client)
    moved = {**client.settings, name: "https://evil.example/x"}
    with pytest.raises(Refused, match="1 connector holds a token"):
        save_client(changed(client, settings=moved), SHELL, secret=new_secret())


def test_a_placeholder_that_is_a_host_counts_as_an_address(project: Project) -> None:
    client = make_oauth_client(provider="databricks", settings={"workspace_host": "a.databricks.example"})
    a_token(project, client, "databricks")
    with pytest.raises(Refused, match="another server"):
        save_client(changed(client, settings={"workspace_host": "evil.example"}), SHELL, secret=new_secret())


def test_a_host_can_be_added_to_a_client_that_had_none(db: None) -> None:
    client = make_oauth_client(provider="databricks")
    save_client(changed(client, settings={"workspace_host": "a.databricks.example"}), SHELL, secret=new_secret())
    assert OAuthClient.objects.get().settings == {"workspace_host": "a.databricks.example"}


def test_another_path_at_the_same_server_is_no_other_server(client: OAuthClient, project: Project) -> None:
    a_token(project, client)
    moved = {**client.settings, "token_url": f"{client.settings['token_url']}/v2"}
    save_client(changed(client, settings=moved), SHELL)
    assert OAuthClient.objects.get().settings == moved


def test_a_client_with_tokens_stays_at_its_provider(client: OAuthClient, project: Project) -> None:
    a_token(project, client)
    with pytest.raises(Refused, match="tokens first"):
        save_client(changed(client, provider="slack"), SHELL, secret=new_secret())


@pytest.mark.parametrize(
    ("provider", "name", "value", "fine"),
    [
        ("google", "token_url", "https://idp.example/token", True),
        ("google", "token_url", "http://127.0.0.1:4000/token", True),
        ("google", "token_url", "http://idp.example/token", False),
        ("google", "token_url", "idp.example", False),
        ("google", "issuer", "javascript:alert(1)", False),
        ("google", "revoke_url", "https://user:pass@idp.example/", False),
        ("databricks", "token_url", "https://idp.example/token", True),
        ("databricks", "workspace_host", "dbc.databricks.example", True),
        ("microsoft", "tenant", "acme.onmicrosoft.com", True),
        ("microsoft", "tenant", "a/../b", False),
        ("databricks", "workspace_host", "https://dbc.example", False),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(provider: str, name: str, value: str, fine: bool) -> None:
    problem = setting_problem(provider, name, value)
    assert (problem == "") == fine
    assert fine or name in problem


# --- Check --------------------------------------------------------------------------------------------------------


def test_a_client_whose_made_up_code_alone_is_refused_is_usable(client: OAuthClient, idp: TokenServer) -> None:
    assert check_client(client, REDIRECT, SHELL) == State.USABLE
    client.refresh_from_db()
    assert (client.state, client.state_note, client.checked_at is not None) == (State.USABLE, "", True)
    assert idp.forms[0]["redirect_uri"] == REDIRECT


def test_a_client_that_the_provider_refuses_is_misconfigured_and_the_reason_noted(
    client: OAuthClient, idp: TokenServer
) -> None:
    idp.fail_with(401, "invalid_client")
    assert check_client(client, REDIRECT, SHELL) == State.MISCONFIGURED
    assert "invalid_client" in OAuthClient.objects.get().state_note
    event = Event.objects.get()
    assert (event.verb, event.after["state"]) == ("oauth_client.checked", "misconfigured")


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(("status", "code"), [(503, "temporarily_unavailable"), (400, "invalid_request")])
def test_what_could_not_be_told_leaves_the_state_as_it_was(
    client: OAuthClient, idp: TokenServer, state: str, status: int, code: str
) -> None:
    changed(client, state=state, state_note="as before").save()
    idp.fail_with(status, code)
    with pytest.raises(OAuthError, match="check the OAuth client"):
        check_client(client, REDIRECT, SHELL)
    stored = OAuthClient.objects.get()
    assert (stored.state, stored.state_note, stored.checked_at) == (state, "as before", None)


def test_a_provider_that_is_away_is_no_fault_of_the_client(db: None) -> None:
    with pytest.raises(OAuthError, match="no connection"):
        check_client(make_oauth_client(settings=pointed_at(DEAD)), REDIRECT, SHELL)


def test_a_client_without_a_secret_that_is_refused_lacks_the_secret(client: OAuthClient, idp: TokenServer) -> None:
    save_client(changed(client), SHELL, forget_secret=True)
    idp.fail_with(400, "invalid_request")
    assert check_client(changed(client), REDIRECT, SHELL) == State.MISCONFIGURED
    assert "No secret is set" in OAuthClient.objects.get().state_note


def test_a_public_client_that_is_accepted_needs_no_secret(client: OAuthClient) -> None:
    save_client(changed(client), SHELL, forget_secret=True)
    assert check_client(changed(client), REDIRECT, SHELL) == State.USABLE


def test_a_secret_that_cannot_be_read_is_a_misconfiguration(client: OAuthClient, idp: TokenServer) -> None:
    changed(client, client_secret=Sealed("sealed with a key that is lost")).save()
    assert check_client(changed(client), REDIRECT, SHELL) == State.MISCONFIGURED
    assert "ENCRYPTION_KEYS" in OAuthClient.objects.get().state_note
    assert not idp.forms


def test_a_setting_that_only_connectors_have_cannot_be_told(db: None) -> None:
    with pytest.raises(Refused, match="when one is authorised"):
        check_client(make_oauth_client(provider="bamboohr"), REDIRECT, SHELL)


def test_a_host_that_only_the_client_may_say_is_missing(db: None) -> None:
    assert check_client(make_oauth_client(provider="databricks"), REDIRECT, SHELL) == State.MISCONFIGURED
    assert "workspace_host" in OAuthClient.objects.get().state_note


def test_a_setting_that_cannot_be_used_is_a_misconfiguration(db: None) -> None:
    client = make_oauth_client(provider="snowflake", settings={"subdomain": "a/b"})
    assert check_client(client, REDIRECT, SHELL) == State.MISCONFIGURED
    assert "subdomain" in OAuthClient.objects.get().state_note


def test_a_provider_without_support_has_nothing_to_check(db: None) -> None:
    with pytest.raises(Refused, match="nothing to check"):
        check_client(make_oauth_client(provider="stripe"), REDIRECT, SHELL)


def test_a_client_changed_meanwhile_gets_no_verdict_on_the_old_one(client: OAuthClient) -> None:
    opened = changed(client)
    save_client(changed(client), SHELL, secret=new_secret())
    with pytest.raises(Refused, match="Check it again"):
        check_client(opened, REDIRECT, SHELL)
    assert OAuthClient.objects.get().state == State.UNCHECKED


def test_the_secret_is_in_no_error_and_no_event(client: OAuthClient, idp: TokenServer) -> None:
    secret = client.client_secret.reveal()
    idp.override = lambda form: (401, {"error": "invalid_client", "error_description": f"bad {secret}"})
    check_client(client, REDIRECT, SHELL)
    event = Event.objects.get()
    assert secret not in str([event.before, event.after, event.note, OAuthClient.objects.get().state_note])


# --- Repaired -----------------------------------------------------------------------------------------------------


@pytest.fixture
def broken(client: OAuthClient) -> OAuthClient:
    changed(client, state=State.MISCONFIGURED, state_note="Refused.").save()
    return changed(client)


def is_due(token: Token) -> bool:
    token.refresh_from_db()
    return token.refresh_at is not None and token.refresh_at <= timezone.now()


def test_tokens_are_tried_again_once_the_client_is_accepted(broken: OAuthClient, project: Project) -> None:
    token = a_token(project, broken)
    check_client(broken, REDIRECT, SHELL)
    assert is_due(token)
    assert Token.objects.due(timezone.now()).get() == token


def test_tokens_are_tried_again_with_another_secret(broken: OAuthClient, project: Project) -> None:
    token = a_token(project, broken)
    save_client(changed(broken), SHELL, secret=new_secret())
    assert is_due(token)


def test_a_token_that_was_given_up_is_tried_again(broken: OAuthClient, project: Project) -> None:
    token = a_token(project, broken, state=Token.State.FAILING, refresh_at=None)
    check_client(broken, REDIRECT, SHELL)
    assert is_due(token)


@pytest.mark.parametrize("state", [Token.State.FRESH, Token.State.NEEDS_CONSENT, Token.State.REVOKED])
def test_a_token_with_nothing_to_refresh_or_an_end_is_left_alone(
    broken: OAuthClient, project: Project, state: str
) -> None:
    token = a_token(project, broken, state=state, refresh_at=None)
    check_client(broken, REDIRECT, SHELL)
    assert not is_due(token)


def test_a_client_that_is_still_refused_tries_nothing(broken: OAuthClient, project: Project, idp: TokenServer) -> None:
    token = a_token(project, broken)
    idp.fail_with(401, "invalid_client")
    check_client(broken, REDIRECT, SHELL)
    assert not is_due(token)


def test_checking_a_usable_client_hurries_no_token(client: OAuthClient, project: Project) -> None:
    changed(client, state=State.USABLE).save()
    token = a_token(project, client, refresh_at=timezone.now() + dt.timedelta(minutes=30))
    check_client(changed(client), REDIRECT, SHELL)
    assert not is_due(token)


# --- Delete -------------------------------------------------------------------------------------------------------


def test_a_client_without_tokens_can_be_deleted(client: OAuthClient) -> None:
    delete_client(client, SHELL)
    assert not OAuthClient.objects.exists()
    assert (Event.objects.get().verb, Event.objects.get().before["client_secret"]) == ("oauth_client.deleted", "set")


def test_a_client_with_tokens_is_kept_and_says_whose_they_are(client: OAuthClient, project: Project) -> None:
    a_token(project, client, state=Token.State.REVOKED)
    with pytest.raises(PortalError, match=r"gmail in Crm holds a token of it"):
        delete_client(client, SHELL)
    assert OAuthClient.objects.exists()

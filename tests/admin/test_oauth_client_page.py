"""OAuth clients in the admin: their form, their page, the check, and the page on OAuth support."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from connectors.core.catalog import load_catalog
from connectors.flows.catalogue import load_catalogue
from connectors.models import Event, OAuthClient, Project, Sealed, Token
from tests.admin.form_data import address, errors, last_event, told
from tests.admin.html import parse
from tests.factories import SHELL, make_connector, make_oauth_client, make_token, make_user, make_workspace
from tests.servers.token_endpoint import TokenServer

State = OAuthClient.State
SUPPORT = "admin:connectors_integrationtype_oauth_support"


@pytest.fixture
def secret() -> str:
    return secrets.token_urlsafe(24)


@pytest.fixture
def stored(db: None, secret: str) -> OAuthClient:
    return make_oauth_client("sales", secret=secret, state=State.USABLE)


def save(browser: Client, client: OAuthClient | None = None, **typed: Any) -> Any:
    """Opens the form, types and saves, as a browser would."""
    path = address("oauthclient", "change", client.pk) if client else address("oauthclient", "add")
    asked = f"{path}?provider={typed['provider']}" if client is None and "provider" in typed else path
    (form,) = parse(browser.get(asked).content).having("id", "oauthclient_form")
    named = {name.replace("__", "."): value for name, value in typed.items()}
    return browser.post(path, {**form.fields(), **named}, follow=True)


def add(browser: Client, **typed: Any) -> Any:
    return save(browser, **{"provider": "google", "name": "Sales", "slug": "sales", "client_id": "the-id", **typed})


def check(client: OAuthClient) -> str:
    return reverse("admin:connectors_oauthclient_check", args=[client.pk])


def page_of(browser: Client, client: OAuthClient) -> str:
    return browser.get(address("oauthclient", "change", client.pk)).content.decode()


# --- Add ----------------------------------------------------------------------------------------------------------


def test_a_client_is_added_with_its_secret_and_leads_to_its_page(browser: Client, secret: str) -> None:
    answer = add(browser, secret=f" {secret} ")
    client = OAuthClient.objects.get()
    assert client.client_secret.reveal() == secret
    assert answer.redirect_chain[-1][0] == address("oauthclient", "change", client.pk)
    assert "Register its redirect URI" in told(answer)
    assert last_event().verb == "oauth_client.added"


def test_the_settings_of_the_chosen_provider_are_asked_for(browser: Client) -> None:
    assert errors(add(browser, provider="microsoft", settings__tenant="acme.example")) == {}
    assert OAuthClient.objects.get().settings == {"tenant": "acme.example"}


def test_the_add_page_shows_how_to_make_a_client_at_the_chosen_provider(browser: Client) -> None:
    page = browser.get(f"{address('oauthclient', 'add')}?provider=google").content.decode()
    steps = load_catalog().types["gmail"].oauth.console_steps
    assert steps[1] in page
    assert steps[1] not in browser.get(address("oauthclient", "add")).content.decode()


def test_a_provider_at_which_nothing_can_be_authorised_is_not_offered(browser: Client) -> None:
    assert "Select a valid choice" in errors(add(browser, provider="stripe"))["provider"][0]


@pytest.mark.parametrize("slug", ["Sales", "sales team", "../x", "-sales"])
def test_a_short_name_fits_into_an_address(slug: str, browser: Client) -> None:
    assert "small letters" in errors(add(browser, slug=slug))["slug"][0]


def test_without_scripts_a_required_setting_can_follow_on_the_next_page(browser: Client) -> None:
    typed = {"provider": "snowflake", "name": "S", "slug": "s", "client_id": "x", "version": ""}
    browser.post(address("oauthclient", "add"), typed)
    answer = save(browser, OAuthClient.objects.get())
    assert "settings" in errors(answer)
    (problem,) = parse(answer.content).having("id", "id_settings_subdomain_problem")
    assert "required" in problem.text


# --- The secret goes in and never comes out -----------------------------------------------------------------------


def test_no_page_shows_the_secret(browser: Client, stored: OAuthClient, secret: str) -> None:
    save(browser, stored, name="Sales 2")
    paths = [address("oauthclient", page, stored.pk) for page in ("change", "history", "delete")]
    paths += [address("oauthclient", "changelist"), address("event", "changelist"), reverse(SUPPORT)]
    paths += [address("event", "change", event.pk) for event in Event.objects.all()]
    for path in paths:
        page = browser.get(path).content.decode()
        assert secret not in page
        assert stored.client_secret.ciphertext not in page


def test_a_form_that_comes_back_with_errors_has_forgotten_the_secret(
    browser: Client, stored: OAuthClient, secret: str
) -> None:
    answer = save(browser, stored, name="", secret=f"{secret}-2")
    assert errors(answer) == {"name": ["This field is required."]}
    assert secret not in answer.content.decode()


def test_leaving_the_secret_empty_keeps_it(browser: Client, stored: OAuthClient, secret: str) -> None:
    save(browser, stored, name="Sales 2")
    stored.refresh_from_db()
    assert (stored.name, stored.client_secret.reveal(), stored.state) == ("Sales 2", secret, State.USABLE)


def test_another_secret_has_to_be_checked_anew(browser: Client, stored: OAuthClient) -> None:
    answer = save(browser, stored, secret="another-one")
    stored.refresh_from_db()
    assert (stored.client_secret.reveal(), stored.state) == ("another-one", State.UNCHECKED)
    assert "Check the client" in told(answer)


def test_a_secret_can_be_forgotten(browser: Client, stored: OAuthClient) -> None:
    save(browser, stored, forget_secret="on")
    stored.refresh_from_db()
    assert not stored.client_secret
    assert last_event().after["client_secret"] == "not set"


def test_a_secret_typed_while_forgetting_is_asked_about(browser: Client, stored: OAuthClient, secret: str) -> None:
    assert "forget_secret" in errors(save(browser, stored, secret="another-one", forget_secret="on"))
    stored.refresh_from_db()
    assert stored.client_secret.reveal() == secret


@pytest.mark.parametrize("field", ["secret", "client_id"])
def test_what_was_copied_with_something_else_is_refused(field: str, browser: Client, stored: OAuthClient) -> None:
    answer = save(browser, stored, **{field: "two words"})
    assert "Copy it again" in errors(answer)[field][0]


def test_a_secret_that_no_key_opens_breaks_no_page(browser: Client, stored: OAuthClient) -> None:
    OAuthClient.objects.update(client_secret=Sealed("sealed with a key that is lost"))
    assert page_of(browser, stored)
    assert browser.get(address("oauthclient", "changelist")).status_code == 200


# --- Change -------------------------------------------------------------------------------------------------------


def test_the_short_name_stays(browser: Client, stored: OAuthClient) -> None:
    save(browser, stored, slug="another")
    stored.refresh_from_db()
    assert stored.slug == "sales"


@pytest.mark.parametrize("value", ["http://idp.example/token", "idp.example", "https://a b/", "javascript:alert(1)"])
def test_an_address_that_cannot_be_used_is_marked_and_says_why(
    value: str, browser: Client, stored: OAuthClient
) -> None:
    answer = save(browser, stored, settings__token_url=value)
    assert "settings" in errors(answer)
    (problem,) = parse(answer.content).having("id", "id_settings_token_url_problem")
    assert "must be an address that begins with https://" in problem.text


def test_addresses_are_folded_until_one_is_set(browser: Client, stored: OAuthClient) -> None:
    assert '<details class="pc-fold">' in page_of(browser, stored)
    OAuthClient.objects.update(settings={"issuer": "https://idp.example"})
    assert '<details class="pc-fold" open>' in page_of(browser, stored)


def test_a_setting_that_the_catalogue_does_not_name_is_kept(browser: Client, stored: OAuthClient) -> None:
    OAuthClient.objects.update(settings={"flavour": "mild"})
    save(browser, stored, name="Sales 2")
    stored.refresh_from_db()
    assert (stored.name, stored.settings) == ("Sales 2", {"flavour": "mild"})


def test_another_server_demands_the_secret_again(browser: Client, stored: OAuthClient) -> None:
    answer = save(browser, stored, settings__token_url="https://evil.example/token")
    assert "another address" in errors(answer)["secret"][0]
    assert OAuthClient.objects.get().settings == {}


def test_another_server_is_refused_while_there_are_tokens(
    browser: Client, stored: OAuthClient, project: Project
) -> None:
    make_token(make_connector(project, "gmail"), oauth_client=stored)
    answer = save(browser, stored, settings__revoke_url="https://evil.example/x", secret="another-one")
    assert "1 connector holds a token" in errors(answer)["settings"][0]
    assert OAuthClient.objects.get().state == State.USABLE


def test_a_change_by_somebody_else_meanwhile_is_not_undone(browser: Client, stored: OAuthClient) -> None:
    path = address("oauthclient", "change", stored.pk)
    (form,) = parse(browser.get(path).content).having("id", "oauthclient_form")
    OAuthClient.objects.update(client_id="theirs")
    answer = browser.post(path, {**form.fields(), "name": "Mine"}, follow=True)
    assert "Somebody has changed this OAuth client" in str(errors(answer))
    assert OAuthClient.objects.get().client_id == "theirs"


def test_a_verdict_in_the_background_disturbs_nobody(browser: Client, stored: OAuthClient) -> None:
    path = address("oauthclient", "change", stored.pk)
    (form,) = parse(browser.get(path).content).having("id", "oauthclient_form")
    OAuthClient.objects.update(state=State.MISCONFIGURED, state_note="Refused.")
    browser.post(path, {**form.fields(), "name": "Mine"})
    found = OAuthClient.objects.get()
    assert (found.name, found.state) == ("Mine", State.MISCONFIGURED)


def test_no_workspace_that_one_may_not_see_is_named(browser: Client, stored: OAuthClient) -> None:
    answer = save(browser, stored, workspace="987654")
    assert "Select a valid choice" in errors(answer)["workspace"][0]


# --- The page -----------------------------------------------------------------------------------------------------


def test_the_page_shows_the_redirect_uri_ready_to_copy(browser: Client, stored: OAuthClient) -> None:
    (uri,) = parse(page_of(browser, stored).encode()).having("id", "redirect-uri")
    assert uri.text == "http://testserver/oauth/sales/callback/"


def test_the_redirect_uri_is_the_one_that_is_used(browser: Client, stored: OAuthClient) -> None:
    (uri,) = parse(page_of(browser, stored).encode()).having("id", "redirect-uri")
    assert uri.text.endswith(reverse("oauth_callback", args=[stored.slug]))


def test_the_page_says_what_is_wrong(browser: Client, stored: OAuthClient) -> None:
    OAuthClient.objects.update(state=State.MISCONFIGURED, state_note="Google refused the client (invalid_client).")
    assert "Google refused the client (invalid_client)." in page_of(browser, stored)


def test_the_page_lists_the_connectors_that_hold_a_token(
    browser: Client, stored: OAuthClient, project: Project
) -> None:
    token = make_token(make_connector(project, "gmail"), oauth_client=stored, account="a@acme.example")
    page = page_of(browser, stored)
    assert reverse("admin:connectors_token_change", args=[token.pk]) in page
    assert "a@acme.example" in page


def test_the_page_costs_the_same_however_many_tokens(browser: Client, stored: OAuthClient, project: Project) -> None:
    counts = []
    for first, last in ((0, 2), (2, 30)):
        for number in range(first, last):
            make_token(make_connector(project, f"kind-{number}"), oauth_client=stored)
        page_of(browser, stored)
        with CaptureQueriesContext(connection) as captured:
            page_of(browser, stored)
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_a_provider_that_the_catalogue_no_longer_knows_breaks_no_page(browser: Client, stored: OAuthClient) -> None:
    OAuthClient.objects.update(provider="zoo")
    assert "does not know zoo" in page_of(browser, stored)


# --- Check --------------------------------------------------------------------------------------------------------


@pytest.fixture
def live(db: None, idp: TokenServer) -> OAuthClient:
    return make_oauth_client("live", settings={"token_url": f"{idp.url}/token"})


def test_a_client_that_is_accepted_becomes_usable(browser: Client, live: OAuthClient, idp: TokenServer) -> None:
    answer = browser.post(check(live), follow=True)
    assert "Google accepts" in told(answer)
    assert OAuthClient.objects.get().state == State.USABLE
    assert idp.forms[0]["redirect_uri"] == "http://testserver/oauth/live/callback/"


def test_a_client_that_is_refused_becomes_misconfigured(browser: Client, live: OAuthClient, idp: TokenServer) -> None:
    idp.fail_with(401, "invalid_client")
    answer = browser.post(check(live), follow=True)
    assert "can't be used" in told(answer)
    assert OAuthClient.objects.get().state == State.MISCONFIGURED


def test_what_could_not_be_told_is_said_so(browser: Client, live: OAuthClient, idp: TokenServer) -> None:
    idp.fail_with(503, "temporarily_unavailable")
    answer = browser.post(check(live), follow=True)
    assert "could not be told" in told(answer)
    assert OAuthClient.objects.get().state == State.UNCHECKED


def test_the_answer_to_a_check_never_holds_the_secret(browser: Client, live: OAuthClient, idp: TokenServer) -> None:
    secret = live.client_secret.reveal()
    idp.override = lambda form: (400, {"error": "invalid_client", "error_description": secret})
    assert secret not in browser.post(check(live), follow=True).content.decode()


def test_looking_at_a_check_does_nothing(browser: Client, live: OAuthClient, idp: TokenServer) -> None:
    assert browser.get(check(live)).status_code == 405
    assert not idp.forms


def test_checking_takes_the_permission_to_change(live: OAuthClient, reader: User, idp: TokenServer) -> None:
    client = Client()
    client.force_login(reader)
    assert client.post(check(live)).status_code == 403
    assert not idp.forms


# --- Delete -------------------------------------------------------------------------------------------------------


def test_a_client_with_tokens_cannot_be_deleted_and_the_page_says_why(
    browser: Client, stored: OAuthClient, project: Project
) -> None:
    make_token(make_connector(project, "gmail"), oauth_client=stored)
    path = address("oauthclient", "delete", stored.pk)
    assert "gmail in Crm" in browser.get(path).content.decode()
    browser.post(path, {"post": "yes"})
    assert OAuthClient.objects.filter(pk=stored.pk).exists()


def test_deleting_a_client_is_recorded(browser: Client, stored: OAuthClient) -> None:
    browser.post(address("oauthclient", "delete", stored.pk), {"post": "yes"})
    assert not OAuthClient.objects.exists()
    assert last_event().verb == "oauth_client.deleted"


def test_the_page_that_asks_says_what_deleting_means(browser: Client, stored: OAuthClient) -> None:
    assert "delete it there as well" in browser.get(address("oauthclient", "delete", stored.pk)).content.decode()


# --- List ---------------------------------------------------------------------------------------------------------


def test_the_list_is_filtered_by_state_provider_and_workspace(browser: Client, stored: OAuthClient) -> None:
    workspace = make_workspace()
    other = make_oauth_client("other", provider="slack", workspace=workspace)
    for asked in ({"state__exact": "unchecked"}, {"provider": "slack"}, {"workspace__id__exact": workspace.pk}):
        found = browser.get(address("oauthclient", "changelist"), asked)
        assert list(found.context["cl"].result_list) == [other]


def test_the_list_leads_to_the_tokens(browser: Client, stored: OAuthClient, project: Project) -> None:
    token = make_token(make_connector(project, "gmail"), oauth_client=stored)
    make_token(make_connector(project, "slack"), oauth_client=make_oauth_client(provider="slack"))
    path = f"{address('token', 'changelist')}?oauth_client__id__exact={stored.pk}"
    assert path in browser.get(address("oauthclient", "changelist")).content.decode()
    assert list(browser.get(path).context["cl"].result_list) == [token]


# --- OAuth support ------------------------------------------------------------------------------------------------


def test_every_type_of_the_catalogue_has_a_line(browser: Client) -> None:
    lines = browser.get(reverse(SUPPORT)).context["lines"]
    assert {line.info.slug for line in lines} == set(load_catalog().types)


def test_a_line_counts_the_clients_of_the_types_provider(browser: Client, stored: OAuthClient) -> None:
    lines = {line.info.slug: line.clients for line in browser.get(reverse(SUPPORT)).context["lines"]}
    assert (lines["gmail"], lines["googledrive"], lines["slack"]) == (1, 1, 0)


def test_clients_are_counted_only_for_those_who_may_see_them(stored: OAuthClient) -> None:
    user = make_user("curious", staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_integrationtype"))
    client = Client()
    client.force_login(user)
    assert {line.clients for line in client.get(reverse(SUPPORT)).context["lines"]} == {None}


def test_the_lists_of_types_and_of_clients_lead_to_it(browser: Client) -> None:
    for model in ("integrationtype", "oauthclient"):
        assert reverse(SUPPORT) in browser.get(address(model, "changelist")).content.decode()


def test_a_types_page_says_how_it_is_supported(browser: Client) -> None:
    load_catalogue(SHELL)
    page = browser.get(address("integrationtype", "change", "stripe")).content.decode()
    assert "Not supported" in page
    assert "sets up a Stripe sandbox" in page


def test_an_accepted_check_makes_the_tokens_of_a_misconfigured_client_due(
    browser: Client, live: OAuthClient, project: Project
) -> None:
    make_token(make_connector(project, "gmail"), oauth_client=live)
    OAuthClient.objects.update(state=State.MISCONFIGURED)
    browser.post(check(live))
    assert Token.objects.due(timezone.now()).count() == 1

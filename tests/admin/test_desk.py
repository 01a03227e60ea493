"""The consent desk in the admin: what is listed, links that are shown once, and the list of links."""

from __future__ import annotations

import datetime as dt
import logging
import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from connectors.admin.consent_link import STATES
from connectors.flows.consent_links import open_link
from connectors.models import Connector, ConsentLink, Event, Project, Token
from tests.factories import make_connector, make_consent_link, make_oauth_client, make_project, make_token

DESK = "/admin/connectors/connector/desk/"
LINKS = "/admin/connectors/consentlink/"
FORECAST = "/admin/connectors/token/forecast/"


@pytest.fixture
def hosted(project: Project) -> Connector:
    return make_connector(project, "slack", ["chat:write"], consent="needed", consent_note="Somebody has to agree.")


@pytest.fixture
def token(project: Project) -> Token:
    connector = make_connector(project, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    values: dict[str, Any] = {"state": Token.State.NEEDS_CONSENT, "account": "bea@acme.example"}
    return make_token(connector, oauth_client=make_oauth_client(provider="google"), **values)


def keys(*rows: Connector | Token) -> dict[str, Any]:
    """What a form sends when these are ticked."""
    return {"need": [f"portal-{row.connector_id}" if isinstance(row, Token) else f"hosted-{row.pk}" for row in rows]}


def secrets_in(answer: Any) -> list[str]:
    """The secrets of the links that a page shows, each once."""
    return list(dict.fromkeys(re.findall(r"/consent/([\w-]{43})/", answer.content.decode())))


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def test_the_address_is_the_one_that_others_link_to() -> None:
    assert reverse("admin:connectors_connector_desk") == DESK


def test_what_waits_is_listed_with_its_reason_and_way(browser: Client, hosted: Connector, token: Token) -> None:
    shown = text_of(browser.get(DESK))
    for words in ("Somebody has to agree.", "Hosted by Base44", "Held by the portal", "bea@acme.example"):
        assert words in shown


def test_an_empty_desk_says_that_nobody_has_to_do_anything(browser: Client) -> None:
    assert "Nobody has to do anything" in text_of(browser.get(DESK))


def test_links_are_made_for_what_is_ticked_and_open_it(browser: Client, hosted: Connector, token: Token) -> None:
    made = secrets_in(browser.post(DESK, {**keys(hosted, token), "note": "for Bea", "days": "7"}))
    opened = [open_link(secret, timezone.now()) for secret in made]
    assert {link.connector for link in opened} == {hosted, token.connector}
    assert {link.created_by.username for link in opened if link.created_by} == {"operator"}
    assert {link.note for link in opened} == {"for Bea"}
    assert all(link.expires_at > timezone.now() + dt.timedelta(days=6) for link in opened)


def test_a_link_is_shown_in_one_answer_and_nowhere_else(
    browser: Client, hosted: Connector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        (secret,) = secrets_in(browser.post(DESK, keys(hosted)))
        change = reverse("admin:connectors_consentlink_change", args=[ConsentLink.objects.get().pk])
        later = [browser.get(path).content.decode() for path in (DESK, LINKS, change, "/admin/connectors/event/")]
    stored = [repr(row) for model in apps.get_models() for row in model._default_manager.values_list()]
    assert not [text for text in [*later, *stored, caplog.text] if secret in text]


def test_the_answer_with_links_is_kept_by_no_cache_and_tells_no_referrer(browser: Client, hosted: Connector) -> None:
    answer = browser.post(DESK, keys(hosted))
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"


def test_a_text_to_send_names_every_link_for_the_same_account(browser: Client, project: Project, token: Token) -> None:
    other = make_connector(project, "slack", consent="needed", registered_account="bea@acme.example")
    (letter,) = browser.post(DESK, keys(token, other)).context["letters"]
    assert "with the account bea@acme.example" in letter.text
    assert [shown.address in letter.text for shown in letter.links] == [True, True]


@pytest.mark.parametrize(("portal_url", "start"), [("", "http://testserver/"), ("https://p.example", "https://p.ex")])
def test_a_link_begins_with_the_address_of_the_portal(
    browser: Client, hosted: Connector, portal_url: str, start: str
) -> None:
    with override_settings(PORTAL_URL=portal_url):
        (letter,) = browser.post(DESK, keys(hosted)).context["letters"]
    assert letter.links[0].address.startswith(start)


def test_nothing_ticked_is_told_and_makes_nothing(browser: Client, hosted: Connector) -> None:
    assert "Nothing is ticked" in text_of(browser.post(DESK, {}))
    assert not ConsentLink.objects.exists()


def test_a_row_that_is_refused_is_told_beside_the_links_of_the_others(browser: Client, hosted: Connector) -> None:
    stripe = make_connector(hosted.project, "stripe", consent="needed")
    answer = browser.post(DESK, keys(stripe, hosted))
    assert "no consent page" in text_of(answer)
    assert len(secrets_in(answer)) == 1


def test_rubbish_in_the_form_does_no_harm(browser: Client, hosted: Connector) -> None:
    answer = browser.post(DESK, {**keys(hosted), "note": "x" * 500 + "\0", "days": "4000"})
    assert answer.status_code == 200
    link = ConsentLink.objects.get()
    assert (len(link.note), link.expires_at < timezone.now() + dt.timedelta(days=4)) == (200, True)


def test_whoever_may_only_look_gets_no_form(reader: User, hosted: Connector) -> None:
    client = Client()
    client.force_login(reader)
    content = client.get(DESK).content.decode()
    assert 'name="need"' not in content
    assert client.post(DESK, keys(hosted)).status_code == 403
    assert not ConsentLink.objects.exists()


def test_an_open_link_is_shown_on_the_desk_and_withdrawn_from_there(browser: Client, hosted: Connector) -> None:
    link = make_consent_link(hosted)
    assert "Sent, not opened" in text_of(browser.get(DESK))
    path = reverse("admin:connectors_consentlink_withdraw", args=[link.pk])
    assert browser.post(path, {"back": "desk"})["Location"] == DESK
    assert "Sent, not opened" not in text_of(browser.get(DESK))
    assert Event.objects.get(verb="consent_link.withdrawn").actor_label == "operator"


def test_a_link_that_has_ended_is_not_withdrawn(browser: Client, hosted: Connector) -> None:
    link = make_consent_link(hosted, used_at=timezone.now())
    path = reverse("admin:connectors_consentlink_withdraw", args=[link.pk])
    assert "had ended before" in text_of(browser.post(path, follow=True))
    link.refresh_from_db()
    assert link.revoked_at is None


def test_a_link_is_not_withdrawn_by_looking(browser: Client, hosted: Connector) -> None:
    link = make_consent_link(hosted)
    assert browser.get(reverse("admin:connectors_consentlink_withdraw", args=[link.pk])).status_code == 405


@pytest.mark.parametrize("state", STATES)
def test_each_state_of_a_link_has_its_filter_and_its_word(browser: Client, hosted: Connector, state: str) -> None:
    now = timezone.now()
    make_consent_link(hosted)
    make_consent_link(hosted, claimed_at=now)
    make_consent_link(hosted, claimed_at=now, used_at=now)
    make_consent_link(hosted, revoked_at=now)
    make_consent_link(hosted, expires_at=now)
    answer = browser.get(LINKS, {"state": state})
    assert len(answer.context["cl"].result_list) == 1
    assert str(STATES[state][0]) in text_of(answer)


@pytest.mark.parametrize("count", [1, 15])
def test_the_number_of_queries_of_the_lists_does_not_grow(
    count: int, browser: Client, operator: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(count):
        connector = make_connector(make_project(), "slack", ["chat:write"], consent="needed")
        make_consent_link(connector, claimed_by=operator, claimed_at=timezone.now(), created_by=operator)
    browser.get(DESK)
    with django_assert_num_queries(6):
        browser.get(DESK)
    with django_assert_num_queries(3):
        browser.get(LINKS)


# --- The forecast ----------------------------------------------------------------------------------------------


@pytest.fixture
def doomed(project: Project) -> Token:
    """A token of a client in testing mode, which ends in seven days."""
    client = make_oauth_client(provider="google", is_testing=True, name="Test client")
    return make_token(make_connector(project, "gmail"), oauth_client=client, account="bea@acme.example")


def test_the_forecast_says_what_ends_why_and_what_to_do(browser: Client, doomed: Token) -> None:
    shown = text_of(browser.get(FORECAST))
    for words in ("1 token ends within 30 days", "bea@acme.example", "Publish the consent screen", "Test client"):
        assert words in shown


@pytest.mark.parametrize(("days", "count"), [("7", 1), ("365", 1), ("1", 1), ("x", 1), ("", 1)])
def test_the_forecast_looks_as_far_ahead_as_it_is_told(browser: Client, doomed: Token, days: str, count: int) -> None:
    answer = browser.get(FORECAST, {"days": days})
    assert answer.context["days"] == (int(days) if days in ("7", "365") else 30)
    assert answer.context["forecast"].total == count


def test_what_keeps_tokens_from_being_refreshed_stands_on_top(browser: Client, doomed: Token) -> None:
    Token.objects.update(state=Token.State.FAILING, failing_since=timezone.now(), last_error="It answered 503.")
    doomed.oauth_client.state, doomed.oauth_client.state_note = "misconfigured", "The secret is wrong."
    doomed.oauth_client.save()
    shown = text_of(browser.get(FORECAST))
    assert "1 refresh failing" in shown
    assert "It answered 503." in shown
    assert "1 token of it is not refreshed. The secret is wrong." in shown


def test_an_empty_forecast_does_not_promise_too_much(browser: Client) -> None:
    assert "Not every provider says how long consent holds" in text_of(browser.get(FORECAST))


def test_a_connector_without_a_token_gets_a_link_with_the_client_that_serves_it(
    browser: Client, project: Project
) -> None:
    fresh = make_connector(project, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    make_oauth_client("for-all", provider="google")
    own = make_oauth_client("own", provider="google", workspace=project.workspace)
    answer = browser.post(DESK, {"need": [f"portal-{fresh.pk}"]})
    assert len(secrets_in(answer)) == 1
    assert ConsentLink.objects.get().oauth_client == own


def test_the_authorise_page_offers_links_for_a_colleague(browser: Client, project: Project) -> None:
    connector = make_connector(project, "gmail", ["https://www.googleapis.com/auth/gmail.readonly"])
    page = f"/admin/connectors/connector/{connector.pk}/authorise/"
    assert f'value="hosted-{connector.pk}"' in browser.get(page).content.decode()
    assert f'value="portal-{connector.pk}"' not in browser.get(page).content.decode()
    make_oauth_client("for-all", provider="google")
    assert f'value="portal-{connector.pk}"' in browser.get(page).content.decode()

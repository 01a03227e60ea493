"""The colleague's pages: whoever has the link and a login can give consent, and sees nothing else of the portal."""

from __future__ import annotations

import datetime as dt
import logging
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.flows.consent_links import Asked, make_link, make_links, withdraw
from connectors.flows.consent_outcome import settle_left_open
from connectors.models import Authorisation, Connector, ConsentLink, Event, Project, Sealed
from tests.factories import SHELL, make_connector, make_oauth_client, make_token, make_user
from tests.flows.conftest import APP, base44, live_project, live_workspace
from tests.teams import browser_of

__all__ = ["base44", "live_project", "live_workspace"]

Kind = ConsentLink.Kind
Outcome = Authorisation.Outcome
SCOPES = ["chat:write", "users:read"]


@pytest.fixture
def connector(live_project: Project) -> Connector:
    return make_connector(live_project, "slackbot", SCOPES)


@pytest.fixture
def hosted(connector: Connector) -> str:
    return make_link(connector, Kind.HOSTED, SHELL, note="Please use the bot account").get_secret_value()


@pytest.fixture
def held(connector: Connector) -> str:
    oauth_client = make_oauth_client("acme", provider="slack")
    return make_link(connector, Kind.PORTAL, SHELL, oauth_client=oauth_client).get_secret_value()


@pytest.fixture
def colleague(stranger: User) -> Client:
    """Somebody with a login who is no staff."""
    return browser_of(stranger)


def entrance(secret: str) -> str:
    return reverse("consent_link", args=[secret])


def page_of(secret: str, client: Client) -> str:
    """Opens the link, and returns the address that it leads to."""
    answer = client.get(entrance(secret))
    assert answer.status_code == 302
    return str(answer["Location"])


def address(name: str) -> str:
    return reverse(f"consent_link_{name}", args=[ConsentLink.objects.get().pk])


def text_of(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def went_to_provider(client: Client, secret: str) -> dict[str, str]:
    """Starts the trip, and returns the parameters that the provider would get."""
    content = client.post(page_of(secret, client)).content.decode()
    found = re.search(r'href="(https://[^"]+)"', content)
    assert found
    return {key: values[0] for key, values in parse_qs(urlsplit(found[1].replace("&amp;", "&")).query).items()}


def came_back(client: Client, **query: str) -> Any:
    return client.get(reverse("oauth_callback", args=["acme"]), query, follow=True)


# --- The way in ------------------------------------------------------------------------------------------------


def test_the_secret_leaves_the_address_at_once(hosted: str, colleague: Client) -> None:
    answer = colleague.get(entrance(hosted))
    assert answer["Location"] == address("page")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]


def test_without_a_login_the_link_leads_to_the_login_and_from_there_to_its_page(hosted: str, stranger: User) -> None:
    cache.clear()  # allauth counts logins
    client = Client()
    login = client.get(page_of(hosted, client))["Location"]
    assert hosted not in login
    answer = client.post(login, {"login": "stranger", "password": "password"}, follow=True)
    assert answer.redirect_chain[-1][0] == address("page")
    assert "Continue to Slack" in text_of(answer)


def test_the_page_is_not_there_for_somebody_without_the_link(hosted: str, colleague: Client) -> None:
    for name in ("page", "result", "status"):
        assert colleague.get(address(name)).status_code == 404
    assert colleague.post(address("page")).status_code == 404


def test_the_page_says_in_words_who_asks_for_what(hosted: str, colleague: Client, connector: Connector) -> None:
    connector.project.workspace.allowed_account_domains = ["acme.example"]
    connector.project.workspace.save()
    shown = text_of(colleague.get(page_of(hosted, colleague)))
    for words in ("Crm asks to use Slackbot", "bot account", "acme.example", "chat:write", "High: changes", "Live"):
        assert words in shown


def test_no_page_of_a_link_is_kept_by_a_cache(hosted: str, colleague: Client) -> None:
    path = page_of(hosted, colleague)
    for answer in (colleague.get(path), colleague.post(path), colleague.get(address("result"))):
        assert "no-store" in answer["Cache-Control"]


def test_a_form_of_a_link_is_taken_from_its_own_page_only(hosted: str, stranger: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(stranger)
    path = page_of(hosted, client)
    assert client.get(path)["Referrer-Policy"] == "same-origin"  # with "no-referrer" the button would do nothing
    assert client.post(path).status_code == 403


@pytest.mark.parametrize(("why", "status"), [("unknown", 404), ("withdrawn", 410), ("expired", 410), ("used", 410)])
def test_a_link_that_opens_nothing_says_why(hosted: str, colleague: Client, why: str, status: int) -> None:
    now = timezone.now()
    link = ConsentLink.objects.get()
    values = {"withdrawn": {"revoked_at": now}, "expired": {"expires_at": now}, "used": {"used_at": now}}
    ConsentLink.objects.filter(pk=link.pk).update(**values.get(why, {"note": ""}))
    answer = colleague.get(entrance(hosted if why != "unknown" else "x" * 43), follow=True)
    assert answer.status_code == status
    assert "opens nothing" in text_of(answer)
    assert hosted not in answer.request["PATH_INFO"]


def test_a_reason_that_is_none_of_ours_is_not_found(colleague: Client, db: None) -> None:
    assert colleague.get("/consent/over/because/").status_code == 404


def test_a_link_that_is_withdrawn_while_its_page_is_open_does_nothing(hosted: str, colleague: Client) -> None:
    path = page_of(hosted, colleague)
    withdraw(ConsentLink.objects.get(), SHELL)
    answer = colleague.post(path)
    assert answer.status_code == 410
    assert "withdrawn" in text_of(answer)
    assert not Event.objects.filter(verb="consent.asked").exists()


def test_looking_at_the_page_claims_nothing(hosted: str, colleague: Client) -> None:
    colleague.get(page_of(hosted, colleague))
    assert ConsentLink.objects.get().claimed_at is None


def test_whoever_comes_second_is_told_who_was_first(hosted: str, colleague: Client) -> None:
    colleague.post(page_of(hosted, colleague))
    second = browser_of(make_user("second"))
    path = page_of(hosted, second)
    for answer in (second.get(path), second.post(path)):
        assert answer.status_code == 403
        assert "stranger has opened this link already" in text_of(answer)


# --- Held by the portal ----------------------------------------------------------------------------------------


def test_a_link_leads_to_the_provider_with_exactly_the_declared_scopes(held: str, colleague: Client) -> None:
    assert went_to_provider(colleague, held)["scope"].split(",") == SCOPES
    trip = Authorisation.objects.get()
    assert (trip.consent_link, trip.user.username) == (ConsentLink.objects.get(), "stranger")


def test_a_denial_is_shown_and_the_same_person_can_try_again(held: str, colleague: Client) -> None:
    state = went_to_provider(colleague, held)["state"]
    answer = came_back(colleague, state=state, error="access_denied")
    assert answer.redirect_chain[-1][0] == address("result")
    assert "Denied." in text_of(answer)
    assert "Try again" in text_of(answer)
    assert went_to_provider(colleague, held)["state"] != state


def test_consent_that_was_given_uses_the_link_up(held: str, colleague: Client, connector: Connector) -> None:
    went_to_provider(colleague, held)
    make_token(connector, granted_scopes=SCOPES, account="bea@acme.example")
    Authorisation.objects.update(outcome=Outcome.CONNECTED, message="Connected.", account="bea@acme.example")
    shown = text_of(colleague.get(address("result")))
    assert "bea@acme.example" in shown
    assert "chat:write" in shown
    assert ConsentLink.objects.get().used_at is not None


def test_a_provider_that_does_not_say_what_it_granted_is_not_said_to_have_granted_nothing(
    held: str, colleague: Client, connector: Connector
) -> None:
    went_to_provider(colleague, held)
    make_token(connector, granted_scopes=None)
    Authorisation.objects.update(outcome=Outcome.CONNECTED, message="Connected.")
    assert "does not say which permissions" in text_of(colleague.get(address("result")))


@pytest.mark.parametrize("outcome", [Outcome.FEWER_SCOPES, Outcome.OTHER_ACCOUNT, Outcome.WRONG_DOMAIN])
def test_consent_that_is_not_what_was_asked_for_keeps_the_link_open(
    held: str, colleague: Client, outcome: Outcome
) -> None:
    went_to_provider(colleague, held)
    Authorisation.objects.update(outcome=outcome, message="Missing: users:read.")
    answer = colleague.get(address("result"))
    assert "Missing: users:read." in text_of(answer)
    assert "Try again" in text_of(answer)
    assert ConsentLink.objects.get().used_at is None


def test_whoever_does_not_come_back_can_try_again(held: str, colleague: Client) -> None:
    went_to_provider(colleague, held)
    Authorisation.objects.update(expires_at=timezone.now() - dt.timedelta(minutes=1))
    assert "Try again" in text_of(colleague.get(address("result")))


def test_consent_counts_for_those_too_who_do_not_come_back_to_see_it(held: str, colleague: Client) -> None:
    went_to_provider(colleague, held)
    Authorisation.objects.update(outcome=Outcome.CONNECTED, message="Connected.")
    assert settle_left_open(timezone.now()) == 1
    assert ConsentLink.objects.get().used_at is not None


# --- Hosted by Base44 ------------------------------------------------------------------------------------------


def test_base44s_own_link_is_in_the_answer_to_the_button_alone(hosted: str, colleague: Client) -> None:
    answer = colleague.post(page_of(hosted, colleague))
    link = re.search(r'href="(http[^"]+)" target="_blank"', answer.content.decode())
    assert link
    assert answer["Referrer-Policy"] == "no-referrer"
    assert link[1] not in colleague.get(address("result")).content.decode()


@pytest.mark.parametrize(
    ("approve", "words", "used"),
    [("all", "with every scope", True), (["chat:write"], "Missing: users:read", False), (False, "denied", False)],
)
def test_the_outcome_at_base44_is_checked_and_shown(
    hosted: str, colleague: Client, base44: Emulator, connector: Connector, approve: Any, words: str, used: bool
) -> None:
    colleague.post(page_of(hosted, colleague))
    assert "hx-get" in colleague.get(address("status")).content.decode()
    base44.consent(APP, "slackbot", approve=approve)
    tasks.poll_consent(connector.pk)
    answer = colleague.get(address("status"))
    assert words in text_of(answer)
    assert "hx-get" not in answer.content.decode()
    assert (ConsentLink.objects.get().used_at is not None) == used


def test_an_account_of_another_domain_is_not_taken_for_success(
    hosted: str, colleague: Client, base44: Emulator, connector: Connector
) -> None:
    colleague.post(page_of(hosted, colleague))
    base44.consent(APP, "slackbot")
    tasks.poll_consent(connector.pk)
    connector.project.workspace.allowed_account_domains = ["elsewhere.example"]
    connector.project.workspace.save()
    assert "only accounts of elsewhere.example" in text_of(colleague.get(address("result")))
    assert ConsentLink.objects.get().used_at is None


def test_a_base44_that_refuses_is_told_on_the_page(hosted: str, colleague: Client, base44: Emulator) -> None:
    base44.fail("PUT", "/integrations/", status=403, message="Your role may not connect services")
    assert "may not connect" in text_of(colleague.post(page_of(hosted, colleague)))


# --- What nobody learns ----------------------------------------------------------------------------------------


def test_the_secret_is_in_no_row_no_session_no_log_and_no_later_page(
    hosted: str, colleague: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        path = page_of(hosted, colleague)
        answers = [colleague.get(path), colleague.post(path), colleague.get(address("result"))]
        withdraw(ConsentLink.objects.get(), SHELL)
        answers.append(colleague.get(entrance(hosted), follow=True))
    stored = [repr(row) for model in apps.get_models() for row in model._default_manager.values_list()]
    stored += [repr(session.get_decoded()) for session in Session.objects.all()]
    assert not [text for text in [*stored, caplog.text] if hosted in text]
    assert not [answer for answer in answers if hosted in answer.content.decode()]


def test_the_colleague_sees_nothing_else_of_the_portal(hosted: str, colleague: Client, connector: Connector) -> None:
    shown = colleague.post(page_of(hosted, colleague)).content.decode()
    assert "/admin/" not in shown
    for path in ("/admin/", reverse("admin:connectors_connector_change", args=[connector.pk])):
        assert colleague.get(path).status_code in (302, 403)


def test_somebody_who_was_deactivated_is_asked_for_a_login(hosted: str, colleague: Client, stranger: User) -> None:
    path = page_of(hosted, colleague)
    User.objects.filter(pk=stranger.pk).update(is_active=False)
    assert "login" in colleague.get(path)["Location"]


def test_the_outcome_is_for_the_person_and_for_staff_who_may_see_the_connector(
    hosted: str, colleague: Client, viewer: User
) -> None:
    colleague.post(page_of(hosted, colleague))
    assert colleague.get(address("result")).status_code == 200
    assert browser_of(make_user("other")).get(address("result")).status_code == 404
    assert browser_of(viewer).get(address("result")).status_code == 404
    viewer.user_permissions.set(Permission.objects.filter(codename="view_connector"))
    shown = browser_of(viewer).get(address("result"))
    assert shown.status_code == 200
    assert "Try again" not in text_of(shown)


def test_names_and_notes_are_escaped(live_project: Project, colleague: Client) -> None:
    Project.objects.update(name="<script>alert(1)</script>")
    connector = make_connector(Project.objects.get(), "slackbot", ["<b>scope</b>"])
    secret = make_link(connector, Kind.HOSTED, SHELL, note="<i>note</i>").get_secret_value()
    content = colleague.get(page_of(secret, colleague)).content.decode()
    assert "<script>alert" not in content
    assert "<b>scope" not in content
    assert "<i>note" not in content


def test_a_link_whose_client_is_gone_goes_with_it(held: str, colleague: Client) -> None:
    path = page_of(held, colleague)
    ConsentLink.objects.get().oauth_client.delete()  # type: ignore[union-attr]
    assert colleague.get(path).status_code == 404


def test_a_secret_whose_key_is_lost_is_told_on_the_page(held: str, colleague: Client) -> None:
    path = page_of(held, colleague)
    link = ConsentLink.objects.get()
    assert link.oauth_client is not None
    link.oauth_client.client_secret = Sealed("not-of-any-key")
    link.oauth_client.save()
    assert "This did not work" in text_of(colleague.post(path))


@pytest.mark.parametrize("other", [True, False])
def test_a_link_for_whoever_takes_over_takes_another_account(
    other: bool, connector: Connector, colleague: Client
) -> None:
    client = make_oauth_client("acme", provider="slack")
    make_token(connector, oauth_client=client, account="leaves@acme.example")
    (made,) = make_links([Asked(connector, Kind.PORTAL, client, other_account=other)], SHELL)
    secret = made.secret.get_secret_value() if made.secret else ""
    assert ("leaves@acme.example" in text_of(colleague.get(page_of(secret, colleague)))) != other
    went_to_provider(colleague, secret)
    assert Authorisation.objects.get().allow_other_account == other

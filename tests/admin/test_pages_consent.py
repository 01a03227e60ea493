"""Consent: the link goes to one browser in one answer, and nowhere else; what comes of it is shown in words."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.seed import COLLEAGUE
from connectors.models import Connector, Event, Project
from tests.factories import make_connector
from tests.flows.conftest import APP

Consent = Connector.Consent
SCOPES = ["chat:write", "users:read"]


@pytest.fixture
def connector(live_project: Project) -> Connector:
    return make_connector(live_project, "slackbot", SCOPES)


def page(connector: Connector) -> str:
    return reverse("admin:connectors_connector_authorise", args=[connector.pk])


def status(browser: Client, connector: Connector) -> str:
    path = reverse("admin:connectors_connector_authorise_status", args=[connector.pk])
    return " ".join(browser.get(path).content.decode().split())


def link_in(content: str) -> str:
    """The consent link in a page, "" without one."""
    found = re.search(r'href="(http[^"]+)" target="_blank"', content)
    return found[1] if found else ""


def everything_stored() -> Iterator[str]:
    """Every value of every row there is, sessions decoded."""
    for model in apps.get_models():
        for row in model._default_manager.values_list():
            yield repr(row)
    for session in Session.objects.all():
        yield repr(session.get_decoded())


def test_the_answer_to_the_post_holds_the_link(browser: Client, connector: Connector) -> None:
    answer = browser.post(page(connector))
    assert link_in(answer.content.decode()).startswith(connector.project.workspace.api_url)
    assert 'rel="noreferrer noopener"' in answer.content.decode()


def test_the_link_is_in_no_other_answer(browser: Client, connector: Connector) -> None:
    link = link_in(browser.post(page(connector)).content.decode())
    others = [page(connector), reverse("admin:connectors_project_consents", args=[connector.project_id])]
    contents = [browser.get(path).content.decode() for path in others] + [status(browser, connector)]
    assert link
    assert not [content for content in contents if link in content or link_in(content)]


def test_the_link_is_nowhere_in_database_session_or_log(
    browser: Client, connector: Connector, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        link = link_in(browser.post(page(connector)).content.decode())
    secret = link.rsplit("/", 1)[-1]
    assert len(secret) > 8
    assert not [text for text in everything_stored() if secret in text]
    assert secret not in caplog.text


def test_the_answer_is_kept_by_no_cache_and_tells_no_referrer(browser: Client, connector: Connector) -> None:
    answer = browser.post(page(connector))
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"


def test_a_page_with_a_form_lets_the_browser_name_its_origin(
    browser: Client, base44: Emulator, connector: Connector
) -> None:
    base44.fail("PUT", "/integrations/", status=403)
    refused = browser.post(page(connector))
    assert [answer["Referrer-Policy"] for answer in (browser.get(page(connector)), refused)] == ["same-origin"] * 2


def test_looking_at_the_page_asks_base44_nothing(browser: Client, base44: Emulator, connector: Connector) -> None:
    browser.get(page(connector))
    assert not base44.requests


def test_asking_goes_on_record_in_the_name_of_the_person(browser: Client, connector: Connector) -> None:
    browser.post(page(connector))
    assert Event.objects.get(verb="consent.asked").actor_label == "operator"


def test_a_connector_that_is_connected_already_gets_no_link(
    browser: Client, base44: Emulator, connector: Connector
) -> None:
    base44.register(APP, "slackbot", SCOPES)
    answer = browser.post(page(connector), follow=True)
    assert "connected already" in answer.content.decode()
    assert not link_in(answer.content.decode())


def test_base44s_refusal_is_told_on_the_page(browser: Client, base44: Emulator, connector: Connector) -> None:
    base44.register(APP, "slackbot", SCOPES, account=COLLEAGUE)
    answer = browser.post(page(connector))
    assert COLLEAGUE in answer.context["problem"]
    assert not link_in(answer.content.decode())


def test_a_base44_that_does_not_answer_is_told_on_the_page(
    browser: Client, base44: Emulator, connector: Connector
) -> None:
    base44.fail("PUT", "/integrations/", status=403, message="Your role may not connect services")
    assert "may not connect" in browser.post(page(connector)).context["problem"]


def test_a_workspace_without_credential_is_told_on_the_page(browser: Client, project: Project) -> None:
    answer = browser.post(page(make_connector(project, "slackbot", SCOPES)))
    assert "no Base44 credential" in answer.context["problem"]


def test_stripe_is_not_asked_for_consent(browser: Client, base44: Emulator, live_project: Project) -> None:
    answer = browser.post(page(make_connector(live_project, "stripe")))
    assert "no consent page" in answer.context["problem"]
    assert not base44.requests


def test_the_status_asks_for_itself_while_nobody_has_decided(browser: Client, connector: Connector) -> None:
    browser.post(page(connector))
    assert "hx-get" in status(browser, connector)


@pytest.mark.parametrize(
    ("approve", "tone", "words"),
    [
        ("all", "success", "Connected as"),
        (["chat:write"], "warning", "but the scopes differ. Missing at Base44: users:read"),
        (False, "danger", "It was denied, or the provider reported an error."),
    ],
)
def test_the_outcome_is_shown_in_words_and_the_link_taken_away(
    browser: Client, base44: Emulator, connector: Connector, approve: object, tone: str, words: str
) -> None:
    browser.post(page(connector))
    base44.consent(APP, "slackbot", approve=approve)  # type: ignore[arg-type]
    tasks.poll_consent(connector.pk)
    shown = status(browser, connector)
    assert f"pc-notice--{tone}" in shown
    assert words in re.sub(r"<[^>]+>", "", shown)
    assert "hx-get" not in shown
    assert '<div id="consent-link" hx-swap-oob="true"></div>' in shown


def test_a_failed_consent_can_be_asked_for_anew(browser: Client, connector: Connector) -> None:
    Connector.objects.update(consent=Consent.FAILED, consent_note="Denied.")
    assert "Ask for a new link" in browser.get(page(connector)).content.decode()
    assert link_in(browser.post(page(connector)).content.decode())


def test_all_that_wait_in_a_project_are_listed(browser: Client, live_project: Project) -> None:
    make_connector(live_project, "gmail", ["mail"], consent=Consent.NEEDED)
    make_connector(live_project, "notion", [], consent=Consent.GIVEN_UP)
    make_connector(live_project, "hubspot", ["oauth"])
    answer = browser.get(reverse("admin:connectors_project_consents", args=[live_project.pk]))
    assert {row["connector"].integration_type_id for row in answer.context["rows"]} == {"gmail", "notion"}

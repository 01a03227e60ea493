"""Every flow is run with secrets that are known; afterwards none of them is found anywhere in the clear."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import secrets
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import quote, quote_plus

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from connectors import tasks
from connectors.core.base44.emulator import Emulator
from tests.factories import make_project
from tests.oauth.canary import Browser, Canary, all_logs, broker, database, readable
from tests.oauth.story import APP, Story
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.openid_provider.ways import PORTAL

# Transactional, so that what the story commits and clears away meets no test that counts on what migrations made.
pytestmark = pytest.mark.django_db(transaction=True)

PLACES = ["database", "events", "log records", "log lines", "pages", "broker", "exports", "commands", "reports"]
PLACES.append("reprs")


@pytest.fixture
def told(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    openid_provider: OpenIdProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Canary:
    """The canary after the whole story, which is committed, and cleared away when it is over."""
    canary, folder = Canary(), tmp_path_factory.mktemp("exports")
    with django_db_blocker.unblock(), ExitStack() as stack:
        assert "test" in str(connection.settings_dict["NAME"])  # it is flushed
        openid_provider.reset()
        cache.clear()
        stack.callback(call_command, "flush", verbosity=0, interactive=False)
        stack.callback(current_app.control.purge)
        stack.enter_context(override_settings(PORTAL_URL=PORTAL))
        base44 = stack.enter_context(Emulator())
        base44.add_app(APP, "CRM")
        stack.enter_context(canary.watching())
        Story(canary, openid_provider, base44, folder, stack).run()
    return canary


def test_no_secret_of_any_kind_is_found_after_every_flow(told: Canary) -> None:
    # One test: whichever process took a second one would have to go through the whole story again.
    assert [place for place in PLACES if not told.seen[place]] == []
    assert [leak for place in PLACES for leak in told.leaks(place)] == []
    sent = {"code", "verifier", "state", "nonce", "link", "device_code", "typed client secret", "personal access token"}
    received = {"access_token", "refresh_token", "id_token", "consent page of Base44"}
    assert sent | received | {"SECRET_KEY", "encryption key"} <= set(told.secrets.kinds.values())
    # Error reports come from views and from flows.
    names = {name.partition(" ")[0] for name in told.reported}
    assert {"ApiError", "OAuthError", "ProgrammingError", "Refused"} <= names
    for part in ("/callback/", "/oauthclient/", "/workspace/", "/desk/", "/consent/", "/start/", "a flow"):
        assert any(part in name for name in told.reported), part


# --- The canary can fail: a secret that is planted is found ---


@pytest.fixture
def canary() -> Canary:
    """Knows one secret of awkward signs."""
    found = Canary()
    found.secrets.add("planted", f"{secrets.token_urlsafe(24)}/+&=\"<'%{secrets.token_urlsafe(24)}")
    return found


def planted(canary: Canary) -> str:
    return next(iter(canary.secrets.kinds))


@pytest.mark.parametrize(
    "form",
    [
        str,
        repr,
        json.dumps,
        html.escape,
        quote,
        quote_plus,
        lambda text: text[:20],
        lambda text: text[-20:],
        lambda text: text.encode().hex(),
        lambda text: base64.b64encode(f"id:{text}".encode()).decode(),
        lambda text: base64.urlsafe_b64encode(f"ab{text}cd".encode()).decode(),
    ],
)
def test_a_secret_is_found_in_every_form(canary: Canary, form: Callable[[str], str]) -> None:
    canary.keep("a place", f"before={form(planted(canary))};after")
    assert canary.leaks("a place")


def test_a_secret_is_let_pass_only_where_it_is_handed_out(canary: Canary) -> None:
    canary.keep("a place", planted(canary), but={"planted"})
    assert not canary.leaks("a place")
    canary.keep("a place", planted(canary), but={"another"})
    assert canary.leaks("a place")


def test_a_secret_in_a_column_is_found(canary: Canary) -> None:
    make_project(notes=planted(canary))
    for table, row in database():
        canary.keep("database", row, origin=table)
    assert ["connectors_project" in leak for leak in canary.leaks("database")] == [True]


def test_a_secret_in_a_session_is_found(canary: Canary) -> None:
    session = SessionStore()
    session["held"] = planted(canary)
    session.save()
    for table, row in database():
        canary.keep("database", row, origin=table)
    assert any("sessions, decoded" in leak for leak in canary.leaks("database"))


@pytest.mark.parametrize("name", ["connectors.flows.refresh", "urllib3.connectionpool", "never.heard.of"])
def test_a_secret_in_a_log_is_found(canary: Canary, name: str) -> None:
    with all_logs(canary):
        logging.getLogger(name).debug("sent %s", planted(canary))
    assert canary.leaks("log lines")


def test_a_secret_in_a_logged_traceback_is_found(canary: Canary) -> None:
    with all_logs(canary):
        try:
            raise ValueError(planted(canary))
        except ValueError:
            logging.getLogger("connectors").exception("It failed")
    assert canary.leaks("log lines")


def test_a_secret_on_a_page_is_found(canary: Canary, operator: User) -> None:
    browser, project = Browser(canary), make_project(notes=planted(canary))
    browser.force_login(operator)
    browser.get(reverse("admin:connectors_project_change", args=[project.pk]))
    assert canary.leaks("pages")


def test_a_secret_in_a_message_is_found(canary: Canary) -> None:
    try:
        tasks.poll_consent.apply_async((planted(canary),))
        for name, message in broker():
            canary.keep("broker", message, origin=name)
    finally:
        current_app.control.purge()
    assert canary.leaks("broker")


def test_a_secret_in_a_zip_is_found(canary: Canary) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.jsonc", planted(canary))
    canary.keep("exports", readable(packed.getvalue()))
    assert canary.leaks("exports")


def test_a_secret_in_a_report_is_found(canary: Canary) -> None:
    held = planted(canary)  # a variable of a frame that no list hides
    try:
        raise ValueError(len(held))
    except ValueError as error:
        canary.report(None, (type(error), error, error.__traceback__))
    assert canary.leaks("reports")

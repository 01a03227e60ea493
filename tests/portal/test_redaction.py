"""Addresses with secrets in them leave none in logs and error reports."""

from __future__ import annotations

import logging
import secrets
import sys
from typing import Any

import pytest
from django.test import RequestFactory, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.flows.invitations import INVITATION_KEY
from portal.access_log import AccessLogger
from portal.error_report import Report
from portal.log_format import JsonFormatter
from portal.redaction import HIDDEN, RULES, RedactingFilter, Rule, redacted
from portal.sign_in.adapter import _invitation

VALUES = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%", min_size=20, max_size=60)
MARK = secrets.token_urlsafe(24)


@pytest.mark.parametrize("name", ["code", "state", "access_token", "refresh_token", "id_token", "client_secret"])
@settings(max_examples=25)
@given(value=VALUES)
def test_the_value_of_a_telling_name_is_hidden(name: str, value: str) -> None:
    hidden = redacted(f"GET /oauth/idp/callback/?page=1&{name}={value}&iss=https://idp.example HTTP/1.1")
    assert f"={value}" not in hidden
    assert "page=1" in hidden
    assert "iss=https://idp.example" in hidden


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.signs[0].strip("-': \""))
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_a_rule_hides_has_one_of_its_signs(rule: Rule, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(rule.pattern))
    assert any(sign in text.lower() for sign in rule.signs)
    assert rule.pattern.sub(rule.instead, text) != text or HIDDEN in text


def test_a_one_use_link_is_hidden() -> None:
    assert MARK not in redacted(f"Forbidden: /consent/{MARK}/")


PLACES = [
    "Authorization: Bearer {}",
    "Authorization: Basic {}",
    "{{'Authorization': 'Bearer {}'}}",
    "curl -H 'Authorization: token {}' said no",
    "sent Bearer {} to the host",
    "Cookie: theme=dark; sessionid={}",
    "Set-Cookie: __Host-sessionid={}; Path=/; Secure",
    "sessionid={}; csrftoken=x",
    "{{'sessionid': '{}', 'theme': 'dark'}}",
    "csrfmiddlewaretoken={}&name=x",
    "X-Gitlab-Token: {}",
    "cannot connect to postgres://portal:{}@db.example/portal",
    "redis://:{}@cache.example:6379/0 does not answer",
    "fatal: unable to access https://{}@git.example/team/repo.git",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n(cut off)",
    "SECRET_KEY={}",
    '{{"client_secret": "{}", "client_id": "id"}}',
    "/accounts/password/reset/key/1-{}/",
    "GET /join/{}/ HTTP/1.1",
    "GET /accounts/2fa/reauthenticate/?next=%2Fjoin%2F{}%2F HTTP/1.1",
    "GET /accounts/login/?next=%2Faccounts%2Fpassword%2Freset%2Fkey%2F1-{}%2F HTTP/1.1",
]
"""Where secrets stand in what servers and libraries log; {} is the secret."""


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=25)
@given(secret=st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=24, max_size=60))
def test_a_secret_is_hidden_wherever_it_stands(place: str, secret: str) -> None:
    text = place.format(secret)
    assert secret not in redacted(text)
    assert secret not in redacted(f"before {text} after")


@given(header=st.sampled_from(["eyJhbGciOiJSUzI1NiJ9", "eyJ0eXAiOiJKV1QifQ"]), signature=VALUES)
def test_a_signed_token_is_hidden_without_any_name(header: str, signature: str) -> None:
    assert header not in redacted(f"got {header}.eyJzdWIiOiIxMjM0NSJ9.{signature}")


@pytest.mark.parametrize("prefix", ["ghp_", "glpat-", "xoxb-", "ya29."])
def test_a_token_is_known_by_its_prefix(prefix: str) -> None:
    assert MARK not in redacted(f"the host refused {prefix}{MARK}")


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@git.example/team/repo.git",
        "https://portal.example.org/admin/connectors/token/7/change/",
        "token.refreshed for gmail in CRM",
        "Basic authentication is off",
        "The state of the token is fresh",
        "connectors.tasks.refresh_due_tokens[7f0c] succeeded in 0.2s",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert redacted(text) == text


@given(st.sampled_from(["a.", "a://", "-----BEGIN ", "eyJ", "cookie:", "token=", "'"]))
def test_a_long_line_is_cleaned_by_reading_it_a_few_times(piece: str) -> None:
    assert len(redacted(piece * 20_000)) <= 20_000 * (len(piece) + len("[hidden]"))


def test_a_query_dictionary_is_hidden() -> None:
    assert MARK not in redacted(f"<QueryDict: {{'state': ['{MARK}'], 'code': ['{MARK}']}}>")


@given(st.text())
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text or "=" in text or ":" in text or "/consent/" in text


def test_a_log_record_is_cleaned_with_its_arguments() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%s %s", ("GET", f"/callback/?code={MARK}"), None)
    assert RedactingFilter().filter(record)
    assert MARK not in record.getMessage()
    assert "GET" in record.getMessage()


def test_the_access_log_of_the_web_server_is_cleaned() -> None:
    class Answer:
        status, sent = "302 Found", 0
        headers: dict[str, str] = {}

    class Time:
        seconds, microseconds = 0, 1

    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": f"/oauth/idp/callback/?code={MARK}&state={MARK}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "QUERY_STRING": f"code={MARK}&state={MARK}",
        "HTTP_REFERER": f"https://idp.example/?state={MARK}",
    }
    logger = AccessLogger.__new__(AccessLogger)
    assert MARK not in str(logger.atoms(Answer(), {}, environ, Time()))


def test_the_traceback_of_a_log_record_is_cleaned() -> None:
    try:
        raise ValueError(f"no route to /callback/?code={MARK}")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "It failed", None, sys.exc_info())
    RedactingFilter().filter(record)
    for style in (logging.Formatter(), JsonFormatter()):
        assert "no route to" in style.format(record)
        assert MARK not in style.format(record)


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("name", ["secret", "token", "password"])
def test_an_error_report_holds_nothing_that_was_typed_as_a_secret(name: str, *, debug: bool) -> None:
    request = RequestFactory().post("/admin/", {name: f" {MARK} ", "plan": "pro-plan"})
    typed = request.POST[name].strip()
    try:
        raise ValueError("something broke")
    except ValueError:
        with override_settings(DEBUG=debug):
            report = Report(request, *sys.exc_info())
            text = report.get_traceback_html() + report.get_traceback_text()
    assert typed not in text
    assert "pro-plan" in text


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("form", ["html", "text"])
def test_an_error_report_holds_nothing_of_the_address(form: str, *, debug: bool) -> None:
    request = RequestFactory().get("/oauth/idp/callback/", {"code": MARK, "state": MARK})
    held_in_a_variable = request.GET["code"]
    try:
        raise ValueError("something broke")
    except ValueError:
        with override_settings(DEBUG=debug):
            report = Report(request, *sys.exc_info())
            text = report.get_traceback_html() if form == "html" else report.get_traceback_text()
    assert held_in_a_variable not in text
    assert "something broke" in text


@pytest.mark.parametrize("debug", [True, False])
def test_an_error_report_holds_no_invitation_of_the_session(*, debug: bool) -> None:
    request = RequestFactory().get("/join/")
    request.session = {INVITATION_KEY: MARK}  # type: ignore[assignment]
    try:
        _invitation(request)  # a test that has no database
    except RuntimeError:
        with override_settings(DEBUG=debug):
            report = Report(request, *sys.exc_info())
            text = report.get_traceback_html() + report.get_traceback_text()
    assert MARK not in text
    assert "_invitation" in text

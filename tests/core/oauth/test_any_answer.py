"""Whatever a provider answers, nothing but OAuthError comes out, and no secret with it."""

from __future__ import annotations

import json
import secrets
import traceback
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.core.catalog import load_catalog
from connectors.core.oauth.answers import error_code, scopes_in, seconds, seconds_until
from connectors.core.oauth.errors import OAuthError
from connectors.core.oauth.grant import Grant, claims_in
from connectors.core.oauth.inspect import introspect, revoke, who
from connectors.core.oauth.token_endpoint import TokenEndpoint
from tests.core.oauth.conftest import local_profile, registration
from tests.servers.scripted import Provider

SENT = "aB1" + secrets.token_urlsafe(24)
NAMES = [
    "access_token",
    "refresh_token",
    "error",
    "code",
    "ok",
    "scope",
    "scopes",
    "expires_in",
    "expires_at",
    "active",
]
NAMES += [
    "authed_user",
    "data",
    "errors",
    "id_token",
    "token_type",
    "user",
    "type",
    "status",
    ".tag",
    "team",
    "id",
    "exp",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from([SENT, "ok"])
DOCUMENTS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)
BODIES = DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=200)
TYPES = st.sampled_from(["slack", "github", "instagram", "square", "gmail", "tiktok", "notion", "salesforce", "wix"])
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def outcome(call: Any) -> tuple[Any, str]:
    """What a call gave, and everything that an error report would show of its error, local variables included."""
    try:
        return call(), ""
    except OAuthError as error:
        report = traceback.TracebackException.from_exception(error, capture_locals=True)
        for frame in list(report.stack)[:1]:  # the frame of this test
            frame.locals = None
        assert report.__context__ is None
        return None, "".join(report.format()) + repr(error.__dict__)


@MANY
@given(type_=TYPES, body=BODIES, status=st.sampled_from([200, 201, 302, 400, 401, 403, 404, 429, 500]))
@example(type_="gmail", body=json.dumps({"error": SENT}).encode(), status=400)
@example(type_="wix", body=json.dumps({"error": SENT}).encode(), status=200)
@example(type_="gmail", body=b'{"access_token": "a", "expires_in": 1e999, "scope": 7}', status=200)
@example(type_="gmail", body=b"[" * 5000, status=200)
def test_any_answer_gives_a_grant_or_an_oauth_error_without_a_secret(
    provider: Provider, type_: str, body: bytes, status: int
) -> None:
    provider.reset()
    provider.answers(body, status)
    client = registration(provider)
    endpoint = TokenEndpoint(local_profile(type_, client, provider), client)
    token, key = SecretStr(SENT), client.client_secret.get_secret_value()
    calls = (
        lambda: endpoint.refresh(token, token, details={"instanceId": "i"}),
        lambda: endpoint.exchange(token, "https://p.example/", verifier=token, callback={"instanceId": "i"}),
    )
    for call in calls:
        grant, report = outcome(call)
        assert grant is None or isinstance(grant, Grant)
        assert SENT not in report
        assert key not in report


@MANY
@given(type_=TYPES, body=BODIES, status=st.sampled_from([200, 400, 401, 404, 500]))
def test_any_answer_about_a_token_is_read_or_an_oauth_error_without_a_secret(
    provider: Provider, type_: str, body: bytes, status: int
) -> None:
    provider.reset()
    provider.answers(body, status)
    client = registration(provider)
    profile, token = local_profile(type_, client, provider), SecretStr(SENT)
    for call in (
        lambda: introspect(profile, client, token, token),
        lambda: revoke(profile, client, token, token),
        lambda: who(profile, token),
    ):
        assert SENT not in outcome(call)[1]


@pytest.mark.parametrize(
    "code",
    ["invalid_grant", "AADSTS7000215", "bad_verification_code", "OAUTH_014", "190", "InvalidAuthenticationToken"],
)
def test_an_error_code_of_a_provider_is_kept(code: str) -> None:
    assert error_code({"error": code}) == code


@pytest.mark.parametrize("code", ["", "two words", "x" * 61, "a\nb", "<b>", "0123456789abcdef" * 2 + "0000"])
def test_a_text_that_is_no_error_code_is_dropped(code: str) -> None:
    assert error_code({"error": code}) == ""


def test_a_token_of_letters_alone_is_no_error_code() -> None:
    assert error_code({"error": "TqW-oBdZyeKuJHf_sXcAQpRv"}) == ""


@pytest.mark.parametrize("code", ["abcdefgh", "prefix-abcdefgh-suffix"])
def test_an_error_code_made_of_what_was_sent_is_dropped(code: str) -> None:
    assert error_code({"error": code}, ["abcdefgh"]) == ""


def test_a_grant_shows_no_token(provider: Provider) -> None:
    new = secrets.token_urlsafe(24)
    provider.answers({"access_token": new, "refresh_token": new, "id_token": new, "team": {"id": "T1"}})
    client = registration(provider)
    grant = TokenEndpoint(local_profile("slackbot", client, provider), client).refresh(SecretStr(SENT), SecretStr(SENT))
    assert new not in repr(grant)
    assert "T1" in repr(grant)


WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=8)


@given(scopes=st.lists(WORD, min_size=1, unique=True), separator=st.sampled_from([" ", ",", ", ", "  "]))
def test_scopes_are_read_with_any_separator_and_as_a_list(scopes: list[str], separator: str) -> None:
    assert scopes_in(separator.join(scopes)) == scopes_in(scopes) == tuple(scopes)


@given(value=DOCUMENTS)
def test_scopes_are_words_each_once_or_unknown(value: Any) -> None:
    found = scopes_in(value)
    assert found is None or (found and len(set(found)) == len(found) and all(word.split() == [word] for word in found))


@given(value=DOCUMENTS, now=st.floats(0, 4e9))
def test_a_span_is_unknown_or_between_now_and_a_century(value: Any, now: float) -> None:
    for span in (seconds(value), seconds_until(value, now)):
        assert span is None or 0 <= span <= 100 * 365 * 86_400


@pytest.mark.parametrize("text", ["2023-11-14T23:13:20Z", "2023-11-15T00:13:20+01:00", "1700003600", 1700003600000])
def test_a_time_is_read_in_every_form(text: object) -> None:
    assert seconds_until(text, 1_700_000_000.0) == 3600.0


@given(value=DOCUMENTS | st.text() | st.binary(max_size=50))
@example("a.b.c")
@example("e30.W10.x")
def test_an_id_token_that_is_none_has_no_claims(value: Any) -> None:
    assert claims_in(value) == {}


def test_an_id_token_nested_beyond_reading_has_no_claims() -> None:
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    parts = [b'{"alg":"none"}', deep, b"x"]
    assert claims_in(".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)) == {}


@pytest.mark.parametrize("type_", sorted(load_catalog().types))
def test_no_detail_of_a_grant_is_a_token(type_: str) -> None:
    wire = load_catalog().types[type_].oauth.wire
    for place in (*wire.details, *wire.callback_details):
        assert "token" not in place
        assert "secret" not in place

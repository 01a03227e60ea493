"""Which answers of a provider are believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.core.oauth.answer_check import CallbackAnswer, Fault, problem_of, problem_of_claims
from connectors.core.oauth.profile import Profile, Registration, profile_of


def profile(type_: str = "gmail", **settings: str) -> Profile:
    return profile_of(type_, Registration("client-1", SecretStr(""), settings))


GOOGLE = profile()
ISSUER = "https://accounts.google.com"
CLAIMS: dict[str, Any] = {"iss": ISSUER, "aud": "client-1", "nonce": "nonce-1", "sub": "1"}


def fault(answer: CallbackAnswer, of: Profile = GOOGLE) -> Fault | None:
    problem = problem_of(answer, of)
    return problem.fault if problem else None


def test_a_code_of_the_provider_is_taken() -> None:
    assert fault(CallbackAnswer(code=True, iss=ISSUER)) is None
    assert fault(CallbackAnswer(code=True)) is None


@pytest.mark.parametrize("iss", ["https://evil.example", f"{ISSUER}/", f"{ISSUER}.evil.example", "http://[", "x"])
def test_a_code_in_another_name_is_not(iss: str) -> None:
    assert fault(CallbackAnswer(code=True, iss=iss)) is Fault.NOT_TRUSTED


def test_where_the_issuer_is_not_known_its_host_must_be_the_providers() -> None:
    notion = profile("notion")
    assert notion.issuer is None
    assert fault(CallbackAnswer(code=True, iss="https://api.notion.com/whatever"), notion) is None
    assert fault(CallbackAnswer(code=True, iss="https://notion.evil.example"), notion) is Fault.NOT_TRUSTED


@given(st.text())
def test_no_error_of_a_provider_is_quoted_unless_it_is_a_plain_code(error: str) -> None:
    problem = problem_of(CallbackAnswer(error=error or "x"), GOOGLE)
    assert problem is not None
    assert "\n" not in problem.text
    assert "<" not in problem.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", Fault.DENIED),
        ("user_cancelled_authorize", Fault.DENIED),
        ("server_error", Fault.DOWN),
        ("temporarily_unavailable", Fault.DOWN),
        ("unauthorized_client", Fault.CLIENT),
        ("invalid_scope", Fault.ERROR),
        ("redirect_uri_mismatch", Fault.ERROR),
    ],
)
def test_each_error_has_its_kind(error: str, expected: Fault) -> None:
    assert fault(CallbackAnswer(error=error)) is expected


def test_an_identity_token_for_this_request_is_believed() -> None:
    assert problem_of_claims(CLAIMS, GOOGLE, "client-1", "nonce-1") is None
    assert problem_of_claims({**CLAIMS, "aud": ["other", "client-1"]}, GOOGLE, "client-1", "nonce-1") is None
    assert problem_of_claims({}, GOOGLE, "client-1", "nonce-1") is None


@pytest.mark.parametrize(
    "wrong", [{"nonce": "2"}, {"nonce": None}, {"aud": "other"}, {"aud": None}, {"iss": "https://x.example"}]
)
def test_one_that_is_not_is_refused(wrong: dict[str, Any]) -> None:
    assert problem_of_claims({**CLAIMS, **wrong}, GOOGLE, "client-1", "nonce-1") is not None


def test_a_provider_that_never_echoes_the_nonce_may_leave_it_out_but_not_change_it() -> None:
    linkedin = profile("linkedin")
    claims = {name: value for name, value in CLAIMS.items() if name not in ("nonce", "iss")}
    assert problem_of_claims(claims, linkedin, "client-1", "nonce-1") is None
    assert problem_of_claims({**claims, "nonce": "2"}, linkedin, "client-1", "nonce-1") is not None


@given(st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.text()), max_size=5))
def test_no_content_of_an_identity_token_breaks_the_check(claims: dict[str, Any]) -> None:
    problem_of_claims(claims, GOOGLE, "client-1", "nonce-1")

"""The wire contract: what it takes, what it refuses, and what it never shows."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.core.base44.contract import (
    AppSummary,
    ConnectorList,
    DeviceCode,
    ListedConnector,
    SetScopesAnswer,
    SetScopesRequest,
    StripeStatus,
    TokenAnswer,
    problem_in_words,
    read_rows,
    render,
)

CONSENT = "https://base44.example/consent?state=one-use"
SET_ANSWER = {
    "redirect_url": CONSENT,
    "connection_id": "c1",
    "already_authorized": False,
    "error": None,
    "error_message": None,
    "other_user_email": None,
}


def test_unknown_fields_and_statuses_are_taken() -> None:
    row = ListedConnector.model_validate({"integration_type": "gmail", "status": "PAUSED", "scopes": [], "new": {}})
    assert row.status == "PAUSED"


@pytest.mark.parametrize("missing", SET_ANSWER)
def test_each_of_the_six_keys_of_a_set_answer_is_required(missing: str) -> None:
    answer = {key: value for key, value in SET_ANSWER.items() if key != missing}
    with pytest.raises(ValidationError, match=missing):
        SetScopesAnswer.model_validate(answer)


def test_a_consent_link_is_not_shown_by_repr_or_an_ordinary_dump() -> None:
    answer = SetScopesAnswer.model_validate(SET_ANSWER)
    assert "one-use" not in f"{answer!r} {answer} {answer.model_dump()} {answer.model_dump_json()}"


def test_render_writes_the_consent_link_out() -> None:
    assert json.loads(render(SetScopesAnswer.model_validate(SET_ANSWER))) == SET_ANSWER


@pytest.mark.parametrize("address", ["javascript:alert(1)", "/consent", "https://", "", "http://[", "ftp://a.example/"])
def test_a_consent_link_a_browser_should_not_open_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        SetScopesAnswer.model_validate({**SET_ANSWER, "redirect_url": address})


def test_a_refused_answer_is_described_without_its_values() -> None:
    body = json.dumps({**SET_ANSWER, "redirect_url": "javascript:one-use", "already_authorized": "one-use"})
    with pytest.raises(ValidationError) as caught:
        SetScopesAnswer.model_validate_json(body)
    assert "one-use" not in f"{caught.value} {problem_in_words(caught.value)}"
    assert "already_authorized" in problem_in_words(caught.value)


def test_render_leaves_out_what_was_never_set() -> None:
    assert render(SetScopesRequest(scopes=("a", "b"))) == b'{"scopes":["a","b"]}'


def test_render_keeps_a_null_that_was_set() -> None:
    assert render(StripeStatus(stripe_mode=None)) == b'{"stripe_mode":null}'


def test_render_writes_a_bare_array_of_rows() -> None:
    assert render([AppSummary(id="a1", name="Shop")]) == b'[{"id":"a1","name":"Shop"}]'


@pytest.mark.parametrize("key", ["expires_in", "interval"])
def test_a_sign_in_without_a_positive_time_is_refused(key: str) -> None:
    code = {"device_code": "d", "user_code": "U", "verification_uri": CONSENT, "expires_in": 600, "interval": 5}
    with pytest.raises(ValidationError, match=key):
        DeviceCode.model_validate({**code, key: 0})


def test_tokens_without_a_new_refresh_token_are_refused() -> None:
    with pytest.raises(ValidationError, match="refresh_token"):
        TokenAnswer.model_validate({"access_token": "a", "token_type": "bearer", "expires_in": 60})


def test_one_odd_row_does_not_lose_the_others() -> None:
    good = {"integration_type": "gmail", "status": "active", "scopes": ["a"], "user_email": None}
    rows = read_rows(json.dumps({"integrations": [good, 7, good]}).encode(), ListedConnector, key="integrations")
    assert [row.integration_type for row in rows.good] == ["gmail", "gmail"]
    assert [odd.position for odd in rows.odd] == [1]


def test_an_odd_row_names_the_fields_at_fault_and_no_value() -> None:
    body = b'{"integrations": [{"integration_type": "gmail", "status": 5, "scopes": ["private"]}]}'
    (odd,) = read_rows(body, ListedConnector, key="integrations").odd
    assert "status" in odd.problem
    assert "private" not in repr(odd)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"integrations": [', b"\xff", b"null", b"[]", b'{"integrations": {}}']
)
def test_an_answer_without_the_list_is_refused_in_words(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the answer "):
        read_rows(body, ListedConnector, key="integrations")


texts = st.text(max_size=20)
rows_of_a_list = st.builds(
    ListedConnector,
    integration_type=texts.filter(bool),
    status=texts,
    scopes=st.lists(texts, max_size=5).map(tuple),
    user_email=st.none() | texts,
)


@given(st.lists(rows_of_a_list, max_size=5))
def test_what_is_rendered_reads_back_the_same(rows: list[ListedConnector]) -> None:
    answer = ConnectorList(integrations=tuple(rows))
    assert read_rows(render(answer), ListedConnector, key="integrations").good == answer.integrations


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


@given(st.lists(json_values, max_size=6))
def test_every_row_ends_up_as_good_or_odd(rows: list[object]) -> None:
    read = read_rows(json.dumps(rows).encode(), AppSummary, key=None)
    assert len(read.good) + len(read.odd) == len(rows)

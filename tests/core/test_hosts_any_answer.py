"""Whatever a host answers becomes a pull request as it is documented, or an error in words that hold no secret."""

from __future__ import annotations

import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from connectors.core.hosts import HostError, PullRequestView, host_for
from connectors.core.hosts.refusals import MAX_SAID
from connectors.core.net import Allowed, Answer

TOKEN = secrets.token_urlsafe(32)
KINDS = ("github", "gitlab", "gitea")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30) | st.just(TOKEN),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
SAID = st.dictionaries(st.sampled_from(["message", "error", "errors"]), JSON)
BRANCH = st.fixed_dictionaries({"ref": JSON, "sha": JSON})
PULL = st.fixed_dictionaries(
    {"title": JSON, "state": JSON | st.sampled_from(["open", "opened", "closed", "merged"])},
    optional={
        "number": st.integers(),
        "iid": st.integers(),
        "html_url": JSON,
        "web_url": st.text(),
        "head": BRANCH,
        "base": BRANCH,
        "source_branch": st.text(),
        "sha": JSON,
    },
)
BODIES = st.binary(max_size=200) | (JSON | SAID | PULL).map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["date", "retry-after", "x-ratelimit-reset", "ratelimit-reset", "x-ratelimit-remaining"]),
    st.text(max_size=30) | st.integers().map(str) | st.just("Sat, 21 Nov 2026 10:00:00 GMT"),
)


@given(kind=st.sampled_from(KINDS), status=st.integers(100, 599), headers=HEADERS, body=BODIES)
def test_any_answer_is_a_pull_request_or_an_error_in_words(
    kind: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    def transport(*_: object, **__: object) -> Answer:
        return Answer(status, headers, body)

    host = host_for(kind, "https://git.corp/acme/shop.git", "", SecretStr(TOKEN), Allowed(), transport=transport)
    try:
        view = host.get(1)
    except HostError as error:
        text = str(error)
        assert TOKEN not in text
        assert text.isprintable()
        assert len(text) < MAX_SAID + 100
        return
    assert isinstance(view, PullRequestView)
    assert view.url == "" or view.url.startswith(("http://", "https://"))
    assert view.title.isprintable()
    assert view.number > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"message":' * 50_000, b'{"message": "\\ud800"}', b"\xff"])
def test_an_answer_made_to_break_parsers_breaks_nothing(kind: str, body: bytes) -> None:
    def transport(*_: object, **__: object) -> Answer:
        return Answer(400, {}, body)

    host = host_for(kind, "https://git.corp/acme/shop.git", "", SecretStr(TOKEN), Allowed(), transport=transport)
    with pytest.raises(HostError, match=r"refused it \(HTTP 400\)"):
        host.get(1)

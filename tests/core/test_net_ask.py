"""Asking an address that a user set: the whole answer or none, by the rules that sending keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from connectors.core.net import AddressRefusedError, Allowed, NoAnswerError, ask, judge_host
from tests.servers.scripted import Provider, scripted_provider

NOBODY = Allowed()
LOOPBACK = Allowed.of(["127.0.0.1"])
PUBLIC = "93.184.216.34"


@pytest.fixture(scope="module")
def _server() -> Iterator[Provider]:
    with scripted_provider() as running:
        yield running


@pytest.fixture
def server(_server: Provider) -> Provider:
    _server.reset()
    return _server


def test_the_answer_comes_whole_with_its_status_and_headers(server: Provider) -> None:
    server.answers({"number": 7}, 201, X_RateLimit_Remaining="41")
    answer = ask("POST", server.url + "/pulls?q=1", b'{"a": 1}', {"X-Asked": "yes"}, allowed=LOOPBACK)
    assert (answer.status, answer.body) == (201, b'{"number": 7}')
    assert answer.headers["x-ratelimit-remaining"] == "41"
    asked = server.asked[0]
    assert (asked.method, asked.target, asked.body, asked.headers["x-asked"]) == (
        "POST",
        "/pulls?q=1",
        b'{"a": 1}',
        "yes",
    )


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_without_a_body_none_is_announced(server: Provider, method: str) -> None:
    server.answers({})
    ask(method, server.url, None, {}, allowed=LOOPBACK)
    assert server.asked[0].method == method
    assert "content-length" not in server.asked[0].headers


def test_an_answer_larger_than_wanted_is_none(server: Provider) -> None:
    server.answers(b"x" * 101)
    with pytest.raises(NoAnswerError, match="more than the portal reads"):
        ask("GET", server.url, None, {}, allowed=LOOPBACK, max_answer=100)


def test_an_answer_of_just_the_limit_is_taken(server: Provider) -> None:
    server.answers(b"x" * 100)
    assert len(ask("GET", server.url, None, {}, allowed=LOOPBACK, max_answer=100).body) == 100


def test_an_answer_that_is_broken_off_is_none(server: Provider) -> None:
    server.answers(b"half", Content_Length="400", Connection="close")
    with pytest.raises(NoAnswerError, match="before its answer was complete"):
        ask("GET", server.url, None, {}, allowed=LOOPBACK)


def test_a_redirect_is_an_answer_and_not_followed(server: Provider) -> None:
    server.answers({}, 301, Location="http://10.0.0.1/")
    assert ask("GET", server.url, None, {}, allowed=LOOPBACK).status == 301
    assert len(server.asked) == 1


def test_a_refused_address_is_not_asked_and_the_refusal_names_the_setting(server: Provider) -> None:
    with pytest.raises(AddressRefusedError, match=r"\(GIT_ALLOWED_PRIVATE_HOSTS\)"):
        ask("GET", server.url, None, {}, allowed=Allowed.of([], setting="GIT_ALLOWED_PRIVATE_HOSTS"))
    assert server.asked == []


def test_a_header_that_would_smuggle_another_is_not_sent_and_not_quoted(server: Provider) -> None:
    with pytest.raises(NoAnswerError) as caught:
        ask("GET", server.url, None, {"X-Asked": "hidden\r\nX-Other: 1"}, allowed=LOOPBACK)
    assert "hidden" not in str(caught.value)
    assert server.asked == []


def test_a_hosts_addresses_are_given_for_programs_that_connect_by_themselves() -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("git.example.com", 2222)
        return [PUBLIC, "2606:2800:220:1::1"]

    assert judge_host("Git.Example.com.", 2222, NOBODY, resolver=resolver) == (PUBLIC, "2606:2800:220:1::1")


def test_a_host_with_one_private_address_is_refused_unless_it_is_allowed() -> None:
    def resolver(host: str, port: int) -> Sequence[str]:
        return [PUBLIC, "10.0.0.1"]

    with pytest.raises(AddressRefusedError):
        judge_host("git.corp", 22, NOBODY, resolver=resolver)
    assert judge_host("git.corp", 22, Allowed.of(["git.corp"]), resolver=resolver) == (PUBLIC, "10.0.0.1")


def test_a_host_that_nobody_knows_has_no_addresses() -> None:
    with pytest.raises(NoAnswerError, match=r"git\.corp could not be resolved"):
        judge_host("git.corp", 22, NOBODY, resolver=lambda host, port: [])

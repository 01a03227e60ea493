"""Faults to order and rate limits of the emulated Base44."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from connectors.core.base44.emulator import Emulator
from connectors.core.base44.emulator.faults import Fault
from connectors.core.base44.emulator.limits import BASE_LIMITS, RateLimits
from connectors.core.base44.emulator.wire import Problem
from tests.servers.http import Reply, ask

AUTH = "/api/apps/shop/external-auth"


def listing(emulator: Emulator) -> Reply:
    return ask(emulator.url, "GET", f"{AUTH}/list", token=emulator.pat)


def removing(emulator: Emulator) -> Reply:
    return ask(emulator.url, "DELETE", f"{AUTH}/integrations/notion/remove", token=emulator.pat)


# faults


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_status_fault_answers_in_base44_s_shape(emulator: Emulator, status: int) -> None:
    emulator.fail("GET", "/list$", status=status, message="Try later", retry_after=3)
    reply = listing(emulator)
    assert (reply.status, reply.json["message"], reply.headers["retry-after"]) == (status, "Try later", "3")


def test_a_fault_ends_after_its_number_of_requests(emulator: Emulator) -> None:
    emulator.fail("GET", "/list$", times=2)
    assert [listing(emulator).status for _ in range(3)] == [500, 500, 200]


def test_a_fault_without_a_number_lasts_until_cleared(emulator: Emulator) -> None:
    emulator.fail("*", "", times=None)
    assert [listing(emulator).status for _ in range(3)] == [500, 500, 500]
    emulator.faults.clear()
    assert listing(emulator).status == 200


def test_a_fault_meets_only_requests_that_match(emulator: Emulator) -> None:
    emulator.fail("DELETE", "/remove$")
    assert (listing(emulator).status, removing(emulator).status) == (200, 500)


def test_a_status_fault_leaves_the_world_as_it_is(emulator: Emulator) -> None:
    emulator.register("shop", "notion")
    emulator.fail("DELETE", "/remove$")
    removing(emulator)
    assert "notion" in emulator.app("shop").connections


def test_an_html_fault_is_a_gateway_s_page(emulator: Emulator) -> None:
    emulator.fail("GET", "/list$", "html", status=502)
    reply = listing(emulator)
    assert (reply.status, reply.headers["content-type"]) == (502, "text/html; charset=utf-8")


def test_an_empty_fault_is_200_without_a_body(emulator: Emulator) -> None:
    emulator.fail("GET", "/list$", "empty")
    reply = listing(emulator)
    assert (reply.status, reply.body) == (200, b"")


def test_a_json_fault_answers_what_was_ordered(emulator: Emulator) -> None:
    emulator.fail("GET", "/list$", "json", status=200, body={"integrations": "?"})
    assert listing(emulator).json == {"integrations": "?"}


def test_a_truncated_answer_ends_half_way(emulator: Emulator) -> None:
    emulator.register("shop", "notion")
    emulator.fail("GET", "/list$", "truncated")
    with pytest.raises(http.client.IncompleteRead):
        listing(emulator)


def test_a_closed_connection_gives_no_answer_and_changes_nothing(emulator: Emulator) -> None:
    emulator.register("shop", "notion")
    emulator.fail("DELETE", "/remove$", "close")
    with pytest.raises(http.client.RemoteDisconnected):
        removing(emulator)
    assert "notion" in emulator.app("shop").connections


def test_a_lost_answer_was_carried_out(emulator: Emulator) -> None:
    emulator.register("shop", "notion")
    emulator.fail("DELETE", "/remove$", "lost")
    with pytest.raises(http.client.RemoteDisconnected):
        removing(emulator)
    assert "notion" not in emulator.app("shop").connections


def test_a_hanging_answer_ends_with_the_emulator() -> None:
    emulator = Emulator().start()
    emulator.add_app("shop")
    emulator.fail("GET", "/list$", "hang", seconds=3600)
    failures: list[type[BaseException]] = []

    def wait() -> None:
        try:
            listing(emulator)
        except OSError as error:
            failures.append(type(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert emulator.log.wait_for(1, seconds=10)
    emulator.stop()
    waiting.join(timeout=10)
    assert failures == [http.client.RemoteDisconnected]


def test_an_unknown_kind_of_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault 'gremlin'"):
        Fault("GET", "/", "gremlin")


# rate limits


@pytest.fixture
def limited() -> Iterator[Emulator]:
    """An emulator that limits calls, with a base plan."""
    with Emulator(rate_limits=True) as emulator:
        emulator.add_app("shop")
        emulator.limits.multiplier = 1
        yield emulator


def test_the_eleventh_removal_of_a_minute_is_refused_with_retry_after(limited: Emulator) -> None:
    replies = [removing(limited) for _ in range(11)]
    assert [reply.status for reply in replies] == [200] * 10 + [429]
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 60


def test_the_budget_is_back_after_a_minute(limited: Emulator) -> None:
    for _ in range(11):
        removing(limited)
    limited.advance(61)
    assert removing(limited).status == 200


def test_kinds_of_calls_have_budgets_of_their_own(limited: Emulator) -> None:
    for _ in range(11):
        removing(limited)
    assert listing(limited).status == 200


def test_all_tokens_of_a_workspace_share_one_budget(limited: Emulator) -> None:
    for _ in range(10):
        removing(limited)
    reply = ask(limited.url, "DELETE", f"{AUTH}/integrations/a/remove", token=limited.add_token())
    assert reply.status == 429


def test_the_plan_multiplies_the_budget(limited: Emulator) -> None:
    limited.limits.multiplier = None
    limited.state.add_workspace("ws-acme", tier="builder")
    assert [removing(limited).status for _ in range(21)].count(429) == 1


def test_workspaces_do_not_share_a_budget() -> None:
    limits = RateLimits(lambda: 0.0, enabled=True)
    for _ in range(BASE_LIMITS["list"]):
        limits.check("one", "list", 1)
    limits.check("two", "list", 1)
    with pytest.raises(Problem):
        limits.check("one", "list", 1)


def test_without_rate_limits_nothing_is_refused(emulator: Emulator) -> None:
    assert {removing(emulator).status for _ in range(30)} == {200}


# the server


def test_one_connection_serves_many_requests(emulator: Emulator) -> None:
    parts = urlsplit(emulator.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.connect()
    socket_before = connection.sock
    for _ in range(3):
        connection.request("GET", f"{AUTH}/list", headers={"Authorization": f"Bearer {emulator.pat}"})
        assert json.loads(connection.getresponse().read()) == {"integrations": []}
    assert connection.sock is socket_before
    connection.close()


def test_a_chunked_body_is_understood(emulator: Emulator) -> None:
    parts = urlsplit(emulator.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    body = [b'{"scopes": ', b"[]}"]
    headers = {"Authorization": f"Bearer {emulator.pat}"}
    connection.request("PUT", f"{AUTH}/integrations/notion", iter(body), headers, encode_chunked=True)
    assert json.loads(connection.getresponse().read())["already_authorized"] is False
    connection.close()


def test_the_request_id_comes_back(emulator: Emulator) -> None:
    reply = ask(emulator.url, "GET", "/api/apps", headers={"X-Request-ID": "abc-1"})
    assert reply.headers["x-request-id"] == "abc-1"


def test_unknown_paths_and_methods_are_told_apart(emulator: Emulator) -> None:
    assert ask(emulator.url, "GET", "/api/nothing").status == 404
    assert ask(emulator.url, "PATCH", "/api/apps").status == 405


def test_requests_are_logged_in_order_and_counted(emulator: Emulator) -> None:
    listing(emulator)
    removing(emulator)
    assert emulator.requests == [("GET", f"{AUTH}/list"), ("DELETE", f"{AUTH}/integrations/notion/remove")]
    assert (emulator.count("GET", "/list"), emulator.count("GET", "/remove")) == (1, 0)

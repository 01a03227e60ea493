"""Odd answers, lost answers and refusals: what is tried again, and what the admin reads."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3

from connectors.core.base44.budget import LocalBudget
from connectors.core.base44.client import Base44Client
from connectors.core.base44.credentials import PersonalAccessToken
from connectors.core.base44.faults import Reply, plain, retry_after, server_message
from connectors.core.base44.http import MAX_BODY, VERSION, Policy, make_pool
from connectors.core.errors import ApiError, CredentialError
from tests.base44.scripted import Says, ScriptedServer, scripted

EMPTY = Says({"integrations": []})
SET = Says(
    {
        "redirect_url": None,
        "connection_id": None,
        "already_authorized": True,
        "error": None,
        "error_message": None,
        "other_user_email": None,
    }
)
TOKEN = "pat-of-ann"
BUSY = Says({"message": "Busy"}, 503)


class Bench:
    """A client against scripted answers; notes each pause instead of sleeping."""

    def __init__(self, stack: ExitStack, pool: urllib3.PoolManager) -> None:
        self.stack, self.pool, self.pauses = stack, pool, list[float]()
        self.server: ScriptedServer

    def client(self, *script: Says, **options: Any) -> Base44Client:
        self.server = self.stack.enter_context(scripted(*script))
        options = {"sleep": self.pauses.append, "random": lambda: 0.0, **options}
        return Base44Client(self.server.url, PersonalAccessToken(TOKEN), pool=self.pool, **options)

    def error(self, call: Callable[[Base44Client], object], *script: Says, **options: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            call(self.client(*script, **options))
        return caught.value


@pytest.fixture
def bench() -> Iterator[Bench]:
    pool = make_pool()
    with ExitStack() as stack:
        yield Bench(stack, pool)
    pool.clear()


def listing(client: Base44Client) -> object:
    return client.list_connectors("app1")


def setting(client: Base44Client) -> object:
    return client.set_scopes("app1", "gmail", ["email"], None)


def installing(client: Base44Client) -> object:
    return client.stripe_install("app1")


def removing(client: Base44Client) -> None:
    client.remove_connector("app1", "gmail")


TRANSIENT = [Says(status=status) for status in (408, 413, 429, 500, 502, 503, 504)] + [Says(hangs_up=True), Says(cut=9)]


@pytest.mark.parametrize("trouble", TRANSIENT, ids=repr)
def test_a_look_is_repeated_after_passing_trouble(bench: Bench, trouble: Says) -> None:
    assert listing(bench.client(trouble, trouble, EMPTY)) == ()
    assert bench.pauses == [0.25, 0.5]


def test_attempts_are_bounded(bench: Bench) -> None:
    error = bench.error(listing, BUSY)
    assert (len(bench.server.asked), error.permanent, error.status) == (3, False, 503)


def test_a_removal_is_repeated_after_a_lost_answer(bench: Bench) -> None:
    done = Says({"status": "removed", "integration_type": "gmail"})
    removing(bench.client(Says(hangs_up=True), done))
    assert len(bench.server.asked) == 2


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 409, 410, 422, 451])
@pytest.mark.parametrize("call", [listing, setting, removing, installing])
def test_other_refusals_are_final(bench: Bench, call: Callable[[Base44Client], object], status: int) -> None:
    error = bench.error(call, Says({"detail": "No"}, status))
    assert (error.permanent, error.status, error.code, len(bench.server.asked)) == (True, status, "", 1)


@pytest.mark.parametrize(
    "trouble",
    [Says(hangs_up=True), Says(status=500), Says(status=502), BUSY, Says(cut=9), Says(b"<html>"), Says()],
    ids=repr,
)
@pytest.mark.parametrize("call", [setting, installing])
def test_a_lost_answer_to_a_change_is_never_asked_for_again(
    bench: Bench, call: Callable[[Base44Client], object], trouble: Says
) -> None:
    error = bench.error(call, trouble)
    assert (error.code, error.permanent, len(bench.server.asked)) == ("answer_lost", False, 1)


@pytest.mark.parametrize("untouched", [Says(status=429), Says(status=503, headers={"Retry-After": "2"})], ids=repr)
def test_setting_is_repeated_when_base44_surely_did_nothing(bench: Bench, untouched: Says) -> None:
    setting(bench.client(untouched, SET))
    assert len(bench.server.asked) == 2


def test_installing_is_repeated_only_after_429(bench: Bench) -> None:
    done = Says({"already_installed": True, "claim_url": None})
    installing(bench.client(Says(status=429), done))
    bench.error(installing, Says(status=503, headers={"Retry-After": "2"}), done)
    assert len(bench.server.asked) == 1


@pytest.mark.parametrize("call", [listing, setting])
def test_a_refused_connection_is_tried_again_and_loses_nothing(call: Callable[[Base44Client], object]) -> None:
    pauses: list[float] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: the port refuses, and nobody else gets it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Base44Client(url, PersonalAccessToken(TOKEN), sleep=pauses.append)
        with pytest.raises(ApiError, match="no connection could be made") as caught:
            call(client)
    assert (len(pauses), caught.value.code, caught.value.permanent) == (2, "", False)


def test_retry_after_is_honoured(bench: Bench) -> None:
    listing(bench.client(Says(status=429, headers={"Retry-After": "7"}), EMPTY))
    assert bench.pauses == [7.0]


def test_a_long_retry_after_ends_the_call_and_is_handed_on(bench: Bench) -> None:
    error = bench.error(listing, Says(status=429, headers={"Retry-After": "600"}))
    assert (error.retry_after, error.permanent, len(bench.server.asked), bench.pauses) == (600.0, False, 1, [])


def test_a_429_holds_the_budget_of_everybody(bench: Bench) -> None:
    budget = LocalBudget(10, clock=lambda: 1_000.0)
    listing(bench.client(Says(status=429, headers={"Retry-After": "7"}), EMPTY, budget=budget))
    assert budget.acquire("list") > 7


def test_an_absurd_retry_after_does_not_hold_the_budget_for_days(bench: Bench) -> None:
    budget = LocalBudget(10, clock=lambda: 1_000.0)
    bench.error(listing, Says(status=429, headers={"Retry-After": "999999999"}), budget=budget)
    assert budget.acquire("list") < 1_000


def test_the_client_waits_for_its_turn(bench: Bench) -> None:
    budget = LocalBudget(clock=lambda: 1_000.0)
    budget.acquire("list", 30)
    listing(bench.client(EMPTY, budget=budget))
    assert bench.pauses == pytest.approx([2.0])


def test_a_turn_that_is_too_far_off_is_refused_without_a_request(bench: Bench) -> None:
    budget = LocalBudget(clock=lambda: 1_000.0)
    budget.acquire("delete", 20)
    error = bench.error(removing, EMPTY, budget=budget)
    assert (error.code, error.permanent, bench.server.asked) == ("budget", False, [])
    assert error.retry_after == pytest.approx(192.0)


def test_a_redirect_is_not_followed_with_the_credential(bench: Bench) -> None:
    with scripted(EMPTY) as elsewhere:
        error = bench.error(listing, Says(status=302, headers={"Location": f"{elsewhere.url}/?state=one-use"}))
        assert elsewhere.asked == []
    assert "redirects" in str(error)
    assert "one-use" not in str(error)


def test_a_web_page_instead_of_json_is_named(bench: Bench) -> None:
    page = b"<!doctype html><html><head><title>Sign in\n - Proxy</title></head></html>"
    error = bench.error(listing, Says(page, headers={"Content-Type": "text/html"}))
    assert "a web page titled “Sign in - Proxy” instead of JSON" in str(error)


def test_an_error_page_of_a_proxy_is_named(bench: Bench) -> None:
    error = bench.error(listing, Says(b"<html><title>502 Bad Gateway</title>" + b"x" * 9_000, 502))
    assert "web page titled “502 Bad Gateway”" in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (b"", "its answer was empty"),
        (b'{"integrations": [', "not complete JSON"),
        (b"\x00\xff", "not complete JSON"),
        ({"rows": []}, "does not fit the contract"),
        (None, "does not fit the contract"),
    ],
)
def test_an_unusable_answer_is_explained_and_not_repeated(bench: Bench, document: Any, said: str) -> None:
    error = bench.error(listing, Says(document))
    assert said in str(error)
    assert (error.code, len(bench.server.asked)) == ("bad_answer", 1)


def test_a_missing_key_is_named(bench: Bench) -> None:
    assert "already_authorized: Field required" in str(bench.error(setting, Says({"redirect_url": None})))


def test_a_huge_answer_is_not_read_to_its_end(bench: Bench) -> None:
    error = bench.error(listing, Says(b" " * (MAX_BODY + 1)))
    assert "larger than 5 MiB" in str(error)


def test_silence_ends_after_the_time_limit(bench: Bench) -> None:
    error = bench.error(listing, Says(hangs=True), timeout=0.1, policy=Policy(attempts=1))
    assert "did not answer in time" in str(error)


def test_a_body_that_drips_ends_after_the_time_limit(bench: Bench) -> None:
    moments = iter([0.0, 11.0])
    error = bench.error(listing, EMPTY, clock=lambda: next(moments), policy=Policy(attempts=1))
    assert "did not answer in time" in str(error)


def test_401_is_a_matter_of_the_credential_and_not_repeated(bench: Bench) -> None:
    error = bench.error(listing, Says({"detail": f"Token {TOKEN} has ended"}, 401))
    assert isinstance(error, CredentialError)
    assert len(bench.server.asked) == 1
    assert TOKEN not in str(error)


def test_an_unknown_app_reported_as_server_error_is_final(bench: Bench) -> None:
    error = bench.error(listing, Says({"error_type": "KeyError", "message": "App not found"}, 500))
    assert (error.permanent, error.status, len(bench.server.asked)) == (True, 404, 1)


def test_the_request_id_of_the_answer_is_kept_for_support(bench: Bench) -> None:
    assert bench.error(listing, Says(status=404, headers={"X-Request-ID": "r-77"})).request_id == "r-77"


def test_without_one_in_the_answer_the_request_id_sent_is_kept(bench: Bench) -> None:
    error = bench.error(listing, Says(status=404))
    assert error.request_id == bench.server.asked[0].headers["x-request-id"]


FASTAPI = {"detail": [{"loc": ["body", "scopes"], "msg": "field required", "type": "missing"}]}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"message": "App not found", "detail": "no"}, "App not found"),
        ({"detail": "Forbidden"}, "Forbidden"),
        (FASTAPI, "body.scopes: field required"),
        ({"detail": {"quota": 3}}, '{"quota":3}'),
        (
            {"message": "Bad", "extra_data": {"errors": [{"name": "scopes", "message": "unknown"}]}},
            "Bad; scopes: unknown",
        ),
        ({"error": {"code": "x", "message": "Metered"}}, "Metered"),
        ({"error": "invalid_grant", "error_description": "Ended"}, "Ended"),
        ("Just text", "Just text"),
        (b"plain  \x07 text\n", "plain text"),
        (b"", "it gave no reason"),
        ([], "[]"),
    ],
)
def test_the_servers_own_words_reach_the_admin(bench: Bench, document: Any, said: str) -> None:
    error = bench.error(listing, Says(document, 400))
    assert str(error) == f"Base44 could not list the connectors of app app1: {said} (HTTP 400)."


@pytest.mark.parametrize(
    ("document", "headers", "code"),
    [
        ({"error": {"code": "nested"}, "code": "outer"}, {}, "nested"),
        ({"code": "outer"}, {}, "outer"),
        ({"error_type": "HTTPException"}, {}, "HTTPException"),
        ({}, {"X-Base44-Connector-Error": "metered_connector_requires_proxy"}, "metered_connector_requires_proxy"),
    ],
)
def test_base44s_error_code_is_kept(bench: Bench, document: Any, headers: dict[str, str], code: str) -> None:
    assert bench.error(listing, Says(document, 403, headers)).code == code


def test_long_words_are_cut() -> None:
    said = server_message(Reply(400, {}, b'{"message": "' + b"ab " * 900 + b'"}', ""))
    assert len(said) == 300


def test_no_text_shows_bearer_tokens_workspace_keys_or_the_query_of_an_address() -> None:
    key = "b44k_" + "k" * 24
    text = plain(f"sent Bearer {'t' * 24} and {key} to https://a.example/consent?state=s3 or http://b.example#s3", ())
    assert text == "sent Bearer … and b44k_… to https://a.example/consent?… or http://b.example?…"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-3", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": header}, wall_time=100.0) == seconds


def test_the_user_agent_names_the_version_of_the_project() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION

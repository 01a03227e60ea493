"""Of many threads in many processes one refreshes, and a killed one leaves nothing stuck."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import pytest
from django.utils import timezone

from connectors import tasks
from connectors.flows.refresh import refresh_due
from connectors.models import Token, TokenRefresh
from tests.factories import make_connector, make_oauth_client, make_project, make_token
from tests.servers.openid_provider import OpenIdProvider
from tests.servers.token_endpoint import TokenServer, token_server
from tests.servers.worker import ROOT, eventually, portal_environment, worker

pytestmark = pytest.mark.django_db(transaction=True)

PROCESSES, THREADS = 4, 20


class Refresher:
    """One process of `tests.workers.refresher`, ready to go."""

    def __init__(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "tests.workers.refresher", *map(str, arguments)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=portal_environment(), stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def wait_until_ready(self) -> None:
        """Returns once it waits for `go`."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n", self.process.stderr and self.process.stderr.read()

    def go(self) -> None:
        """Lets it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> list[str]:
        """What its threads came to."""
        out, err = self.process.communicate(timeout=90)
        assert self.process.returncode == 0, err
        found: list[str] = json.loads(out)
        return found


@contextmanager
def refresher(*arguments: object) -> Iterator[Refresher]:
    """A process that is ended at the end."""
    started = Refresher(*arguments)
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.fixture
def server() -> Iterator[TokenServer]:
    with token_server() as started:
        yield started
        started.released.set()


@pytest.fixture
def token(server: TokenServer) -> Token:
    """A token whose access token has ended, at a provider that ends the grant when a refresh token comes twice."""
    endpoints = {"issuer": server.url, "authorize_url": f"{server.url}/auth", "token_url": f"{server.url}/token"}
    access, refresh = server.issue()
    now = timezone.now()
    return make_token(
        make_connector(make_project("crm"), "gmail", ["openid"]),
        oauth_client=make_oauth_client("idp", settings=endpoints),
        access=access,
        refresh=refresh,
        expires_at=now,
        refresh_at=now,
    )


@pytest.fixture
def certified(openid_provider: OpenIdProvider) -> Token:
    """The same at the certified provider, which rotates and ends the grant on reuse as well."""
    known = openid_provider.register_client("http://127.0.0.1:8000/oauth/idp/callback/")
    tokens = openid_provider.tokens(known, ["openid", "offline_access"], openid_provider.person("alice@acme.example"))
    addresses = {"authorize_url": openid_provider.authorize_url, "token_url": openid_provider.token_url}
    client = make_oauth_client(
        "idp",
        client_id=known.client_id,
        secret=known.client_secret.get_secret_value(),
        settings={"issuer": openid_provider.issuer, **addresses},
    )
    now = timezone.now()
    return make_token(
        make_connector(make_project("crm"), "gmail", ["openid", "offline_access"]),
        oauth_client=client,
        access=tokens["access_token"],
        refresh=tokens["refresh_token"],
        expires_at=now,
        refresh_at=now,
    )


def turn_the_clock_on() -> None:
    """The lease of whoever was killed has run out."""
    Token.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))


def test_eighty_threads_in_four_processes_refresh_once(token: Token, server: TokenServer) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(refresher(token.pk, THREADS)) for _ in range(PROCESSES)]
        for process in processes:
            process.go()
        results = [result for process in processes for result in process.result()]
    assert server.refreshes == 1
    assert len(results) == PROCESSES * THREADS
    assert set(results) == {Token.objects.get().access_token.reveal()}


def test_eighty_threads_ask_the_certified_provider_once_and_the_grant_lives(
    certified: Token, openid_provider: OpenIdProvider
) -> None:
    openid_provider.reset_stats()
    openid_provider.delay(200)
    with ExitStack() as stack:
        processes = [stack.enter_context(refresher(certified.pk, THREADS)) for _ in range(PROCESSES)]
        for process in processes:
            process.go()
        results = {result for process in processes for result in process.result()}
    stats = openid_provider.stats()
    assert (stats.count("refresh_token"), stats.happened("grant.revoked")) == (1, 0)
    assert results == {Token.objects.get().access_token.reveal()}
    assert openid_provider.alive(results.pop())


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_while_the_certified_provider_is_asked_leaves_nothing_stuck(
    certified: Token, openid_provider: OpenIdProvider, when: Literal["before", "after"]
) -> None:
    openid_provider.reset_stats()
    openid_provider.hold(when)
    with refresher("due") as process:
        process.go()
        openid_provider.wait_until_held()
    openid_provider.release(drop=True)
    turn_the_clock_on()
    assert refresh_due() == 1
    assert refresh_due() == 0
    alive = Token.objects.get().state == Token.State.FRESH
    assert alive == (when == "before")
    assert openid_provider.stats().happened("grant.revoked") == (0 if alive else 1)


def test_eighty_threads_on_a_dead_grant_ask_once(token: Token, server: TokenServer) -> None:
    server.fail_with(400, "invalid_grant")
    with ExitStack() as stack:
        processes = [stack.enter_context(refresher(token.pk, THREADS)) for _ in range(PROCESSES)]
        for process in processes:
            process.go()
        results = [result for process in processes for result in process.result()]
    assert server.refreshes == 1
    assert all(result.startswith("error: ") for result in results)


def test_workers_that_scan_at_once_refresh_each_token_once(token: Token, server: TokenServer) -> None:
    for number in range(60):
        access, refresh = server.issue()
        make_token(
            make_connector(make_project(f"p-{number}"), "gmail", ["openid"]),
            oauth_client=token.oauth_client,
            access=access,
            refresh=refresh,
            refresh_at=timezone.now(),
        )
    with ExitStack() as stack:
        processes = [stack.enter_context(refresher("due")) for _ in range(PROCESSES)]
        for process in processes:
            process.go()
        tried = sum(int(str(process.result())) for process in processes)
    assert tried == server.refreshes == 61
    assert set(Token.objects.values_list("refresh_count", "state")) == {(1, Token.State.FRESH)}


def test_a_worker_killed_before_the_provider_acts_costs_nothing(token: Token, server: TokenServer) -> None:
    server.hold = "before"
    with refresher("due") as process:
        process.go()
        assert server.arrived.wait(30)
    server.hold = ""
    assert refresh_due() == 0  # its lease still holds
    turn_the_clock_on()
    assert refresh_due() == 1
    assert (Token.objects.get().state, server.refreshes) == (Token.State.FRESH, 1)


def test_a_worker_killed_with_the_answer_under_way_is_found_out_at_once(token: Token, server: TokenServer) -> None:
    """The provider has forgotten the old refresh token and the new one died with the worker: nobody can help that.

    What can be done is done: one more call, and the token says that somebody has to authorise it.
    """
    server.hold = "after"
    with refresher("due") as process:
        process.go()
        assert server.arrived.wait(30)
    server.hold = ""
    turn_the_clock_on()
    refresh_due()
    refresh_due()
    assert (Token.objects.get().state, server.refreshes) == (Token.State.NEEDS_CONSENT, 2)


def test_a_worker_killed_after_storing_leaves_a_living_grant(token: Token, server: TokenServer) -> None:
    with refresher("due") as process:
        process.go()
        process.result()
    assert TokenRefresh.objects.get().outcome == TokenRefresh.Outcome.OK
    Token.objects.update(refresh_at=timezone.now())
    assert refresh_due() == 1
    assert (Token.objects.get().refresh_count, server.refreshes) == (2, 2)


def test_a_real_worker_refreshes_what_is_due(token: Token, server: TokenServer) -> None:
    with worker():
        tasks.refresh_due_tokens.delay()
        eventually("the token is refreshed", lambda: Token.objects.get().refresh_count == 1)
    assert server.refreshes == 1

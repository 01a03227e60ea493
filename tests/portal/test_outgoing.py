"""Where somebody can type an address that the portal then calls, the call does not reach this machine or its network.

A listener on loopback stands for what only this machine can reach. Each door is tried twice: by default nothing arrives
there, and where whoever runs the portal allows it something does, so that the first proves what it says.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone
from pydantic import SecretStr

from connectors.core.errors import PortalError
from connectors.core.webhooks import new_secret
from connectors.flows import alert_routes, oauth_clients, repository_access, sign_in_providers, trail_stream
from connectors.flows.connect import client_for
from connectors.flows.events import record_event
from connectors.flows.trail_seal import seal
from connectors.models import Repository, Sealed, SignInProvider, TrailStream
from tests.factories import SHELL, make_oauth_client, make_repository, make_route, make_workspace

pytestmark = pytest.mark.django_db
SETTINGS = (
    "OUTGOING_ALLOWED_PRIVATE_HOSTS",
    "ALERT_ALLOWED_PRIVATE_HOSTS",
    "GIT_ALLOWED_PRIVATE_HOSTS",
    "SIGN_IN_ALLOWED_PRIVATE_HOSTS",
)


@dataclass
class Listener:
    """Takes connections, notes them and hangs up."""

    server: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self.server.getsockname()[1])

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.server.accept()
                self.arrived.set()
                connection.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    thread = threading.Thread(target=running.serve, daemon=True)
    thread.start()
    yield running
    running.server.shutdown(socket.SHUT_RDWR)
    running.server.close()
    thread.join(10)


def base44(there: Listener) -> None:
    client_for(make_workspace(api_url=there.url, token="a-token")).list_connectors("app")


def oauth_provider(there: Listener) -> None:
    client = make_oauth_client(settings={"token_url": f"{there.url}/token"})
    oauth_clients.endpoint_of(client, "gmail", {}).refresh(SecretStr("a-token"), SecretStr("another"))


def alert_webhook(there: Listener) -> None:
    alert_routes.try_route(make_route(url=there.url), SHELL)


def git_over_https(there: Listener) -> None:
    with repository_access.opened(make_repository(url=f"{there.url}/team/repository.git")) as git:
        git.remote()


def git_over_ssh(there: Listener) -> None:
    with repository_access.opened(make_repository(url=f"ssh://git@127.0.0.1:{there.port}/team/r.git")) as git:
        git.remote()


def git_host_api(there: Listener) -> None:
    repository = make_repository(host=Repository.Host.GITEA, api_url=f"{there.url}/api/v1", token="a-token")
    repository_access.host_of(repository).whoami()


def sign_in_provider(there: Listener) -> None:
    sign_in_providers.read_discovery(SignInProvider(kind=SignInProvider.Kind.OPENID_CONNECT, server_url=there.url))


def trail_by_syslog(there: Listener) -> None:
    _stream(TrailStream(name="siem", kind="syslog", host="127.0.0.1", port=there.port, protocol="tcp"))


def trail_by_webhook(there: Listener) -> None:
    _stream(TrailStream(name="siem", kind="webhook", url=Sealed.of(there.url), secret=Sealed.of(new_secret())))


def _stream(stream: TrailStream) -> None:
    record_event(SHELL, "workspace.added", make_workspace())
    seal(timezone.now())
    batch = trail_stream.next_batch(1, 0, timezone.now())
    assert batch is not None
    trail_stream.transmit(stream, batch, timezone.now())


DOORS: dict[str, Callable[[Listener], None]] = {
    "Workspace.api_url": base44,
    "OAuthClient.settings": oauth_provider,
    "AlertRoute.url": alert_webhook,
    "Repository.url": git_over_https,
    "Repository.url over ssh": git_over_ssh,
    "Repository.api_url": git_host_api,
    "SignInProvider.server_url": sign_in_provider,
    "TrailStream.host": trail_by_syslog,
    "TrailStream.url": trail_by_webhook,
}
CALLED_BY_NOBODY = {
    "AlertRoute.url_host": "what is shown of AlertRoute.url",
    "Authorisation.redirect_uri": "where a browser is sent back to, made from PORTAL_URL",
    "Event.address": "whose request it was",
    "PullRequest.url": "a link that people follow",
    "Repository.host": "which kind of host it is",
    "Token.redirect_uri": "repeated to the provider",
}


@pytest.mark.parametrize("door", DOORS)
def test_nothing_reaches_this_machine(door: str, listener: Listener, git_settings: Any) -> None:
    for setting in SETTINGS:
        setattr(git_settings, setting, [])
    with contextlib.suppress(PortalError, trail_stream.StreamError):
        DOORS[door](listener)
    assert not listener.arrived.is_set()


@pytest.mark.parametrize("door", DOORS)
def test_whoever_runs_the_portal_can_allow_it(door: str, listener: Listener, git_settings: Any) -> None:
    for setting in SETTINGS:
        setattr(git_settings, setting, ["127.0.0.1"])
    with contextlib.suppress(PortalError, trail_stream.StreamError):
        DOORS[door](listener)
    assert listener.arrived.wait(10)


def test_every_column_that_may_hold_an_address_is_a_door_or_is_called_by_nobody() -> None:
    columns = {
        f"{model.__name__}.{column.name}"
        for model in apps.get_app_config("connectors").get_models()
        for column in model._meta.concrete_fields
        if re.search(r"url|uri|host$|(?<!_)address|server", column.name)
    }
    doors = {door.split()[0] for door in DOORS}
    assert columns - doors == set(CALLED_BY_NOBODY)


def test_base44s_own_address_needs_no_permission(listener: Listener, settings: Any) -> None:
    settings.OUTGOING_ALLOWED_PRIVATE_HOSTS, settings.BASE44_API_URL = [], listener.url
    with contextlib.suppress(PortalError, trail_stream.StreamError):
        base44(listener)
    assert listener.arrived.wait(10)


def test_the_refusal_says_which_setting_allows_it(listener: Listener, settings: Any) -> None:
    settings.OUTGOING_ALLOWED_PRIVATE_HOSTS = []
    with pytest.raises(PortalError, match="OUTGOING_ALLOWED_PRIVATE_HOSTS"):
        base44(listener)
    with pytest.raises(PortalError, match="OUTGOING_ALLOWED_PRIVATE_HOSTS"):
        oauth_provider(listener)

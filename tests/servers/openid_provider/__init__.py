"""A real OpenID provider for tests: `oidc-provider` from npm, certified, in a process of its own."""

from __future__ import annotations

from tests.servers.openid_provider.person import Person
from tests.servers.openid_provider.server import SCOPES, AuthMethod, Client, OpenIdProvider, Request
from tests.servers.openid_provider.stats import Call, Event, Stats

__all__ = ["SCOPES", "AuthMethod", "Call", "Client", "Event", "OpenIdProvider", "Person", "Request", "Stats"]

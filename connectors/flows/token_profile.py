"""How to talk to the provider about one token that the portal holds."""

from __future__ import annotations

from pydantic import SecretStr

from connectors.core.oauth.profile import Profile, Registration, profile_of
from connectors.models import Token


def profile_for(token: Token) -> Profile:
    """The provider's addresses and habits for this token; nothing is decrypted for it.

    Raises Refused when the client lacks a setting, or its type has no OAuth.
    """
    client, connector = token.oauth_client, token.connector
    registration = Registration(client.client_id, SecretStr(""), dict(client.settings))
    return profile_of(connector.integration_type_id, registration, connection_config=connector.connection_config)


def lacking(token: Token, setting: str, what: str) -> str:
    """The sentence for an address that the client's own server would need; "" where the catalogue's count."""
    if not token.oauth_client.has_own_server:
        return ""
    name = token.oauth_client.name
    return f"The OAuth client “{name}” has addresses of its own, and none for {what}: its setting “{setting}” is empty."

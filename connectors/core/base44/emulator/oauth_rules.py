"""What the stand-in OAuth provider does: codes for consent, tokens for codes, new tokens for old, and their end.

Each function takes the world's lock. Rules: a code works once, within a minute, for the client, redirect URI and PKCE
verifier it was made for. A refresh token works once. Whoever uses a code or a refresh token twice ends the whole grant,
because one of the two users has stolen it (RFC 6749, 4.1.2; RFC 9700, 4.14.2).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

from connectors.core.base44.emulator.oauth_state import OAuthClient, OAuthCode, OAuthGrant, OAuthToken
from connectors.core.base44.emulator.state import World, new_token
from connectors.core.base44.emulator.wire import Problem

CODE_LIFE = 60.0
SPENT_KEPT = 50
"""How many used refresh tokens of a grant are remembered; a use of an older one is refused, and ends nothing."""


@dataclass(frozen=True, slots=True)
class Pair:
    """New tokens, and the grant that they open."""

    access: str
    refresh: str
    grant: OAuthGrant
    client: OAuthClient


def add_client(world: World, client: OAuthClient) -> None:
    """Register a client, or change one; what was granted to it stays."""
    with world.lock:
        world.data.oauth.clients[client.client_id] = client
        world.changed()


def consent(world: World, code: OAuthCode) -> str:
    """A person has agreed: the code that the client can exchange."""
    with world.lock:
        now, text = world.clock(), new_token("code")
        code.expires_at = now + CODE_LIFE
        kept = {name: known for name, known in world.data.oauth.codes.items() if known.expires_at > now}
        world.data.oauth.codes = {**kept, text: code}
        world.changed()
        return text


def redeem(world: World, client: OAuthClient, text: str, redirect_uri: str, verifier: str) -> Pair:
    """Tokens for a code. Raises 400 invalid_grant for one that is unknown, used, too old or made for somebody else."""
    with world.lock:
        code = world.data.oauth.codes.get(text)
        if code is None or code.expires_at <= world.clock() or code.client_id != client.client_id:
            raise invalid_grant("The code is unknown or too old")
        if code.grant:
            _forget(world, code.grant)
            raise invalid_grant("The code was used before")
        if code.redirect_uri != redirect_uri or not _is_answer(verifier, code.challenge):
            raise invalid_grant("The redirect URI or the PKCE verifier is another one")
        code.grant = secrets.token_hex(8)
        ends_at = None if client.refresh_life is None else world.clock() + client.refresh_life
        grant = OAuthGrant(code.client_id, code.account, code.scopes, code.nonce, ends_at)
        world.data.oauth.grants[code.grant] = grant
        return _issue(world, client, code.grant)


def rotate(world: World, client: OAuthClient, text: str) -> Pair:
    """New tokens for a refresh token, which is spent by it. Raises 400 invalid_grant; a second use ends the grant."""
    with world.lock:
        token = world.data.oauth.tokens.get(text)
        grant = world.data.oauth.grants.get(token.grant) if token and token.is_refresh else None
        if token is None or grant is None or grant.client_id != client.client_id:
            raise invalid_grant("The refresh token is not valid")
        if grant.ends_at is not None and grant.ends_at <= world.clock():
            raise invalid_grant("The refresh token has ended")
        if token.spent:
            _forget(world, token.grant)
            raise invalid_grant("The refresh token was used before, so consent has ended")
        token.spent = True
        _drop_old(world, token.grant)
        return _issue(world, client, token.grant)


def granted_by(world: World, text: str, *, client: OAuthClient | None = None) -> tuple[OAuthToken, OAuthGrant] | None:
    """A token that works, of this client or of any, with its grant; None for any other text."""
    with world.lock:
        token = world.data.oauth.tokens.get(text)
        grant = world.data.oauth.grants.get(token.grant) if token else None
        if token is None or grant is None or token.spent:
            return None
        ended = token.expires_at is not None and token.expires_at <= world.clock()
        foreign = client is not None and grant.client_id != client.client_id
        return None if ended or foreign else (token, grant)


def revoke(world: World, client: OAuthClient, text: str) -> None:
    """End the grant behind a token of this client, with every token of it; any other text changes nothing."""
    with world.lock:
        token = world.data.oauth.tokens.get(text)
        grant = world.data.oauth.grants.get(token.grant) if token else None
        if token is not None and grant is not None and grant.client_id == client.client_id:
            _forget(world, token.grant)


def end_grant(world: World, grant_id: str) -> bool:
    """The account's owner takes consent back; False when there is no such grant (any more)."""
    with world.lock:
        if grant_id not in world.data.oauth.grants:
            return False
        _forget(world, grant_id)
        return True


def invalid_grant(description: str) -> Problem:
    """The refusal of a code or token (RFC 6749, 5.2)."""
    return Problem(400, {"error": "invalid_grant", "error_description": description})


def _is_answer(verifier: str, challenge: str) -> bool:
    """Whether the verifier is that of an S256 challenge (RFC 7636, 4.6); without a challenge there must be none."""
    if not challenge:
        return not verifier
    digest = hashlib.sha256(verifier.encode()).digest()
    return secrets.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"="), challenge.encode())


def _issue(world: World, client: OAuthClient, grant_id: str) -> Pair:
    pair = Pair(new_token("access"), new_token("refresh"), world.data.oauth.grants[grant_id], client)
    ends = world.clock() + client.access_life
    world.data.oauth.tokens[pair.access] = OAuthToken(grant_id, is_refresh=False, expires_at=ends)
    world.data.oauth.tokens[pair.refresh] = OAuthToken(grant_id, is_refresh=True, expires_at=pair.grant.ends_at)
    world.changed()
    return pair


def _forget(world: World, grant_id: str) -> None:
    world.data.oauth.grants.pop(grant_id, None)
    kept = {text: token for text, token in world.data.oauth.tokens.items() if token.grant != grant_id}
    world.data.oauth.tokens = kept
    world.changed()


def _drop_old(world: World, grant_id: str) -> None:
    """Forget what nobody will ask for again: a demo that runs for days must not fill its file."""
    tokens, now = world.data.oauth.tokens, world.clock()
    own = {text: token for text, token in tokens.items() if token.grant == grant_id}
    ended = [text for text, token in own.items() if token.expires_at is not None and token.expires_at <= now]
    spent = [text for text, token in own.items() if token.spent]
    for text in (*ended, *spent[:-SPENT_KEPT]):
        del tokens[text]

"""What the stand-in OAuth provider keeps: its clients, and what people have granted to them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class OAuthClient:
    """A team's app as it is registered at a provider.

    `access_life`: how long its access tokens last, in seconds; `refresh_life`: how long a grant lasts from consent, in
    seconds, however often it is refreshed, None for ever.
    """

    client_id: str
    client_secret: str
    name: str
    redirect_uris: list[str] = field(default_factory=list)
    access_life: float = 3600.0
    refresh_life: float | None = None


@dataclass(slots=True)
class OAuthCode:
    """What an authorisation code stands for. `grant` is what it was exchanged for, "" while it was not."""

    client_id: str
    account: str
    scopes: list[str]
    redirect_uri: str
    challenge: str
    nonce: str
    expires_at: float
    grant: str = ""


@dataclass(slots=True)
class OAuthGrant:
    """One consent: an account lets a client do these things, until one of the two ends it, or its time has come."""

    client_id: str
    account: str
    scopes: list[str]
    nonce: str = ""
    ends_at: float | None = None


@dataclass(slots=True)
class OAuthToken:
    """An access or refresh token. `expires_at` None: as far as is known, it does not end."""

    grant: str
    is_refresh: bool
    expires_at: float | None = None
    spent: bool = False
    """A refresh token that was used: it is remembered so that a second use is noticed."""


@dataclass(slots=True)
class OAuthData:
    """Everything of the provider that is kept between starts."""

    clients: dict[str, OAuthClient] = field(default_factory=dict)
    codes: dict[str, OAuthCode] = field(default_factory=dict)
    grants: dict[str, OAuthGrant] = field(default_factory=dict)
    tokens: dict[str, OAuthToken] = field(default_factory=dict)

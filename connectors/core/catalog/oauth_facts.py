"""What sets a provider's OAuth apart from the standards, as data; the defaults are the standards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import ConfigDict

from connectors.core.catalog.texts import STRICT, HttpsUrl, Path, Sentence, Text

Auth = Literal["client", "post", "basic", "bearer", "header", "none"]
"""How a call proves who makes it. client: as at the token endpoint. post, basic: with the client's id and secret in
the body or the header. bearer: with the token that it is about. header: `Authorization: Client <secret>`."""

Body = Literal["form", "json", "empty"]


@dataclass(frozen=True, slots=True)
class WireFacts:
    """The token endpoint, where it departs from RFC 6749 and how its answer is read.

    `strategy`: instagram has no refresh token and renews the access token itself; client_credentials mints a token
    from the client's secret and an installation, named by the redirect's parameter `mint_from` and told to the
    provider as `mint_param`. `token_path`: the object of a code exchange's answer that holds the tokens, where it is
    not the answer itself. `extend_url` makes a short-lived token long-lived, `renew_url` renews it (both GET, with the
    token in the query: their only way). `details`: places of values that are not secret and that calls with the token
    need; `callback_details`: query parameters of the redirect kept for the same reason. `probe`: what shows whether
    the client's secret is right (a made-up code, or a token for the client itself), none: nothing does without a
    person, nor at addresses that hold one of `no_probe_at`. The codes say what an error means where the usual meaning
    does not hold.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    strategy: Literal["standard", "instagram", "client_credentials"] = "standard"
    body: Literal["form", "json"] = "form"
    headers: Mapping[str, str] = field(default_factory=dict)
    client_id_param: Text = "client_id"
    redirect_uri_on_refresh: bool = False
    token_path: Path | None = None
    extend_url: HttpsUrl | None = None
    renew_url: HttpsUrl | None = None
    mint_from: Text | None = None
    mint_param: Text | None = None
    probe: Literal["code", "client_credentials", "none"] = "code"
    probe_params: Mapping[str, str] = field(default_factory=dict)
    no_probe_at: tuple[Text, ...] = ()
    details: tuple[Path, ...] = ()
    callback_details: tuple[Text, ...] = ()
    consent_codes: tuple[Text, ...] = ()
    client_codes: tuple[Text, ...] = ()
    transient_codes: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class RevokeFacts:
    """How a token is revoked (RFC 7009 unless said otherwise).

    `sends`: which of the pair goes out; the other one where that is missing and `either` holds. `param`: its name in
    the body. `client_id_param`: sent beside the token where `auth` does not carry it. `gone_statuses` and `gone_codes`
    answer for a token that had ended before. `reach`: what ends with a token. pair: the access and refresh token that
    belong together. account: all that this account has given to this client. None: not known. `elsewhere` says
    where a person ends access by hand, for providers that take no such call.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    method: Literal["POST", "DELETE"] = "POST"
    body: Body = "form"
    auth: Auth = "client"
    sends: Literal["refresh", "access"] = "refresh"
    either: bool = True
    param: Text = "token"
    hint: bool = True
    client_id_param: Text | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    gone_statuses: tuple[int, ...] = ()
    gone_codes: tuple[Text, ...] = ("invalid_token",)
    reach: Literal["pair", "account"] | None = None
    elsewhere: Sentence | None = None


@dataclass(frozen=True, slots=True)
class IntrospectFacts:
    """How a token is looked up (RFC 7662 unless said otherwise) and where the answer says what.

    `active_path` None: a token that gets an answer is active. `scopes_header`: the response header that lists the
    granted scopes. `expires_in_path` counts seconds from now, `expires_at_path` is a time (seconds or milliseconds
    since 1970, or ISO 8601). `gone_statuses` and `gone_codes` answer for a token that is not active.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    method: Literal["POST", "GET"] = "POST"
    body: Body = "form"
    auth: Auth = "client"
    param: Text = "token"
    hint: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    active_path: Path | None = "active"
    scopes_path: Path | None = "scope"
    scopes_header: Text | None = None
    expires_in_path: Path | None = None
    expires_at_path: Path | None = "exp"
    account_paths: tuple[Path, ...] = ("username", "sub")
    gone_statuses: tuple[int, ...] = ()
    gone_codes: tuple[Text, ...] = ("invalid_token",)


@dataclass(frozen=True, slots=True)
class IdentityFacts:
    """How the account behind a token is asked for (OpenID Connect's userinfo unless said otherwise).

    The first place that holds a value counts. `id_paths` name the account for good, `label_paths` for people, an
    e-mail address before a name. `grant_id_paths` and `grant_label_paths` are the same for the token endpoint's own
    answer, where that already says whose token it is. `claim_id`: which claim of the id_token is the same id, None
    when none is. `query` is the JSON text sent by POST (GraphQL).
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    method: Literal["GET", "POST"] = "GET"
    query: Text | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    id_paths: tuple[Path, ...] = ("sub", "id")
    label_paths: tuple[Path, ...] = ("email", "preferred_username", "name")
    claim_id: Text | None = "sub"
    grant_id_paths: tuple[Path, ...] = ()
    grant_label_paths: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long consent holds, in seconds. None: no such limit, or none that is known.

    `refresh_s`: fixed life of a refresh token from its issue; `refresh_slides`: each refresh starts it anew.
    `idle_s`: the refresh token ends when unused that long. `cap_s`: the hard end, counted from consent. `testing_s`:
    life while the client is in testing mode. `access_idle_s`: an access token without a refresh token ends when
    unused that long. `note` says it to an admin.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    refresh_s: int | None = None
    refresh_slides: bool = False
    idle_s: int | None = None
    cap_s: int | None = None
    testing_s: int | None = None
    access_idle_s: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class GrantFacts:
    """How what a provider grants may differ from what it was asked for.

    `reports`: whether it says what it granted; None: as the places of granted scopes in its answers tell.
    `grows`: authorising again never takes scopes away, only revoking does. `union`: a token carries all that the
    account ever granted to the same OAuth client. `granular`: the person may leave out single scopes at consent.
    `drops`: it leaves out, without an error, scopes that the account's plan or the person's rights do not cover.
    `note` says it to an admin.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    reports: bool | None = None
    grows: bool = False
    union: bool = False
    granular: bool = False
    drops: bool = False
    note: Literal[""] | Sentence = ""

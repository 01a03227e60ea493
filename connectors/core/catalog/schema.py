"""What the catalogue's data files may hold; the loader refuses anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict

from connectors.core.catalog.oauth_facts import (
    GrantFacts,
    IdentityFacts,
    IntrospectFacts,
    Lifetimes,
    RevokeFacts,
    WireFacts,
)
from connectors.core.catalog.texts import STRICT, HttpsUrl, Initials, Sentence, Slug, Text


def _must_compile(pattern: str) -> str:
    re.compile(pattern)
    return pattern


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


Pattern = Annotated[str, AfterValidator(_must_compile)]
Confidence = Literal["high", "medium", "low"]


class Sensitivity(StrEnum):
    """How much harm a stolen token with this scope could do, least first.

    low: identity, own or public data. medium: reads of business data, writes to the app's own objects. high: writes
    of business data, reads of mail, private chats, files, staff or payment data. critical: full control, permanent
    deletion, users, permissions, money.
    """

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low up to 3 for critical, for sorting: as text, "critical" would come before "low"."""
        return list(Sensitivity).index(self)


class Access(StrEnum):
    """What kind of right a scope gives."""

    IDENTITY = "identity"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class ScopeInfo:
    """One OAuth scope of a provider.

    `types` are the integration types it is made for; none means that the provider knows it but no listed type is
    about it. `implies` (transitive) lists scopes whose access this one contains. `aliases` are other spellings of
    the same scope. `auto_added`: Base44 or the provider commonly adds it unasked. `never_reported`: the provider
    honours it but leaves it out of the list of granted scopes. `provider_class` is Google's own grading.
    A name that ends in `:*` stands for every scope with that beginning. `source` and `confidence` say where the facts
    are from and how sure they are; in the file they stand only where they differ from the provider's.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Text
    title: Text
    access: Access
    sensitivity: Sensitivity
    types: tuple[Slug, ...]
    provider_class: Literal["non-sensitive", "sensitive", "restricted"] | None = None
    implies: tuple[Text, ...] = ()
    aliases: tuple[Text, ...] = ()
    auto_added: bool = False
    never_reported: bool = False
    deprecated: bool = False
    admin_consent: bool = False
    personal_account: bool = False
    source: Text | None = None
    confidence: Confidence | None = None


@dataclass(frozen=True, slots=True)
class ProviderScopes:
    """One file of `scopes/`: every known scope of one provider.

    `source` names the document that the facts come from. `confidence` is high for the provider's published
    specification or metadata, medium for copies of its pages, low for public code and general knowledge.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    provider: Slug
    source: Text
    confidence: Confidence
    notes: Text
    scopes: tuple[ScopeInfo, ...]


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One connection setting that a type takes beside its scopes, such as a subdomain.

    `confirmed` is False where the name is the provider's word and Base44's own name for it has not been seen; such a
    field is never required here, because Base44's list of available integrations has the last word.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: Text
    display_name: Text
    description: str = ""
    placeholder: str = ""
    required: bool = False
    validation_pattern: Pattern | None = None
    validation_error: str | None = None
    confirmed: bool = True

    def problem(self, value: str) -> str:
        """Why `value` cannot be used for this field, as one sentence; "" when it can.

        A pattern that Python cannot read lets every value pass: Base44 writes it for JavaScript, and checks it itself.
        """
        if not value.strip():
            return f"The connection setting “{self.display_name}” ({self.name}) is missing." if self.required else ""
        if self.validation_pattern and not _matches(self.validation_pattern, value):
            hint = self.validation_error or f"It must match {self.validation_pattern}"
            return f"The connection setting “{self.display_name}” ({self.name}) is not valid. {hint.rstrip('.')}."
        return ""


@dataclass(frozen=True, slots=True)
class RefreshFacts:
    """How a provider renews access. None means that it depends on the app's settings or is not known."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    supported: bool
    rotates: bool | None
    access_token_lifetime_s: int | None
    refresh_token_lifetime: Text


@dataclass(frozen=True, slots=True)
class OAuthFacts:
    """Endpoints and habits of a provider's OAuth, for connectors that the portal authorises itself.

    `{client_id}`, `{redirect_uri}`, `{host}` and the names of connection settings are filled in at run time.
    `scope_separator` None: the provider takes no scope parameter. `granted_scopes_path` is the dotted place of the
    granted scopes in the token response, None when the provider does not say what it granted.

    `issuer` is the provider's own name for itself, compared strictly where it comes back; `issuer_in_response`: the
    provider always puts it into the redirect (RFC 9207), so that an answer without it is refused. `echoes_nonce` False:
    its identity tokens are known to leave the nonce out. `console_url` and
    `console_steps`: where and how a team makes its OAuth client; `client_settings`: what that client needs besides
    its id and secret. `identity` None: nothing tells whose token it is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    authorize_url: HttpsUrl | None
    token_url: HttpsUrl | None
    revoke_url: HttpsUrl | None
    introspect_url: HttpsUrl | None
    userinfo_url: HttpsUrl | None
    scope_separator: Literal[" ", ","] | None
    user_scope_param: Text | None
    pkce: Literal["required", "supported", "none", "unknown"]
    token_auth_method: Literal["post", "basic"]
    refresh: RefreshFacts
    granted_scopes_path: Text | None
    allauth_provider: Slug | None
    allauth_fit: Literal["ok", "outdated", "login_only"] | None
    implied_scopes_note: str
    notes: str
    extra_authorize_params: Mapping[str, str] = field(default_factory=dict)
    issuer: HttpsUrl | None = None
    issuer_in_response: bool = False
    echoes_nonce: bool = True
    console_url: HttpsUrl | None = None
    console_steps: tuple[Sentence, ...] = ()
    scopes_url: HttpsUrl | None = None
    client_settings: tuple[ConfigField, ...] = ()
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    wire: WireFacts = field(default_factory=WireFacts)
    revocation: RevokeFacts = field(default_factory=RevokeFacts)
    introspection: IntrospectFacts = field(default_factory=IntrospectFacts)
    identity: IdentityFacts | None = field(default_factory=IdentityFacts)
    grants: GrantFacts = field(default_factory=GrantFacts)

    @property
    def reports_scopes(self) -> bool:
        """Whether the provider can be brought to say what it granted, with the token or when asked about it."""
        if self.grants.reports is not None:
            return self.grants.reports
        told = self.introspection.scopes_path or self.introspection.scopes_header
        return self.granted_scopes_path is not None or bool(self.introspect_url and told)


@dataclass(frozen=True, slots=True)
class IntegrationTypeInfo:
    """One integration type: what an admin reads about it and what the portal must know.

    `provider` names the file of `scopes/` that it shares with its siblings. `confidence` says how well the OAuth
    facts are documented.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    display_name: Text
    initials: Initials
    description: Sentence
    provider: Slug
    docs_url: HttpsUrl
    confidence: Confidence
    connection_config_fields: tuple[ConfigField, ...]
    oauth: OAuthFacts
    slug: str = ""

    @property
    def has_scopes(self) -> bool:
        """False for types whose provider has no scope parameter: the token can do what the user can do."""
        return self.oauth.scope_separator is not None

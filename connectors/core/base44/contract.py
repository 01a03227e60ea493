"""Base44's wire contract: one model for each request and answer.

The client parses answers with these models, the emulator renders answers and parses requests with them.
Source: the CLI base44 0.1.18 and Base44's public API reference (beta), last compared in November 2026.

- Unknown fields are ignored and statuses are plain strings, for Base44 may add both at any time.
- A key that the contract requires is required here too; a key that may be missing has a default.
- Secrets (tokens, consent links) are `SecretStr`: neither `repr`, `str` nor an ordinary dump shows them.
  `render` is the one way to write them out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    StrictBool,
    StrictInt,
    ValidationError,
)
from pydantic_core import from_json, to_json

CLIENT_ID = "base44_cli"
"""The OAuth client of the device login. Base44 publishes no other that has these scopes."""

DEVICE_SCOPE = "apps:read apps:write sandbox:write"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REFRESH_GRANT = "refresh_token"


def _reveal_on_request(value: SecretStr, info: SerializationInfo) -> str:
    """The secret itself when `render` asks for it, stars for every other dump."""
    return value.get_secret_value() if (info.context or {}).get("reveal_secrets") else str(value)


def _absolute_web_address(address: str) -> str:
    """Only http and https with a host: a browser is sent there, and `javascript:` must not get through."""
    try:
        parts = urlsplit(address)
        absolute = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # its text would quote the address
        absolute = False
    if not absolute:
        raise ValueError("is not an absolute http(s) address")
    return address


def _absolute_secret_address(address: SecretStr) -> SecretStr:
    _absolute_web_address(address.get_secret_value())
    return address


Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[StrictInt, Field(gt=0)]
WebAddress = Annotated[str, AfterValidator(_absolute_web_address)]
Secret = Annotated[SecretStr, Field(min_length=1), PlainSerializer(_reveal_on_request, return_type=str)]
SecretAddress = Annotated[Secret, AfterValidator(_absolute_secret_address)]


class Wire(BaseModel):
    """Base of every model here. Errors never quote the input, which may hold a secret."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


def render(answer: Wire | Iterable[Wire]) -> bytes:
    """The JSON that goes over the wire, secrets included. Keys that were never set are left out."""
    if isinstance(answer, Wire):
        return answer.model_dump_json(exclude_unset=True, context={"reveal_secrets": True}).encode()
    rows = [row.model_dump(mode="json", exclude_unset=True, context={"reveal_secrets": True}) for row in answer]
    return to_json(rows)


# Apps, workspaces, people


class AppSummary(Wire):
    """One row of `GET /api/apps`, which answers a bare array and never pages (at most 50)."""

    id: Text
    name: str | None = None
    user_description: str | None = None
    is_managed_source_code: bool | None = None


class App(Wire):
    """`GET /api/apps/{id}?fields=id,name,organization_id`."""

    id: Text
    name: str | None = None
    organization_id: str | None = None


class Workspace(Wire):
    id: Text
    name: str
    user_role: str | None = None
    subscription_tier: str | None = None
    is_enterprise: bool | None = None


class Workspaces(Wire):
    """`GET /api/workspace/workspaces`; the first one counts as the personal workspace."""

    workspaces: tuple[Workspace, ...]


class UserInfo(Wire):
    """`GET /oauth/userinfo`."""

    email: Text
    name: str | None = None


# Connectors: /api/apps/{app_id}/external-auth


class IntegrationField(Wire):
    """One value that an integration type wants in `connection_config` (a site address, a tenant)."""

    name: Text
    display_name: str
    description: str
    placeholder: str
    required: bool
    validation_pattern: str | None = None
    validation_error: str | None = None


class AvailableIntegration(Wire):
    integration_type: Text
    display_name: str
    description: str
    connection_config_fields: tuple[IntegrationField, ...]


class AvailableIntegrations(Wire):
    """`GET .../available-integrations`. Never lists `stripe`; may differ from account to account."""

    integrations: tuple[AvailableIntegration, ...]


class ListedConnector(Wire):
    """One row of `GET .../list`. `status` is active, disconnected or expired; others may appear."""

    integration_type: Text
    status: str
    scopes: tuple[str, ...]
    user_email: str | None = None


class ConnectorList(Wire):
    """`GET .../list`: granted scopes, auto-added ones included; never-authorised connectors are absent."""

    integrations: tuple[ListedConnector, ...]


class SetScopesRequest(Wire):
    """`PUT .../integrations/{type}`: set exactly these scopes."""

    scopes: tuple[str, ...]
    connection_config: dict[str, str] | None = None


class InitiateRequest(Wire):
    """`POST .../initiate`: add these scopes. `force_reconnect` takes over a colleague's connection."""

    integration_type: Text
    scopes: tuple[str, ...]
    force_reconnect: bool | None = None
    connection_config: dict[str, str] | None = None
    connector_id: str | None = None
    notify_chat_on_success: bool | None = None


class SetScopesAnswer(Wire):
    """The answer to setting scopes and to `initiate`; all six keys are required.

    `redirect_url` is a credential: hand it to a browser once, never store or log it.
    `error` is `different_user` (with `other_user_email`) though the HTTP status is 200.
    """

    redirect_url: SecretAddress | None
    connection_id: str | None
    already_authorized: StrictBool
    error: str | None
    error_message: str | None
    other_user_email: str | None


class ConnectionStatus(Wire):
    """`GET .../status`: ACTIVE, FAILED or PENDING. An abandoned link stays PENDING for ever."""

    status: Text


class RemoveAnswer(Wire):
    """`DELETE .../integrations/{type}/remove`; succeeds also when there was nothing to remove."""

    status: Text
    integration_type: Text


class DeployedConnector(Wire):
    integration_type: Text
    scopes: tuple[str, ...]


class DeployConnectorsRequest(Wire):
    """`PUT /api/apps/{id}/deployment/connectors`: reconciles everything at Base44's side; Stripe apart."""

    connectors: tuple[DeployedConnector, ...]


class ConnectionToken(Wire):
    """`GET .../tokens/{type}`: what the SDK's `getConnection` reads."""

    access_token: Secret
    integration_type: Text
    connection_config: dict[str, str] | None


# Stripe: /api/apps/{app_id}/payments/stripe


class StripeStatus(Wire):
    """`stripe_mode` is sandbox, live or null (not installed)."""

    stripe_mode: str | None
    sandbox_claim_url: SecretAddress | None = None


class StripeInstall(Wire):
    already_installed: StrictBool
    claim_url: SecretAddress | None


class StripeRemove(Wire):
    success: StrictBool


# Sign-in


class DeviceCodeRequest(Wire):
    """Keys have no defaults, for `render` leaves out what was not set."""

    client_id: Text
    scope: str


class DeviceCode(Wire):
    """`POST /oauth/device/code`: the person types `user_code` at `verification_uri`. Times in seconds."""

    device_code: Secret
    user_code: Text
    verification_uri: WebAddress
    expires_in: Seconds
    interval: Seconds


class TokenAnswer(Wire):
    """`POST /oauth/token`. Every answer holds a new refresh token, and it replaces the one before."""

    access_token: Secret
    token_type: str
    expires_in: Seconds
    refresh_token: Secret
    scope: str | None = None


class OAuthError(Wire):
    """`authorization_pending` and `slow_down` mean: poll again; everything else ends the sign-in."""

    error: Text
    error_description: str | None = None


# Reading lists row by row

Row = TypeVar("Row", bound=Wire)


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row that does not fit the contract. `problem` names the fields at fault and quotes no value."""

    position: int
    problem: str
    row: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """What a list answer held: the rows that fit, and those that do not."""

    good: tuple[Row, ...] = ()
    odd: tuple[OddRow, ...] = ()


def read_rows(body: bytes, row_model: type[Row], *, key: str | None) -> Rows[Row]:
    """The rows of a list answer; `key` names the list within an object, None means a bare array.

    One odd row is set aside and does not lose the others (Base44's own CLI rejects the whole list).
    Raises ValueError with a sentence fit for an admin when the answer is no JSON or holds no such list.
    """
    try:
        document = from_json(body)
    except ValueError:
        raise ValueError("the answer is not complete JSON") from None
    rows = document
    if key is not None:
        rows = document.get(key) if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"the answer holds no list “{key}”" if key else "the answer is not a list")
    good: list[Row] = []
    odd: list[OddRow] = []
    for position, row in enumerate(rows):
        try:
            good.append(row_model.model_validate(row))
        except ValidationError as error:
            odd.append(OddRow(position, problem_in_words(error), row))
    return Rows(tuple(good), tuple(odd))


def problem_in_words(error: ValidationError) -> str:
    """What does not fit, field by field, without any value: `status: Field required; scopes: ...`. At most 3 fields."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    named = [f"{'.'.join(str(part) for part in fault['loc']) or 'answer'}: {fault['msg']}" for fault in faults[:3]]
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    return "; ".join(named) + more

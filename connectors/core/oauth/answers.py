"""Read what providers answer: JSON or a form, places in it, and the meaning of an error."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json

from connectors.core.base44.faults import retry_after
from connectors.core.catalog import WireFacts
from connectors.core.oauth.errors import Kind, OAuthError
from connectors.core.oauth.transport import Reply, Request, failure

MAX_SECONDS = 100 * 365 * 86_400
"""A century: what lasts longer, or is no number, counts as not said."""

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""Parts that begin where small letters turn to capitals: words in a code, two or three letters in a token."""
_FORM = re.compile(rb"[!-~]*\b(?:access_token|error)=[!-~]*")

# RFC 6749 5.2 and 4.1.2.1, RFC 6750 3.1, OpenID Connect Core 3.1.2.6; a provider's own codes are in the catalogue.
CONSENT_CODES = frozenset(
    {"invalid_grant", "access_denied", "consent_required", "interaction_required", "login_required", "invalid_token"}
)
CLIENT_CODES = frozenset({"invalid_client", "unauthorized_client"})
TRANSIENT_CODES = frozenset({"temporarily_unavailable", "server_error", "slow_down"})


def document_of(reply: Reply) -> Any:
    """The answer as JSON, or a form's fields as texts; None when it is neither."""
    try:
        return from_json(reply.body)
    except ValueError:
        pass
    if _FORM.fullmatch(reply.body.strip()):
        return dict(parse_qsl(reply.body.strip().decode("ascii")))
    return None


def at(document: Any, path: str) -> Any:
    """What is at a dotted place, None when nothing is. A number counts the items of a list from 0."""
    if isinstance(document, Mapping) and path in document:
        return document[path]
    for part in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and part.isdecimal() and len(part) < 4 and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def text_at(document: Any, paths: Iterable[str]) -> str:
    """The first non-empty text or whole number at one of the places, as text of at most 250 printable signs."""
    for path in paths:
        value = at(document, path)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value) if -(2**64) < value < 2**64 else ""
        if isinstance(value, str) and value.strip() and value.isprintable():
            return value.strip()[:250]
    return ""


def seconds(value: Any) -> float | None:
    """A number of seconds, also written as text; None when it is none, not positive, or beyond belief."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and 0 < number <= MAX_SECONDS else None


def seconds_until(value: Any, now: float) -> float | None:
    """Seconds from `now` (Unix time) to a time, 0 when it has passed; None for no time, or one beyond belief.

    The time may be ISO 8601, or seconds or milliseconds since 1970.
    """
    moment = _moment(value)
    return None if moment is None or moment - now > MAX_SECONDS else max(0.0, moment - now)


def _moment(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return _iso(value) if isinstance(value, str) else None
    if not math.isfinite(number) or number <= 0:
        return None
    return number / 1000 if number > 10**11 else number


def _iso(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def scopes_in(value: Any) -> tuple[str, ...] | None:
    """Scopes written with spaces, with commas or as a list, without repeats; None when the value names none.

    An empty text says nothing: RFC 6749 3.3 does not allow it, and GitHub Apps and Snowflake send it with full access.
    """
    items = value if isinstance(value, list) else [value]
    found = [part for item in items if isinstance(item, str) for part in re.split(r"[\s,]+", item) if part]
    return tuple(dict.fromkeys(found)) or None


_CODE_PLACES = (
    "error",
    "error.code",
    "error.type",
    "error..tag",
    "errors.0.code",
    "error_code",
    "error_type",
    "code",
    "ECODE",
    "details.applicationError.code",
    "type",
    "status",
)


def error_code(document: Any, secrets: Iterable[str] = ()) -> str:
    """The provider's error code, "" when there is none that may be shown.

    It may hold no part of what was sent, and must not look like a token: a provider may quote one that it made.
    """
    found = (_at_code(document, place) for place in _CODE_PLACES)
    code = next((text for text in found if text), "")
    leaks = any(len(secret) >= 4 and (secret in code or (len(code) >= 8 and code in secret)) for secret in secrets)
    return "" if leaks or looks_random(code) else code


def looks_random(code: str) -> bool:
    """Whether a text that should be an error code is more likely a token."""
    digits = sum(sign.isdigit() for sign in code)
    mixed = code.lower() != code != code.upper()
    pieces = [len(piece) for piece in _PIECE.findall(code)]
    chopped = mixed and sum(pieces) < 4 * len(pieces)
    return len(code) >= 16 and (digits >= 4 or (digits > 0 and mixed) or chopped)


def _at_code(document: Any, place: str) -> str:
    if place == "error..tag":  # Dropbox names the kind of a union `.tag`
        error = at(document, "error")
        value = error.get(".tag") if isinstance(error, Mapping) else None
    else:
        value = at(document, place)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9 and place != "status":
        value = str(value)
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def says_error(document: Any) -> bool:
    """Whether an answer of HTTP 2xx is an error all the same (Slack, GitHub, TikTok)."""
    if not isinstance(document, Mapping):
        return False
    error = document.get("error")
    if isinstance(error, Mapping):  # TikTok's answers end with an error of code "ok"
        return error.get("code") not in ("ok", 0)
    return document.get("ok") is False or any(bool(document.get(name)) for name in ("error", "error_type", "errors"))


def refusal(request: Request, reply: Reply, document: Any, wire: WireFacts, *, wall_time: float) -> OAuthError:
    """What an answer without the wanted content means."""
    code = error_code(document, request.secrets)
    wait = retry_after(reply.headers, wall_time)
    if reply.status in (408, 429) or reply.status >= 500:
        lost = reply.status not in (408, 429, 503) and not code
        return _error(request, Kind.TRANSIENT, code, reply.status, wait, lost=lost)
    if 300 <= reply.status < 400:
        return _error(request, Kind.REFUSED, code or "redirect", reply.status)
    if request.by_token and reply.status == 401:
        return _error(request, Kind.CONSENT, code, reply.status)
    if document is None or (reply.status < 300 and not says_error(document)):
        said = "its answer could not be understood"
        return failure(request, said, code="unreadable", lost=reply.status < 300, status=reply.status)
    return _error(request, kind_of(code, reply.status, wire), code, reply.status, wait)


def kind_of(code: str, status: int, wire: WireFacts) -> Kind:
    """Who can help after this error code; the provider's own meaning of a code comes before the standard's."""
    own = ((wire.consent_codes, Kind.CONSENT), (wire.client_codes, Kind.CLIENT), (wire.transient_codes, Kind.TRANSIENT))
    common = ((CONSENT_CODES, Kind.CONSENT), (CLIENT_CODES, Kind.CLIENT), (TRANSIENT_CODES, Kind.TRANSIENT))
    for codes, kind in (*own, *common):
        if code in codes:
            return kind
    return Kind.CLIENT if status == 401 and not code else Kind.REFUSED


def _error(
    request: Request, kind: Kind, code: str, status: int, wait: float | None = None, *, lost: bool = False
) -> OAuthError:
    said = code if code and 200 <= status < 300 else f"{code}, HTTP {status}" if code else f"HTTP {status}"
    name = request.provider
    ended = "the access token" if request.by_token else "the consent"
    remedy = "" if request.by_token else " A person must authorise the connector again."
    text = {
        Kind.CONSENT: f"{name} no longer accepts {ended} ({said}).{remedy}",
        Kind.CLIENT: f"{name} does not accept the OAuth client ({said}). Check its client id and secret.",
        Kind.TRANSIENT: f"{name} could not {request.doing} just now ({said}).",
        Kind.REFUSED: f"{name} refused to {request.doing} ({said}).",
    }[kind]
    return OAuthError(text, kind=kind, code=code, status=status, retry_after=wait, lost=lost)

"""What Base44 answers when it does not do what was asked, turned into words an admin can act on.

No text made here holds a credential or a consent link: `plain` masks what the caller names as secret,
everything that follows `Bearer`, and the query of every web address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json, to_json

MAX_MESSAGE = 300
ANSWER_LOST = "answer_lost"
"""Code of an ApiError after which nobody knows whether Base44 did it: look again before asking again."""

BAD_ANSWER = "bad_answer"
"""Code of an ApiError for an answer that is no JSON, or not the JSON of the contract."""

_BEARER = re.compile(r"(?i)\b(bearer\s+|b44k_)[\w.~+/=-]{16,}")
_ADDRESS = re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*")
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")
_TITLE = re.compile(r"(?is)<title[^>]*>(.*?)</title>")


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete answer. `request_id` is Base44's, or ours when the answer names none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str


def plain(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` on one line, printable, without secrets, at most 300 characters."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    text = _ADDRESS.sub(r"\1?…", _BEARER.sub(r"\1…", text))
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def looks_like_html(reply: Reply) -> bool:
    """A web page in place of JSON: a proxy's error page, a sign-in wall, maintenance."""
    return "html" in reply.headers.get("content-type", "").lower() or reply.body[:200].lstrip().startswith(b"<")


def server_message(reply: Reply, secrets: Iterable[str] = ()) -> str:
    """What Base44 itself says of its refusal, "" when it says nothing.

    `message`, else `detail` (FastAPI's list of field errors included), else OAuth's `error_description`
    or `error`, else a short text; the rows of `extra_data.errors` are added.
    """
    if looks_like_html(reply):
        title = _TITLE.search(reply.body[:20_000].decode("utf-8", "replace"))
        return plain(f"a web page titled “{title[1].strip()}”" if title and title[1].strip() else "a web page", secrets)
    document = _document(reply)
    if not isinstance(document, dict):
        text = document if isinstance(document, str) else reply.body[:2_000].decode("utf-8", "replace")
        return plain(text, secrets)
    spoken = next(filter(None, map(_words, (document.get(key) for key in _SPEAKING_KEYS))), "")
    if not spoken and document.get("detail"):
        spoken = to_json(document["detail"]).decode()
    extra = document.get("extra_data")
    rows = _words(extra.get("errors")) if isinstance(extra, dict) else ""
    return plain("; ".join(filter(None, (spoken, rows))), secrets)


_SPEAKING_KEYS = ("message", "detail", "error_description", "error_message", "error")


def _words(value: Any) -> str:
    """A string as it is; a list or object of errors as `place: message; place: message`; otherwise ""."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value[:5])))
    if not isinstance(value, dict):
        return ""
    said = next((value[key] for key in ("message", "msg", "detail") if isinstance(value.get(key), str)), "")
    place = value.get("name", value.get("loc", ""))
    named = ".".join(str(part) for part in place) if isinstance(place, list) else str(place)
    return f"{named}: {said}" if named and said else said


def error_code(reply: Reply) -> str:
    """Base44's own error code: `error.code`, `code`, OAuth's `error`, `error_type`, or its header; "" when none."""
    document = _document(reply)
    found: list[Any] = [reply.headers.get("x-base44-connector-error")]
    if isinstance(document, dict):
        error = document.get("error")
        nested = error.get("code") if isinstance(error, dict) else None
        found = [nested, document.get("code"), error, document.get("error_type"), *found]
    code = next((value for value in found if isinstance(value, str) and value), "")
    return plain(code)[:80]


def effective_status(reply: Reply) -> int:
    """The HTTP status, but 404 for the server error with which Base44 reports an unknown app (`KeyError`)."""
    if reply.status >= 500 and error_code(reply) == "KeyError":
        return 404
    return reply.status


def retry_after(headers: Mapping[str, str], wall_time: float) -> float | None:
    """Seconds that `Retry-After` asks for (a number, or a date compared with Unix time), None when it says nothing."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall_time)


def _document(reply: Reply) -> Any:
    try:
        return from_json(reply.body)
    except ValueError:
        return None

"""The canonical form: the same bytes for the same content, whatever a database does to numbers and to order."""

from __future__ import annotations

import datetime as dt
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from connectors.core.trail.keys import TrailKeys, UnknownKeyError

FIELDS = (
    "uid",
    "at",
    "verb",
    "user_id",
    "actor_label",
    "door",
    "workspace_id",
    "project_id",
    "target_type",
    "target_id",
    "target_label",
    "before",
    "after",
    "note",
    "reason",
    "request_id",
    "address",
)
"""What an event's digest covers: everything but its key in the table, which the database gives it afterwards."""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode


def plain(value: Any) -> Any:
    """What comes back when the value is stored as JSON: lists for tuples, texts as keys."""
    return json.loads(json.dumps(value))


def event_form(content: Mapping[str, Any]) -> bytes:
    """The bytes that an event's digest is made of; `content` has a value for each of `FIELDS`."""
    form = {name: content[name] for name in FIELDS}
    form["uid"], form["at"] = str(form["uid"]), moment(form["at"])
    form["before"], form["after"] = _steady(form["before"]), _steady(form["after"])
    return _encode(form).encode("ascii")


def canonical(content: Mapping[str, Any]) -> bytes:
    """The bytes of any other content that is signed."""
    return _encode(_steady(dict(content))).encode("ascii")


def is_genuine(keys: TrailKeys, content: Mapping[str, Any], digest: str, key_id: str) -> bool:
    """Whether an event's digest fits its content. False for one without a digest or of a key that is not ours."""
    try:
        key = keys.named(key_id)
    except UnknownKeyError:
        return False
    return hmac.compare_digest(key.of_event(event_form(content)), digest)


def moment(at: dt.datetime) -> str:
    """`2026-11-21T14:30:00.000000+00:00`, whatever time zone the value is in."""
    return at.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _steady(value: Any) -> Any:
    """Numbers as every database gives them back: PostgreSQL stores 1e16 as 10000000000000000, a whole number."""
    if isinstance(value, dict):
        return {key: _steady(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_steady(inner) for inner in value]
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return int(exact) if exact == exact.to_integral_value() else value
    return value

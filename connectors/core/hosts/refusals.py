"""What a host's refusal means, in words: whose fault it is, whether to try again, and when."""

from __future__ import annotations

import datetime as dt
import email.utils
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from connectors.core.hosts.errors import HostError, HostFault
from connectors.core.net import Answer
from connectors.core.printable import one_line
from connectors.core.webhooks import wait_of

MAX_SAID = 200
"""Characters of a host's own message that an error shows."""

_WORDS = {
    401: (HostFault.CREDENTIAL, "{host} does not accept the token: it is wrong, has expired or was revoked."),
    404: (HostFault.NOT_FOUND, "{host} shows this token no such repository or pull request."),
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        (HostFault.MOVED, "The repository was renamed or moved at {host}: enter its new address."),
    ),
}


def refusal(host: str, answer: Answer, token: str) -> HostError:
    """The error for an answer whose status is none of success; `token` is what must not be quoted."""
    status, said = answer.status, said_by(answer.body, token)
    if _is_rate_limit(answer, said):
        text = f"{host} allows no more calls for now (HTTP {status})."
        wait = _wait(answer.headers)
        return HostError(text, HostFault.RATE, permanent=False, status=status, retry_after=wait)
    if status in _WORDS:
        fault, words = _WORDS[status]
        return HostError(words.format(host=host), fault, permanent=True, status=status)
    if status == 408 or status >= 500:
        text = f"{host} failed (HTTP {status})."
        return HostError(text, HostFault.UNREACHABLE, permanent=False, status=status)
    done = f"{host} does not let this token do that" if status == 403 else f"{host} refused it (HTTP {status})"
    text = f"{done}: {said}" if said else f"{done}."
    return HostError(text, HostFault.REFUSED, permanent=True, status=status)


def said_by(body: bytes, token: str) -> str:
    """The short message of a host's refusal on one line, "" when there is none that may be shown.

    It is in `message` (GitHub adds `errors`, each with its own), else in `error_description` or `error`; GitLab makes
    lists and objects of it.
    """
    try:
        document = from_json(body)
    except ValueError:
        return ""
    if not isinstance(document, Mapping):
        return ""
    said = next((document[name] for name in ("message", "error_description", "error") if document.get(name)), "")
    texts = [*_texts(said), *_texts(document.get("errors"))]
    line = "; ".join(dict.fromkeys(texts))
    return "" if token and token in line else one_line(line, MAX_SAID)


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth < 4:
        for item in value[:5]:
            yield from _texts(item, depth + 1)
    elif isinstance(value, Mapping) and depth < 4:
        if value.get("message"):
            yield from _texts(value["message"], depth + 1)
        elif "field" in value and "code" in value:  # GitHub: {"resource": "PullRequest", "field": "head", "code": …}
            yield f"{value['field']} is {value['code']}"
        else:  # GitLab: {"title": ["is too long"]}
            yield from (f"{name} {text}" for name in list(value)[:5] for text in _texts(value[name], depth + 1))


def _is_rate_limit(answer: Answer, said: str) -> bool:
    if answer.status == 429:
        return True
    spent = answer.headers.get("x-ratelimit-remaining") == "0" or "retry-after" in answer.headers
    return answer.status == 403 and (spent or "rate limit" in said.lower())


def _wait(headers: Mapping[str, str]) -> dt.timedelta | None:
    """How long the host wants to be left alone: Retry-After, else until the limit's reset by the host's own clock."""
    try:
        now = email.utils.parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    now = now if now.tzinfo else now.replace(tzinfo=dt.UTC)
    reset = headers.get("x-ratelimit-reset") or headers.get("ratelimit-reset", "")
    left = str(int(reset) - int(now.timestamp())) if re.fullmatch(r"[0-9]{1,12}", reset) else ""
    return wait_of(headers.get("retry-after") or left, now)

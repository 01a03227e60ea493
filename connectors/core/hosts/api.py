"""One call of a host's API: what goes out, and what comes back as data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from pydantic import Field, TypeAdapter, ValidationError

from connectors.core.hosts.errors import HostError, HostFault
from connectors.core.hosts.refusals import refusal
from connectors.core.net import AddressRefusedError, Allowed, Answer, NoAnswerError
from connectors.core.webhooks import USER_AGENT

TIMEOUT = 20.0
"""Seconds for one call."""
MAX_ANSWER = 8 * 2**20
"""Bytes. A list of pull requests holds their bodies."""
MAX_TITLE = 255
"""Characters; GitLab and Gitea take no more, GitHub one more."""

Transport = Callable[..., Answer]
"""`connectors.core.net.ask`, or what stands in for it."""

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""A pull request's number, as the database can hold it."""

T = TypeVar("T")

CONFLICTS = frozenset({409, 422})
"""Statuses of refusals that may mean: there is such a pull request already. The words for it differ by version."""

_ENDED = "\n\n…"


@dataclass(frozen=True, slots=True)
class Api:
    """How one host is called. `base` is the API's address without a slash at its end.

    `headers` carry the token, so neither they nor the token are shown anywhere.
    """

    name: str
    base: str
    token: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    allowed: Allowed
    transport: Transport

    def get(self, path: str, shape: type[T], **query: str | int) -> T:
        """What is at a path, as data of this shape. Raises HostError."""
        return self._read(self._call("GET", f"{path}?{urlencode(query)}" if query else path, None), shape)

    def send(self, method: str, path: str, body: Mapping[str, object], shape: type[T]) -> T:
        """Sends data, and gives the answer as data of this shape. Raises HostError."""
        return self._read(self._call(method, path, body), shape)

    def _call(self, method: str, path: str, body: Mapping[str, object] | None) -> Answer:
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            text = "The token holds characters that no token has: enter it again."
            raise HostError(text, HostFault.CREDENTIAL, permanent=True)
        headers = {"User-Agent": USER_AGENT, **self.headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        raw = None if body is None else json.dumps(body).encode()
        try:
            answer = self.transport(
                method,
                self.base + path,
                raw,
                headers,
                allowed=self.allowed,
                timeout=TIMEOUT,
                max_answer=MAX_ANSWER,
            )
        except AddressRefusedError as error:
            raise HostError(str(error), HostFault.ADDRESS, permanent=True) from None
        except NoAnswerError as error:
            raise HostError(str(error), HostFault.UNREACHABLE, permanent=False) from None
        if not 200 <= answer.status < 300:
            raise refusal(self.name, answer, self.token)
        return answer

    def _read(self, answer: Answer, shape: type[T]) -> T:
        try:
            return TypeAdapter(shape).validate_json(answer.body)
        except ValidationError:
            text = f"{self.name} did not answer as its API does. Is the API's address right?"
            raise HostError(text, HostFault.UNREADABLE, permanent=True, status=answer.status) from None


def cut(text: str, most: int) -> str:
    """A body of at most so many characters; where some are missing it says so."""
    return text if len(text) <= most else text[: most - len(_ENDED)] + _ENDED


def link(text: str) -> str:
    """A web address that may stand in a page, "" for anything else that a host may send in its place."""
    return text if len(text) <= 500 and re.fullmatch(r"https?://[\x21-\x7e]+", text) else ""


def object_id(text: str | None) -> str:
    """A commit's id, "" for anything else."""
    return text if text and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", text) else ""

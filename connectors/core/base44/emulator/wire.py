"""Requests and answers of the emulator, free of sockets: what a handler gets and what it gives."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qs, quote

from pydantic import ValidationError

from connectors.core.base44.contract import Wire, problem_in_words, render

Model = TypeVar("Model", bound=Wire)

JSON = "application/json"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back.

    `abrupt` is how the connection ends instead of the ordinary way (""): truncated (half the body, then closed),
    close (at once), hang (silence for `seconds`, then closed).
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    abrupt: str = ""
    seconds: float = 0.0


class Problem(Exception):
    """A refusal in one of Base44's shapes; `body` is what the caller reads."""

    def __init__(self, status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(status))
        self.status, self.body, self.headers = status, body, headers or {}

    def as_answer(self) -> Answer:
        """The refusal as it goes over the wire."""
        return Answer(self.status, json.dumps(self.body).encode(), JSON, self.headers)


def refusal(status: int, message: str, **more: object) -> Problem:
    """The common shape: `{"error_type": "HTTPException", "message": ...}`."""
    return Problem(status, {"error_type": "HTTPException", "message": message, **more})


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `base_url` is how the caller addressed us: links in answers must be reachable for the caller."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    base_url: str

    def model(self, model: type[Model]) -> Model:
        """The JSON body as a contract model; raises the 422 that FastAPI would answer."""
        try:
            return model.model_validate_json(self.body or b"null")
        except ValidationError as error:
            raise Problem(422, {"detail": problem_in_words(error)}) from None

    def json_object(self) -> dict[str, object]:
        """The JSON body when it is an object; raises 422 otherwise."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise Problem(422, {"detail": "Body is not JSON"}) from None
        if not isinstance(value, dict):
            raise Problem(422, {"detail": "Body is not a JSON object"})
        return value

    def form(self) -> dict[str, str]:
        """The body as a form, the last value of each name."""
        return first_values(self.body.decode("utf-8", "replace"))

    def form_list(self, name: str) -> list[str]:
        """Every value that the form holds for one name."""
        return parse_qs(self.body.decode("utf-8", "replace")).get(name, [])

    def url(self, *parts: str) -> str:
        """An absolute address on this emulator."""
        return "/".join([self.base_url, *(quote(part, safe="") for part in parts)])


def first_values(encoded: str) -> dict[str, str]:
    """Query string or form as a mapping; a repeated name keeps its last value."""
    return {name: values[-1] for name, values in parse_qs(encoded, keep_blank_values=True).items()}


def success(answer: Wire | Iterable[Wire]) -> Answer:
    """200 with a contract model (or a bare array of them)."""
    return Answer(200, render(answer))


def success_json(value: object) -> Answer:
    """200 with JSON that the contract has no model for."""
    return Answer(200, json.dumps(value).encode())

"""A host's API as its published description has it: which calls there are, and what may be sent and answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FOLDER = Path(__file__).parent / "contracts"

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


@dataclass(frozen=True, slots=True)
class Matched:
    """A request that the description knows: the operation, and what stands in its path and query."""

    operation: str
    place: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Contract:
    """The facts of one file in `contracts`."""

    operations: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, Mapping[str, Any]]
    source: Mapping[str, str]

    def match(self, method: str, target: str) -> Matched | None:
        """The operation that a request is one of; None when the description has no such path and method."""
        parts = urlsplit(target)
        for operation in self.operations:
            named_method, _, template = operation.partition(" ")
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), parts.path)
            if named_method == method and found:
                place = {name: unquote(value) for name, value in found.groupdict().items()}
                return Matched(operation, place, dict(parse_qsl(parts.query, keep_blank_values=True)))
        return None

    def breaches_of_request(self, call: Matched, body: object) -> list[str]:
        """What in a request the description does not allow. `body` is None for none."""
        known = self.operations[call.operation]
        found = [f"{name}: no such parameter" for name in call.query if name not in known.get("query", {})]
        for name, shape in known.get("query", {}).items():
            if name in call.query:
                found += self._breaches(_typed(call.query[name], shape), shape, name)
        if ("body" in known) != (body is not None):
            return [*found, "a body where none is taken, or none where one is"]
        return found if body is None else found + list(self._breaches(body, known["body"], "body"))

    def breaches_of_answer(self, operation: str, status: int, body: object) -> list[str]:
        """What in an answer the description does not announce."""
        answers = self.operations[operation]["answers"]
        if str(status) not in answers:
            return [f"no status {status}"]
        return list(self._breaches(body, answers[str(status)], "answer"))

    def shape_of_answer(self, operation: str, status: int) -> Mapping[str, Any]:
        """How the answer of an operation is described."""
        return self.resolved(self.operations[operation]["answers"][str(status)])

    def resolved(self, shape: Mapping[str, Any]) -> Mapping[str, Any]:
        """The shape itself where only its name stands."""
        return self.shapes[shape["$ref"]] if "$ref" in shape else shape

    def _breaches(self, value: object, shape: Mapping[str, Any], where: str) -> Iterator[str]:
        shape = self.resolved(shape)
        if value is None and shape.get("nullable"):
            return
        wanted = shape.get("type")
        if wanted and (not isinstance(value, _TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool))):
            yield f"{where}: not of type {wanted}"
        elif "enum" in shape and value not in shape["enum"]:
            yield f"{where}: not one of {shape['enum']}"
        elif isinstance(value, dict):
            properties = shape.get("properties", {})
            yield from (f"{where}.{name}: missing" for name in shape.get("required", ()) if name not in value)
            for name, each in value.items():
                if name in properties:
                    yield from self._breaches(each, properties[name], f"{where}.{name}")
                else:
                    yield f"{where}.{name}: not described"
        elif isinstance(value, list):
            for each in value:
                yield from self._breaches(each, shape.get("items", {}), f"{where}[]")


@cache
def contract(name: str) -> Contract:
    """The facts about "github", "gitlab" or "gitea"."""
    facts = json.loads((FOLDER / f"{name}.json").read_text())
    return Contract(facts["operations"], facts["shapes"], facts["source"])


def _typed(text: str, shape: Mapping[str, Any]) -> object:
    if shape.get("type") == "integer" and text.isdecimal():
        return int(text)
    return {"true": True, "false": False}.get(text, text) if shape.get("type") == "boolean" else text

"""All that can be asked of the portal over HTTP: every address it resolves, and every parameter it reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parents[2]
_READS = re.compile(r"""(?:GET|POST|FILES|query|data|request)\.(?:get|getlist)\(\s*["']([\w-]+)["']""")
_LINKS = re.compile(r"""[?;&]([\w-]+)=""")
_FIELDS = re.compile(r"""\bname=["']([\w-]+)["']""")
_PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")


@dataclass(frozen=True, slots=True)
class Address:
    """A route such as `admin/connectors/project/<int:object_id>/plan/`."""

    route: str

    @property
    def kinds(self) -> list[str]:
        """What its places take: int, str, slug, uuid, path."""
        return [kind or "str" for kind, _ in _PLACE.findall(self.route)]

    def filled(self, values: Iterable[str]) -> str:
        """The path with these values in its places."""
        given = iter(values)
        return "/" + _PLACE.sub(lambda _: next(given), self.route)


def addresses() -> list[Address]:
    """Every one, each once. Routes that are regular expressions are the admin's and allauth's ends of last resort."""
    found = {route for route in _routes(get_resolver().url_patterns, "") if "(?" not in route}
    return [Address(route) for route in sorted(found)]


def _routes(patterns: Iterable[URLPattern | URLResolver], before: str) -> Iterator[str]:
    for entry in patterns:
        route = before + str(entry.pattern).lstrip("^")
        if isinstance(entry, URLResolver):
            yield from _routes(entry.url_patterns, route)
        else:
            yield route.replace("\\Z", "").rstrip("$")


def parameters() -> list[str]:
    """Names that the code reads from queries and forms, with the admin's own."""
    names = {"q", "p", "o", "all", "e", "_popup", "_to_field", "_changelist_filters", "_saveasnew", "action", "next"}
    for folder in ("connectors", "portal"):
        for path in (ROOT / folder).rglob("*.py"):
            names.update(_READS.findall(path.read_text()))
    return sorted(names)


def links_and_fields(page: str) -> set[str]:
    """Names of parameters in a page's links and of fields in its forms."""
    return set(_LINKS.findall(page)) | set(_FIELDS.findall(page))

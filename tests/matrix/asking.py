"""Asks every address as every person, and says in one letter what each got."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from connectors.models import Event
from tests.matrix.world import World

GONE = 987_654_321
"""The key of no row."""

OK, DENIED, ABSENT, LOGIN, METHOD = "ok", "denied", "absent", "login", "method"


@dataclass(frozen=True, slots=True)
class Address:
    """A named address of the portal; `params` are the parts that name a row or the like."""

    name: str
    route: str
    params: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def addresses() -> Iterator[Address]:
    """All that the portal answers; those without a name by their route."""
    yield from _walk(get_resolver(), "", "")


def _walk(resolver: URLResolver, space: str, route: str) -> Iterator[Address]:
    for pattern in resolver.url_patterns:
        here = route + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, space + (f"{pattern.namespace}:" if pattern.namespace else ""), here)
        elif isinstance(pattern, URLPattern):
            params = tuple(re.findall(r"<(?:\w+:)?(\w+)>", here))
            yield Address(space + pattern.name if pattern.name else here, here, params)


def clients(world: World) -> Mapping[str, Client]:
    """A browser for each person, logged in."""
    found = {}
    for letter, person in world.people.items():
        found[letter] = Client(raise_request_exception=False)
        if person is not None:
            found[letter].force_login(person)
    return found


def ask(client: Client, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
    """The answer, with its `body` and the `verbs` of what it put on record; what it changed is undone everywhere."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        last = Event.objects.aggregate(last=Max("pk"))["last"] or 0
        answer = getattr(client, method)(path, data or ({"post": "yes"} if method == "post" else None))
        answer.body = answer.getvalue()
        answer.verbs = set(Event.objects.filter(pk__gt=last).order_by().values_list("verb", flat=True))
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer


def outcome(answer: Any) -> str:
    """What an answer means to whoever asked."""
    where = answer.headers.get("Location", "")
    if answer.status_code >= 500:
        return f"error {answer.status_code}"
    if answer.status_code == 405:
        return METHOD
    if answer.status_code == 403:
        return DENIED
    if answer.status_code == 404 or (answer.status_code == 302 and where == reverse("admin:index")):
        return ABSENT
    if answer.status_code == 302 and where.partition("?")[0] in (reverse("account_login"), reverse("admin:login")):
        return LOGIN
    return OK

"""Every address of the portal, asked with strange things: whatever comes, the answer is never an error of ours."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.signals import got_request_exception
from django.db import transaction
from django.test import Client

from tests.browser.scene import Scene
from tests.fuzz import strange, surface
from tests.fuzz.conftest import Rounds

pytestmark = pytest.mark.django_db


class Answers:
    """What came back. `errors` has one request for each place in the code where something went wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.errors: dict[str, str] = {}
        self._caught: list[str] = []

    def note(self, **_: Any) -> None:
        """A receiver of `got_request_exception`."""
        self._caught.append(traceback.format_exc(limit=-4))

    def ask(self, person: User | None, method: str, address: str, **sent: Any) -> None:
        """Asks in somebody's name; nothing that the request changes stays."""
        browser = Client(raise_request_exception=False)
        self._caught.clear()
        with undone():
            if person is not None:
                browser.force_login(person)
            answer = browser.generic(method, address, **sent)
            if answer.streaming:
                answer.getvalue()
        self.count += 1
        if self._caught or answer.status_code >= 500:
            error = self._caught[0] if self._caught else f"status {answer.status_code}"
            shown = {name: v[:300] if isinstance(v, (str, bytes)) else v for name, v in sent.items()}
            self.errors.setdefault(error, f"{method} {address[:500]} {shown}")

    def told(self) -> str:
        """Each error with a request that causes it."""
        return "\n\n".join(f"{request}\n{error}" for error, request in self.errors.items())


@pytest.fixture
def answers() -> Iterator[Answers]:
    noted = Answers()
    got_request_exception.connect(noted.note, dispatch_uid="fuzz")
    yield noted
    got_request_exception.disconnect(dispatch_uid="fuzz")


@pytest.fixture
def keys(portal: Scene) -> dict[str, list[str]]:
    """Of each model rows that there are, by the model's name in addresses."""
    found = {}
    for model in admin.site._registry:
        newest = model._default_manager.order_by("-pk").values_list("pk", flat=True)[:3]
        found[str(model._meta.model_name)] = [str(key) for key in newest] or ["1"]
    return found


@contextmanager
def undone() -> Iterator[None]:
    """Nothing that happens here stays."""
    cache.clear()  # limits of how often somebody may ask
    around = transaction.atomic()
    around._from_testcase = True  # type: ignore[attr-defined]  # else what has to begin a transaction refuses to
    with around:
        yield
        transaction.set_rollback(True)


def path_of(address: surface.Address, keys: dict[str, list[str]], chance: Random) -> str:
    """The address with something in its places."""
    known = next((keys[part] for part in address.route.split("/") if part in keys), ["1"])
    return address.filled(strange.in_path(chance, kind, known) for kind in address.kinds)


def test_no_address_answers_with_an_error(
    people: list[User | None], keys: dict[str, list[str]], answers: Answers, rounds: Rounds
) -> None:
    addresses, names = surface.addresses(), surface.parameters()
    for chance in rounds:
        for address in addresses:
            path = f"{path_of(address, keys, chance)}?{strange.pairs(chance, names, 4)}"
            method = chance.choice(strange.METHODS)
            body = strange.body(chance, names) if method not in ("GET", "HEAD", "TRACE") else {}
            answers.ask(chance.choice(people), method, path, headers=strange.headers(chance), **body)
    assert answers.count >= len(addresses)
    assert not answers.errors, answers.told()


def test_no_list_answers_its_parameters_with_an_error(portal: Scene, answers: Answers, rounds: Rounds) -> None:
    lists = {
        address.route: names
        for address in surface.addresses()
        if not address.kinds and (names := parameters_of(address, portal.admin))
    }
    for chance in rounds:
        for route, names in lists.items():
            answers.ask(portal.admin, "GET", f"/{route}?{strange.pairs(chance, names, 3)}")
    assert len(lists) > 20
    assert not answers.errors, answers.told()


def test_no_form_answers_strange_fields_with_an_error(
    portal: Scene, keys: dict[str, list[str]], answers: Answers, rounds: Rounds
) -> None:
    for number, chance in enumerate(rounds):
        for address in surface.addresses()[number % 4 :: 4]:
            path = path_of(address, keys, chance)
            if names := parameters_of(address, portal.admin, path):
                answers.ask(portal.admin, "POST", path, **strange.body(chance, names))
    assert not answers.errors, answers.told()


def parameters_of(address: surface.Address, person: User, path: str = "") -> list[str]:
    """Names in the links and forms of the page at this address; none where there is no page."""
    if not address.route.startswith(("admin/", "accounts/")):
        return []
    browser = Client(raise_request_exception=False)
    browser.force_login(person)
    page = browser.get(path or f"/{address.route}")
    if page.status_code != 200 or page.streaming or "html" not in page.headers["Content-Type"]:
        return []
    return sorted(surface.links_and_fields(page.content.decode()))

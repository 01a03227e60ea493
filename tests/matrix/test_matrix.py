"""Each address, asked by each kind of person for a row of their team and for one of another team's.

What is expected stands in `rows`; an address without a line there fails.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client
from django.urls import reverse

from tests.matrix.asking import GONE, METHOD, OK, Address, addresses, ask, outcome
from tests.matrix.rows import ELSEWHERE, OLD, ROWS
from tests.matrix.world import THEIRS, World

pytestmark = pytest.mark.django_db

ADDRESSES = [found for found in addresses() if found.name in ROWS]
OF_A_TEAM = [found for found in ADDRESSES if found.params and not ROWS[found.name].is_shared(found)]
METHODS = ("get", "post")
HARMLESS = {"access.denied", "login.failed", "login.logged_out"}
"""What a refusal may put on record."""
TEAM = "vaepo"
"""Who has a role in the one team and must not know of the other; - x n get in nowhere anyhow, as `rows` says."""


def path_of(address: Address, row: Model | None) -> str:
    """Where the address leads for this row; without a row, for one that does not exist."""
    if not address.params:
        return reverse(address.name)
    (param,) = address.params
    return reverse(address.name, args=[GONE if row is None else getattr(row, param, row.pk)])


def let_in(browsers: Mapping[str, Client], method: str, path: str) -> str:
    """The letters of those who got what they asked for. Nobody may meet an error, and who is refused does nothing."""
    answers = {letter: ask(browser, method, path) for letter, browser in browsers.items()}
    found = {letter: outcome(answer) for letter, answer in answers.items()}
    assert not [letter for letter, what in found.items() if what.startswith("error")], found
    let = [letter for letter, what in found.items() if what in (OK, METHOD)]
    assert not {verb for letter, answer in answers.items() if letter not in let for verb in answer.verbs} - HARMLESS
    return "".join(let)


def test_every_address_has_a_line() -> None:
    names = {found.name for found in addresses() if not OLD.fullmatch(found.name)}
    assert names == set(ROWS) | set(ELSEWHERE)
    assert not set(ROWS) & set(ELSEWHERE)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_who_gets_what_of_their_own_team(
    address: Address, method: str, world: World, browsers: Mapping[str, Client]
) -> None:
    row = ROWS[address.name]
    expected = getattr(row, method)
    left_out = expected if row.commits and method == "post" else ""
    asked = {letter: browser for letter, browser in browsers.items() if letter not in left_out}
    path = path_of(address, {**world.shared, **world.ours}.get(row.model(address)))
    assert let_in(asked, method, path) + left_out == expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("address", OF_A_TEAM, ids=str)
def test_a_row_of_another_team_is_as_if_it_did_not_exist(
    address: Address, method: str, world: World, browsers: Mapping[str, Client]
) -> None:
    theirs, gone = path_of(address, world.theirs[ROWS[address.name].model(address)]), path_of(address, None)
    for letter in TEAM:
        asked, unknown = (ask(browsers[letter], method, path) for path in (theirs, gone))
        assert outcome(asked) == outcome(unknown), letter
        assert THEIRS.encode() not in asked.body, letter


@pytest.mark.parametrize("address", [found for found in ADDRESSES if not found.params], ids=str)
def test_a_page_about_many_rows_names_none_of_another_team(
    address: Address, world: World, browsers: Mapping[str, Client]
) -> None:
    for letter in TEAM:
        assert THEIRS.encode() not in ask(browsers[letter], "get", path_of(address, None)).body, letter


def request_of_nobody() -> HttpRequest:
    """By a superuser who is in no database: may do everything."""
    request = HttpRequest()
    request.user = User(is_superuser=True, is_staff=True)
    return request


AUTOCOMPLETES = [
    (str(found.opts.model_name), str(field))
    for found in admin.site._registry.values()
    if found.opts.app_label == "connectors"
    for field in found.autocomplete_fields or ()
]


@pytest.mark.parametrize(("model", "field"), AUTOCOMPLETES)
def test_autocompletion_offers_no_row_of_another_team(
    model: str, field: str, world: World, browsers: Mapping[str, Client]
) -> None:
    asked = {"app_label": "connectors", "model_name": model, "field_name": field, "term": ""}
    for letter in TEAM:
        assert THEIRS.encode() not in ask(browsers[letter], "get", reverse("admin:autocomplete"), asked).body, letter


ACTIONS = [
    (str(found.opts.model_name), name)
    for found in admin.site._registry.values()
    if found.opts.app_label == "connectors"
    for name in found.get_actions(request_of_nobody())
]


@pytest.mark.parametrize(("model", "action"), ACTIONS)
def test_an_action_takes_no_row_of_another_team(
    model: str, action: str, world: World, browsers: Mapping[str, Client]
) -> None:
    path = reverse(f"admin:connectors_{model}_changelist")
    for letter in TEAM:
        answers = [
            ask(browsers[letter], "post", path, {"action": action, "_selected_action": key, "index": 0})
            for key in (world.theirs[model].pk, GONE)
        ]
        assert outcome(answers[0]) == outcome(answers[1]), letter
        assert THEIRS.encode() not in answers[0].body, letter
        assert answers[0].headers.get("Location") == answers[1].headers.get("Location"), letter

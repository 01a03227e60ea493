"""A NUL in a request is answered as what it is, on every database."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError, connection
from django.test import Client

from connectors.models import Project
from tests.teams import browser_of

TYPES = "/admin/connectors/connector/catalogue/"


@pytest.fixture
def browser(operator: User) -> Client:
    return browser_of(operator)


def test_a_bare_parameter_with_a_nul_finds_nothing_or_is_refused(browser: Client) -> None:
    answer = browser.get(TYPES, {"type": "\0"})
    if connection.vendor == "postgresql":
        assert (answer.status_code, "Nothing was changed" in answer.content.decode()) == (400, True)
    else:
        assert answer.json() == {"catalogue": []}


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_a_request_with_a_nul_is_to_blame(method: str, browser: Client) -> None:
    browser.raise_request_exception = False

    def fault(execute: Any, sql: str, *more: Any) -> Any:
        if "connectors_integrationtype" in sql:
            raise DataError("value out of range")
        return execute(sql, *more)

    with connection.execute_wrapper(fault):
        answers = [getattr(browser, method)(TYPES, {"type": text}) for text in ("a\0b", "ab")]
    assert [answer.status_code for answer in answers] == [400, 500]


def test_the_palette_searches_for_the_rest(browser: Client, project: Project) -> None:
    assert project.name in browser.get("/admin/search/", {"s": "c\0rm"}).content.decode()

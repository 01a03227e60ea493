"""How tokens stand: the lists that are asked of the database say the same as each row."""

from __future__ import annotations

import datetime as dt
from itertools import product

import pytest

from connectors.models import OAuthClient, Project, Token
from tests.factories import make_connector, make_oauth_client, make_token

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
TIMES = [None, NOW - dt.timedelta(hours=1), NOW, NOW + dt.timedelta(hours=1)]
Condition = Token.Condition


@pytest.fixture
def tokens(project: Project) -> list[Token]:
    """One of every state, with every time of refresh and end, of a good and of a misconfigured client."""
    clients = [make_oauth_client(state=state) for state in OAuthClient.State.values]
    made = []
    for number, (client, state, refresh_at, expires_at) in enumerate(
        product(clients, Token.State.values, TIMES, TIMES)
    ):
        connector = make_connector(project, f"type-{number}")
        made.append(
            make_token(connector, oauth_client=client, state=state, refresh_at=refresh_at, expires_at=expires_at)
        )
    return made


@pytest.mark.parametrize("condition", Condition.values)
def test_each_condition_lists_the_tokens_that_say_they_are_in_it(condition: str, tokens: list[Token]) -> None:
    expected = {token.pk for token in tokens if token.condition(NOW) == condition}
    assert expected
    assert set(Token.objects.in_condition(condition, NOW).values_list("pk", flat=True)) == expected


def test_attention_lists_the_tokens_whose_condition_asks_for_it(tokens: list[Token]) -> None:
    expected = {token.pk for token in tokens if token.condition(NOW) in Token.NEED_ATTENTION}
    assert set(Token.objects.needing_attention(NOW).values_list("pk", flat=True)) == expected


def test_what_is_due_says_so(tokens: list[Token]) -> None:
    fresh = {token.pk for token in Token.objects.due(NOW) if token.state == Token.State.FRESH}
    assert fresh == {token.pk for token in tokens if token.condition(NOW) == Condition.DUE}
